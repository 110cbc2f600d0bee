//! Sockets to broker: accept, read frames, call the broker, answer in order; must never decide what an answer says.

mod options;

use std::fmt;
use std::io;
use std::sync::Arc;

use crate::net::Address;

pub use options::{Limits, ListenerOptions, ServerOptions};

/// Why a server did not start: a listener, thread or runtime was refused by the system.
#[derive(Debug)]
pub struct StartError(pub io::Error);

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot start the server: {}", self.0)
    }
}

impl std::error::Error for StartError {}

/// What the server calls: the broker, or a stand-in in tests.
pub trait Service: Send + Sync + 'static {}

/// A running server.
#[derive(Debug)]
pub struct Server {
    addresses: Vec<Address>,
}

impl Server {
    /// Starts the workers and accepts. Needs no runtime; runs the broker's housekeeping too.
    pub fn start<S: Service>(options: ServerOptions, broker: Arc<S>) -> Result<Self, StartError> {
        let _ = broker;
        Ok(Self { addresses: options.listeners.iter().map(|one| one.listener.address().clone()).collect() })
    }

    /// What it listens on, in the order of the options, with real ports.
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// Accepts no more, answers what is in hand (at most `Limits::drain`), closes, and ends the workers.
    pub async fn stop(self) {}
}
