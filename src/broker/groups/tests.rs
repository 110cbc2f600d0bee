//! Scenarios and properties of the pure core; no broker, no disk.
