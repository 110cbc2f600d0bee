//! Segment files to rows of facts and findings: no broker, no network, no terminal; never writes.

pub mod decode;
