//! Raw bytes against a real server: what any peer may send is answered or the connection closed.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod authority;
mod child;
mod crowd;
mod flood;
mod hostile;
mod kcat;
mod machinery;
mod pages;
mod peer;
#[path = "../cli/prometheus.rs"]
mod prometheus;
mod real;
mod sasl;
mod slow;
mod stand_in;
mod tls;
