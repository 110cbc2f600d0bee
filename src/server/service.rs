//! What a connection needs of a broker: requests in, outcomes out; must never see a socket.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;

use crate::broker::api::{self, Outcome};
use crate::broker::{Broker, Peer};
use crate::metrics::Node;
use crate::wire::frame::RequestHeader;

/// A request under way.
pub type Call = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// Housekeeping, run until the server stops.
pub type Tasks = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What the node has come to; none where that is not known.
pub type Look = Pin<Box<dyn Future<Output = Option<Node>> + Send>>;

/// The broker as a server sees it; tests stand in for it.
pub trait Service: Send + Sync + 'static {
    /// Starts a request. It runs in the connection's task, on the worker's thread.
    fn call(self: &Arc<Self>, peer: &Arc<Peer>, header: RequestHeader, body: Bytes) -> Call;

    /// Takes a frame of a peer that [`Peer::speaks_raw`]: a SASL message without a request's head.
    fn call_raw(self: &Arc<Self>, _peer: &Arc<Peer>, _message: Bytes) -> Call {
        Box::pin(async { Outcome::Close("it sent no request".to_owned()) })
    }

    /// What is to run beside the connections.
    fn tasks(self: &Arc<Self>) -> Tasks;

    /// Looks at the node, for the metrics.
    fn observe(self: &Arc<Self>) -> Look {
        Box::pin(async { None })
    }

    /// Why it is not ready to serve, if it is not.
    fn unready(&self) -> Option<&'static str> {
        None
    }

    /// Whether clients need rights: then nobody is told anything who has not shown who he is.
    fn demands_rights(&self) -> bool {
        false
    }

    /// `max.connections` and `max.connections.per.ip` where they were changed since the start.
    fn changed_limits(&self) -> (Option<usize>, Option<usize>) {
        (None, None)
    }
}

impl Service for Broker {
    fn demands_rights(&self) -> bool {
        Broker::demands_rights(self)
    }

    fn changed_limits(&self) -> (Option<usize>, Option<usize>) {
        let settings = self.settings();
        let changed = |name| settings.changed(name).and_then(|value| value.parse().ok());
        (changed("max.connections"), changed("max.connections.per.ip"))
    }

    fn call(self: &Arc<Self>, peer: &Arc<Peer>, header: RequestHeader, body: Bytes) -> Call {
        let (broker, peer) = (Arc::clone(self), Arc::clone(peer));
        Box::pin(async move { api::call(&broker, &peer, &header, body).await })
    }

    fn call_raw(self: &Arc<Self>, peer: &Arc<Peer>, message: Bytes) -> Call {
        let (broker, peer) = (Arc::clone(self), Arc::clone(peer));
        Box::pin(async move { api::call_raw(&broker, &peer, message).await })
    }

    fn tasks(self: &Arc<Self>) -> Tasks {
        Box::pin(Arc::clone(self).tasks())
    }

    fn observe(self: &Arc<Self>) -> Look {
        let broker = Arc::clone(self);
        Box::pin(async move { Broker::observe(&broker).await.ok() })
    }

    fn unready(&self) -> Option<&'static str> {
        Broker::unready(self)
    }
}
