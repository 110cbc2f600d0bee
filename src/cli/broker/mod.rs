//! `klog broker`.

use super::context::Context;
use super::exit::{Exit, Failure};

/// The flags of `klog broker`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs `klog broker`.
pub fn run(_context: &Context, _args: Args) -> Result<Exit, Failure> {
    Err(Failure::failed("klog broker is not built yet", ""))
}
