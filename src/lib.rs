//! klog: a durable, partitioned, replayable log for the shell, and the toolkit around it.
//!
//! The modules form levels; each names only modules of the levels below it. ARCHITECTURE.md draws the
//! picture and `tests/layering.rs` holds the table that keeps it true.

#[cfg(not(target_os = "linux"))]
compile_error!("klog runs on Linux only: it relies on sendfile, open-file-description locks and /proc");

pub mod auth;
pub mod broker;
pub mod cli;
pub mod client;
pub mod codec;
pub mod config;
pub mod flow;
pub mod inspect;
pub mod metrics;
pub mod model;
pub mod net;
pub mod pipeline;
pub mod record;
pub mod schema;
pub mod server;
pub mod storage;
pub mod wire;
