//! A service that stands in for the broker: what it does is told by the first byte of the body.

use std::fs::File;
use std::future::pending;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use klog::broker::Peer;
use klog::broker::api::{Outcome, Part, Reply};
use klog::net::{Address, Listener};
use klog::server::{Call, Limits, ListenerOptions, Server, ServerOptions, Service, Tasks};
use klog::storage::DiskFile;
use klog::wire::frame::RequestHeader;
use tokio::sync::Notify;

/// Answered with the correlation id and the body.
pub(crate) const ECHO: u8 = b'e';
/// The same, once [`StandIn::synced`] was told.
pub(crate) const LATER: u8 = b'l';
/// Never answered, like an `acks=0`.
pub(crate) const NOTHING: u8 = b'n';
/// The connection is closed.
pub(crate) const CLOSE: u8 = b'c';
/// A defect.
pub(crate) const PANIC: u8 = b'p';
/// Parked for ever, like a long poll.
pub(crate) const PARK: u8 = b'w';
/// Answered with the stand-in's file; `V` with a file that has no descriptor.
pub(crate) const FILE: u8 = b'f';
pub(crate) const VIRTUAL: u8 = b'v';
/// Answered with the peer's facts.
pub(crate) const PEER: u8 = b'?';
/// Answered with the peer's name.
pub(crate) const WHO: u8 = b'!';

#[derive(Default)]
pub(crate) struct StandIn {
    pub(crate) synced: Notify,
    pub(crate) calls: AtomicUsize,
    pub(crate) gone: Arc<AtomicUsize>,
    pub(crate) file: Option<Arc<dyn DiskFile>>,
    pub(crate) in_memory: Option<Arc<dyn DiskFile>>,
}

/// Counts futures that were dropped.
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn reply(header: &RequestHeader, bytes: Bytes) -> Reply {
    let id = Bytes::copy_from_slice(&header.correlation_id.to_be_bytes());
    Reply { parts: vec![Part::Bytes(id), Part::Bytes(bytes)] }
}

fn file_reply(header: &RequestHeader, file: Option<Arc<dyn DiskFile>>) -> Reply {
    let file = file.expect("the test gave no file");
    let len = file.len().unwrap() as usize;
    let mut reply = reply(header, Bytes::new());
    reply.parts.push(Part::File { file: Arc::clone(&file), position: 0, len });
    reply.parts.push(Part::Bytes(Bytes::from_static(b"end")));
    // What follows the last records of a fetch may be nothing.
    reply.parts.push(Part::File { file, position: 0, len: len.min(1) });
    reply.parts.push(Part::Bytes(Bytes::new()));
    reply
}

impl Service for StandIn {
    fn call(self: &Arc<Self>, peer: &Arc<Peer>, header: RequestHeader, body: Bytes) -> Call {
        let (own, peer) = (Arc::clone(self), Arc::clone(peer));
        self.calls.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            match body.first().copied() {
                Some(LATER) => Outcome::Later(Box::pin(async move {
                    own.synced.notified().await;
                    reply(&header, body)
                })),
                Some(NOTHING) => Outcome::None,
                Some(CLOSE) => Outcome::Close("told to".into()),
                Some(PANIC) => panic!("told to"),
                Some(PARK) => {
                    let _dropped = Dropped(Arc::clone(&own.gone));
                    pending().await
                }
                Some(FILE) => Outcome::Reply(file_reply(&header, own.file.clone())),
                Some(VIRTUAL) => Outcome::Reply(file_reply(&header, own.in_memory.clone())),
                Some(PEER) => Outcome::Reply(reply(&header, format!("{:?}", peer.address()).into())),
                Some(WHO) => Outcome::Reply(reply(&header, peer.principal().to_owned().into())),
                _ => Outcome::Reply(reply(&header, body)),
            }
        })
    }

    fn tasks(self: &Arc<Self>) -> Tasks {
        Box::pin(pending())
    }
}

/// A read-only file that may or may not show its descriptor.
#[derive(Debug)]
pub(crate) struct TestFile {
    pub(crate) file: File,
    pub(crate) hidden: bool,
}

impl DiskFile for TestFile {
    fn read_at(&self, into: &mut [u8], position: u64) -> std::io::Result<usize> {
        self.file.read_at(into, position)
    }
    fn write_vectored_at(&self, _: &[std::io::IoSlice<'_>], _: u64) -> std::io::Result<()> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
    fn set_len(&self, _: u64) -> std::io::Result<()> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
    fn len(&self) -> std::io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
    fn sync(&self) -> std::io::Result<()> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
    fn allocate(&self, _: u64, _: u64) -> std::io::Result<()> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        (!self.hidden).then(|| self.file.as_fd())
    }
}

/// A server over a stand-in, on a free TCP port and on a Unix socket in the folder.
pub(crate) fn serve(service: &Arc<StandIn>, folder: &std::path::Path, limits: Limits) -> Server {
    let addresses =
        [Address::Tcp { host: "127.0.0.1".into(), port: 0 }, Address::Unix(folder.join("test.sock"))];
    let listeners = addresses
        .iter()
        .map(|address| ListenerOptions::plain(Listener::bind(address, 1024).unwrap()))
        .collect();
    let options = ServerOptions { listeners, workers: 2, limits, ..ServerOptions::default() };
    Server::start(options, Arc::clone(service)).unwrap()
}
