//! `klog group`.

use super::context::Context;
use super::exit::{Exit, Failure};

/// The flags of `klog group`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs `klog group`.
pub fn run(_context: &Context, _args: Args) -> Result<Exit, Failure> {
    Err(Failure::failed("klog group is not built yet", ""))
}
