//! Scenarios of consumer groups over the pure core.
