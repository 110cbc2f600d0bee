//! The accepting end of TLS: certificates that can be read again while connections go on; must never let a bad new
//! certificate take the place of a good old one.
//!
//! Lock: `config` guards which configuration new connections get; it is held to copy a pointer.

use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use tokio_rustls::TlsAcceptor;

use super::{Identity, Pem, Spoken, TlsError};
use crate::net::Stream;

/// Whether clients show a certificate (`ssl.client.auth`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientAuth {
    /// They are not asked.
    #[default]
    None,
    /// They are asked; one without is let in, one with a bad one is not.
    Requested,
    /// Nobody is let in without.
    Required,
}

/// What a listener's TLS is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerTlsOptions {
    /// Its certificate and key.
    pub identity: Identity,
    /// Who vouches for clients' certificates.
    pub trust: Option<Pem>,
    /// Whether clients show one.
    pub client_auth: ClientAuth,
    /// Versions and suites.
    pub spoken: Spoken,
}

/// A listener's TLS.
#[derive(Debug)]
pub struct ServerTls {
    options: ServerTlsOptions,
    config: RwLock<Arc<ServerConfig>>,
    /// Held over reading and taking what was read: the last to ask is the last to be heard.
    reloading: Mutex<()>,
}

impl ServerTls {
    /// Reads certificates and key.
    ///
    /// # Errors
    /// What is missing or unusable.
    pub fn load(options: ServerTlsOptions) -> Result<Self, TlsError> {
        let config = RwLock::new(build(&options)?);
        Ok(Self { options, config, reloading: Mutex::new(()) })
    }

    /// Reads them again; connections that come from now on get what is new, those that are there go on.
    ///
    /// # Errors
    /// What is missing or unusable; then everything stays as it was.
    pub fn reload(&self) -> Result<(), TlsError> {
        let _one = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = build(&self.options)?;
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// Where its certificate is, for messages.
    pub fn place(&self) -> String {
        self.options.identity.chain.to_string()
    }

    /// Takes the handshake of a TCP connection. Holds no more of it than one message of the protocol, 64 KiB; how long
    /// it may take is the caller's to say.
    ///
    /// # Errors
    /// The peer goes away, or [`TlsFailure::of`](super::TlsFailure::of) it.
    pub async fn accept(&self, stream: Stream) -> io::Result<Stream> {
        let Stream::Tcp(tcp) = stream else { return Err(io::ErrorKind::Unsupported.into()) };
        let config = Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner));
        let accepted = TlsAcceptor::from(config).accept(tcp).await?;
        Ok(Stream::Tls(Box::new(accepted.into())))
    }
}

fn build(options: &ServerTlsOptions) -> Result<Arc<ServerConfig>, TlsError> {
    let unusable = |error: &dyn std::fmt::Display| TlsError::Unusable {
        file: options.identity.chain.to_string(),
        reason: error.to_string(),
    };
    let provider = options.spoken.provider()?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&options.spoken.versions())
        .map_err(|error| unusable(&error))?;
    let builder = if options.client_auth == ClientAuth::None {
        builder.with_no_client_auth()
    } else {
        let roots = options.trust.as_ref().ok_or(TlsError::NoTrust)?.roots()?;
        let mut verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        if options.client_auth == ClientAuth::Requested {
            verifier = verifier.allow_unauthenticated();
        }
        builder.with_client_cert_verifier(verifier.build().map_err(|error| unusable(&error))?)
    };
    let (chain, key) = options.identity.load()?;
    let config = builder.with_single_cert(chain, key).map_err(|error| unusable(&error))?;
    Ok(Arc::new(config))
}
