//! `klog config`.

use super::context::Context;
use super::exit::{Exit, Failure};

/// The flags of `klog config`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs `klog config`.
pub fn run(_context: &Context, _args: Args) -> Result<Exit, Failure> {
    Err(Failure::failed("klog config is not built yet", ""))
}
