//! `klog topic`.

use super::context::Context;
use super::exit::{Exit, Failure};

/// The flags of `klog topic`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs `klog topic`.
pub fn run(_context: &Context, _args: Args) -> Result<Exit, Failure> {
    Err(Failure::failed("klog topic is not built yet", ""))
}
