//! `klog consume`: not written yet.

use super::context::Context;
use super::exit::{Exit, Failure};

/// The flags of `klog consume`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The topic
    pub topic: String,
}

/// Runs `klog consume`.
pub fn run(_context: &Context, _args: Args) -> Result<Exit, Failure> {
    Err(Failure::failed("klog consume is not built yet", ""))
}
