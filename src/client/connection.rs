//! One connection to a broker that has said what it speaks: requests in the highest version both sides know; never
//! dials again by itself.

use super::error::{lost, system_text};
use super::pipe::{Answer, Outgoing, Pipe};
use super::sasl::authenticate;
use super::{ClientError, ClientOptions};
use crate::net::tls::ClientTls;
use crate::net::{Address, Stream, dial};
use crate::wire::api::ApiKey;
use crate::wire::error::ErrorCode;
use crate::wire::frame;
use crate::wire::messages::api_versions::{
    ApiVersion, ApiVersionsRequest, ApiVersionsResponse, FinalizedFeatureKey,
};
use crate::wire::{Message, Request};
use bytes::Bytes;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// The part of a session's time after which a new connection takes over.
const STALE: f64 = 0.85;

/// A connection after its handshake. Dropping it closes it once the answers under way have come.
#[derive(Debug)]
pub(super) struct Connection {
    address: Address,
    client_id: String,
    pipe: Pipe,
    correlation: AtomicI32,
    speaks: Vec<ApiVersion>,
    /// Features of the cluster and the levels it runs at.
    features: Vec<FinalizedFeatureKey>,
    /// When a new connection is to take its place: before the broker ends the session (KIP-368).
    stale_at: Option<Instant>,
}

impl Connection {
    /// Dials, encrypts where that is asked for, asks what the broker speaks, and authenticates where that is asked for;
    /// each within `limit`; `hung_up` counts for all connections of a client, see [`Pipe::start`]. On a Unix socket it does neither: the file's permissions say who may come in.
    pub(super) async fn open(
        address: &Address,
        options: &ClientOptions,
        tls: Option<&ClientTls>,
        hung_up: &Arc<AtomicU32>,
        limit: Duration,
    ) -> Result<Self, ClientError> {
        let mut stream =
            dial(address, limit).await.map_err(|error| refusal(address, &error.source, limit))?;
        if let (Some(tls), Address::Tcp { host, .. }) = (tls, address) {
            stream = encrypt(tls, stream, address, host, limit).await?;
        }
        let sasl = options.security.sasl && !address.is_unix();
        let mut connection = Self {
            address: address.clone(),
            client_id: options.client_id.clone(),
            pipe: Pipe::start(stream, address, Arc::clone(hung_up)),
            correlation: AtomicI32::new(1),
            speaks: Vec::new(),
            features: Vec::new(),
            stale_at: None,
        };
        let silent = |error: ClientError| match error {
            ClientError::TimedOut { after, .. } => {
                ClientError::Silent { address: address.to_string(), after }
            }
            other => other,
        };
        let told = connection.handshake(limit).await.map_err(silent)?;
        (connection.speaks, connection.features) = (told.api_keys, told.finalized_features);
        if sasl {
            let session = authenticate(&connection, &options.security, limit).await.map_err(silent)?;
            connection.stale_at = session.map(|session| Instant::now() + session.mul_f64(STALE));
        }
        Ok(connection)
    }

    /// Asks in our highest version; a broker that does not know it says so in version 0 and is asked again (KIP-511).
    async fn handshake(&self, limit: Duration) -> Result<ApiVersionsResponse, ClientError> {
        let request = ApiVersionsRequest {
            client_software_name: "klog".to_owned(),
            client_software_version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let mut version = ApiKey::ApiVersions.max_version();
        for _ in 0..3 {
            let frame = self.ask(&request, version, limit).await?;
            // Bytes 4 and 5 are the error code in every version of the answer.
            let code = frame.get(4..).and_then(|rest| rest.first_chunk()).map(|raw| i16::from_be_bytes(*raw));
            if code == Some(ErrorCode::UNSUPPORTED_VERSION.code()) && version > 0 {
                let refused: Result<ApiVersionsResponse, _> = frame::response_body(frame, 0);
                let offered = refused.ok().and_then(|answer| range(&answer.api_keys, ApiKey::ApiVersions));
                version = offered.map_or(0, |(_, max)| max.min(version - 1)).max(0);
                continue;
            }
            let answer: ApiVersionsResponse = self.body(frame, version)?;
            if !answer.error_code.is_ok() {
                return Err(ClientError::broker(answer.error_code, self.address.to_string(), None));
            }
            return Ok(answer);
        }
        Err(self.garbled("it refuses every version of ApiVersions".to_owned()))
    }

    /// Where it was dialled.
    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// What the broker speaks.
    pub(super) fn speaks(&self) -> &[ApiVersion] {
        &self.speaks
    }

    /// The level that the cluster runs a feature at (KIP-584), 0 where it does not tell.
    pub(super) fn feature(&self, name: &str) -> i16 {
        self.features.iter().find(|one| one.name == name).map_or(0, |one| one.max_version_level)
    }

    /// Whether it has ended, or its session soon will: then a new one is to be opened, while answers still come here.
    pub(super) fn is_closed(&self) -> bool {
        self.pipe.is_closed() || self.stale_at.is_some_and(|at| at <= Instant::now())
    }

    /// The highest version of an API that both sides know.
    pub(super) fn version(&self, key: ApiKey) -> Result<i16, ClientError> {
        let offered = range(&self.speaks, key);
        let unsupported = ClientError::Unsupported { api: key.name(), offered };
        let (min, max) = offered.ok_or_else(|| unsupported.clone())?;
        let version = max.min(key.max_version());
        if version < min || version < key.min_version() { Err(unsupported) } else { Ok(version) }
    }

    /// One request in the highest common version, and its answer.
    pub(super) async fn call<R: Request>(
        &self,
        request: &R,
        timeout: Duration,
    ) -> Result<R::Response, ClientError> {
        let version = self.version(R::KEY)?;
        self.call_in(request, version, timeout).await
    }

    /// One request in a version of the caller's, and its answer.
    pub(super) async fn call_in<R: Request>(
        &self,
        request: &R,
        version: i16,
        timeout: Duration,
    ) -> Result<R::Response, ClientError> {
        let frame = self.ask(request, version, timeout).await?;
        self.body(frame, version)
    }

    /// Sends a request whose bytes fields are `records`, uncopied; the answer is the frame as it came.
    pub(super) fn send_pieces<R: Request>(
        &self,
        request: &R,
        version: i16,
        records: &[Bytes],
        answered: bool,
        timeout: Duration,
    ) -> Result<Answer, ClientError> {
        let correlation = self.correlation.fetch_add(1, Ordering::Relaxed);
        let pieces = frame::request_pieces(request, version, correlation, Some(&self.client_id), records)
            .map_err(|error| self.garbled(format!("{}: {error}", R::KEY)))?;
        Ok(self.pipe.send(Outgoing { pieces, correlation, answered, timeout, what: R::KEY.name() }))
    }

    /// Waits for an answer; a connection that ends first is an error.
    pub(super) async fn wait(&self, answer: Answer) -> Result<Bytes, ClientError> {
        match answer.await {
            Ok(outcome) => outcome,
            Err(_) => Err(ClientError::Disconnected {
                address: self.address.to_string(),
                reason: "it had ended before".to_owned(),
            }),
        }
    }

    /// Reads an answer's body.
    pub(super) fn body<M: Message>(&self, frame: Bytes, version: i16) -> Result<M, ClientError> {
        frame::response_body(frame, version)
            .map_err(|error| self.garbled(format!("an answer to {} that can not be read: {error}", M::KEY)))
    }

    async fn ask<R: Request>(
        &self,
        request: &R,
        version: i16,
        timeout: Duration,
    ) -> Result<Bytes, ClientError> {
        let correlation = self.correlation.fetch_add(1, Ordering::Relaxed);
        let frame = frame::request_frame(request, version, correlation, Some(&self.client_id))
            .map_err(|error| self.garbled(format!("{}: {error}", R::KEY)))?;
        let pieces = vec![Bytes::from(frame)];
        let what = R::KEY.name();
        self.wait(self.pipe.send(Outgoing { pieces, correlation, answered: true, timeout, what })).await
    }

    fn garbled(&self, reason: String) -> ClientError {
        ClientError::Protocol { address: self.address.to_string(), reason }
    }
}

fn range(speaks: &[ApiVersion], key: ApiKey) -> Option<(i16, i16)> {
    let one = speaks.iter().find(|one| one.api_key == key.code())?;
    Some((one.min_version, one.max_version))
}

async fn encrypt(
    tls: &ClientTls,
    stream: Stream,
    address: &Address,
    host: &str,
    limit: Duration,
) -> Result<Stream, ClientError> {
    match timeout(limit, Box::pin(tls.connect(stream, host))).await {
        Err(_) => Err(ClientError::Silent { address: address.to_string(), after: limit }),
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(lost(address, &error)),
    }
}

fn refusal(address: &Address, error: &io::Error, limit: Duration) -> ClientError {
    let address = address.to_string();
    match error.kind() {
        io::ErrorKind::TimedOut => ClientError::Silent { address, after: limit },
        io::ErrorKind::PermissionDenied => ClientError::Forbidden { address, reason: system_text(error) },
        _ => ClientError::Refused { address, reason: system_text(error) },
    }
}
