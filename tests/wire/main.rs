//! Raw bytes against a real server: what any peer may send must be answered or closed, never obeyed blindly.
#![allow(clippy::unwrap_used, clippy::expect_used)]
