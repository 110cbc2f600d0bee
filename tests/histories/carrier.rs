//! The way from a client to a broker: encoded requests one way, encoded answers the other; what carries them may lose an answer,
//! and a planted bug may sit in between.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use klog::wire::Request;
use klog::wire::frame::{request_frame, response_body};

/// An answer without its length prefix, when it comes; `None` when it never will.
pub(crate) type Later = Pin<Box<dyn Future<Output = Option<Bytes>> + Send>>;

/// Carries requests (frames without their length prefix) to a broker. What is begun first arrives first.
pub(crate) trait Carrier: Send + Sync {
    fn begin(&self, frame: Bytes) -> Pin<Box<dyn Future<Output = Later> + Send + '_>>;
}

/// No call may take longer: what does counts as lost.
const PATIENCE: Duration = Duration::from_secs(20);

/// A client's way to the broker.
#[derive(Clone)]
pub(crate) struct Line(pub(crate) Arc<dyn Carrier>);

/// A request that is under way.
pub(crate) struct UnderWay<R> {
    later: Option<Later>,
    version: i16,
    kind: PhantomData<R>,
}

impl Line {
    pub(crate) async fn begin<R: Request>(&self, request: &R, version: i16) -> UnderWay<R> {
        let framed = request_frame(request, version, 7, Some("history")).unwrap();
        let begun = self.0.begin(Bytes::from(framed).slice(4..));
        UnderWay { later: tokio::time::timeout(PATIENCE, begun).await.ok(), version, kind: PhantomData }
    }

    pub(crate) async fn call<R: Request>(&self, request: &R, version: i16) -> Option<R::Response> {
        self.begin(request, version).await.answer().await
    }
}

impl<R: Request> UnderWay<R> {
    pub(crate) async fn answer(self) -> Option<R::Response> {
        let bytes = tokio::time::timeout(PATIENCE, self.later?).await.ok()??;
        Some(response_body::<R::Response>(bytes, self.version).unwrap())
    }
}
