//! `klog produce`: not written yet.

use super::context::Context;
use super::exit::{Exit, Failure};

/// The flags of `klog produce`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The topic
    pub topic: String,
}

/// Runs `klog produce`.
pub fn run(_context: &Context, _args: Args) -> Result<Exit, Failure> {
    Err(Failure::failed("klog produce is not built yet", ""))
}
