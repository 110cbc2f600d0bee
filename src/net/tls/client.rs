//! The dialling end of TLS; must never take a certificate whose chain is not verified.

use std::io;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::TlsConnector;

use super::{Identity, Pem, Spoken, TlsError};
use crate::net::Stream;

/// What a client's TLS is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientTlsOptions {
    /// Who vouches for the broker's certificate; the system's roots without it.
    pub trust: Option<Pem>,
    /// The certificate to show where one is asked for.
    pub identity: Option<Identity>,
    /// Whether the certificate must name the host dialled.
    pub verify_name: bool,
    /// Versions and suites.
    pub spoken: Spoken,
}

/// A client's TLS. Cheap to clone; sessions are resumed between its connections.
#[derive(Debug, Clone)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
}

impl ClientTls {
    /// Reads certificates and key.
    ///
    /// # Errors
    /// What is missing or unusable.
    pub fn load(options: &ClientTlsOptions) -> Result<Self, TlsError> {
        let bad = |reason: String| TlsError::Unusable {
            file: options.identity.as_ref().map_or_else(String::new, |identity| identity.chain.to_string()),
            reason,
        };
        let provider = options.spoken.provider()?;
        let (roots, given) = match &options.trust {
            Some(pem) => (pem.roots()?, pem.certificates()?),
            None => (system_roots()?, Vec::new()),
        };
        let verifier =
            Verifier { roots, given, verify_name: options.verify_name, provider: Arc::clone(&provider) };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&options.spoken.versions())
            .map_err(|error| bad(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let config = match &options.identity {
            Some(identity) => {
                let (chain, key) = identity.load()?;
                builder.with_client_auth_cert(chain, key).map_err(|error| bad(error.to_string()))?
            }
            None => builder.with_no_client_auth(),
        };
        Ok(Self { config: Arc::new(config) })
    }

    /// Shakes hands over a TCP connection with `host`, a name or an address.
    ///
    /// # Errors
    /// The connection's, or [`TlsFailure::of`](super::TlsFailure::of) it.
    pub async fn connect(&self, stream: Stream, host: &str) -> io::Result<Stream> {
        let Stream::Tcp(tcp) = stream else { return Err(io::ErrorKind::Unsupported.into()) };
        let name = ServerName::try_from(host.to_owned()).map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidInput, "no certificate can name such a host")
        })?;
        let connected = TlsConnector::from(Arc::clone(&self.config)).connect(name, tcp).await?;
        Ok(Stream::Tls(Box::new(connected.into())))
    }
}

fn system_roots() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (taken, _) = roots.add_parsable_certificates(found.certs);
    if taken == 0 {
        let why = found.errors.first().map_or_else(String::new, |error| format!(" ({error})"));
        return Err(TlsError::NoRoots(why));
    }
    Ok(roots)
}

/// Verifies a chain, then the name if that is wanted (`ssl.endpoint.identification.algorithm`).
#[derive(Debug)]
struct Verifier {
    roots: RootCertStore,
    /// The certificates that were named as trusted, as they are.
    given: Vec<CertificateDer<'static>>,
    verify_name: bool,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    /// A self-signed certificate that says it is an authority's (as `openssl req -x509` makes them) is refused as a
    /// server's by the rules of the web. One that was itself named as trusted is taken, as Java and OpenSSL do. It is
    /// in its time: that is looked at first.
    fn is_given(&self, certificate: &CertificateDer<'_>, error: &Error) -> bool {
        let Error::InvalidCertificate(CertificateError::Other(other)) = error else { return false };
        format!("{other:?}").contains("CaUsedAsEndEntity")
            && self.given.iter().any(|given| given == certificate)
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let parsed = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        let chain =
            verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, intermediates, now, algorithms);
        if let Err(error) = chain
            && !self.is_given(end_entity, &error)
        {
            return Err(error);
        }
        if self.verify_name {
            verify_server_name(&parsed, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
