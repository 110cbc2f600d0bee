//! TLS over a TCP stream, both ends of it, by rustls; must never fall back to a connection that is not encrypted.

mod client;
mod failure;
mod pem;
mod server;

pub use client::{ClientTls, ClientTlsOptions};
pub use failure::{TlsError, TlsFailure};
pub use pem::{Identity, Pem};
pub use server::{ClientAuth, ServerTls, ServerTlsOptions};

use std::sync::Arc;

use rustls::SupportedProtocolVersion;
use rustls::crypto::{CryptoProvider, ring};
use rustls::version::{TLS12, TLS13};

/// A TLS session over TCP, either end.
pub(super) type TlsStream = tokio_rustls::TlsStream<tokio::net::TcpStream>;

/// Which versions of TLS and which cipher suites may be spoken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spoken {
    /// TLS 1.2.
    pub tls12: bool,
    /// TLS 1.3.
    pub tls13: bool,
    /// Cipher suites by their IANA names, in the order of preference; empty is all that are good.
    pub suites: Vec<String>,
}

impl Default for Spoken {
    fn default() -> Self {
        Self { tls12: true, tls13: true, suites: Vec::new() }
    }
}

impl Spoken {
    /// Reads a list like `TLSv1.2,TLSv1.3` (`ssl.enabled.protocols`).
    ///
    /// # Errors
    /// [`TlsError::Version`] for any other version, and for an empty list.
    pub fn set_versions(&mut self, list: &str) -> Result<(), TlsError> {
        (self.tls12, self.tls13) = (false, false);
        for name in items(list) {
            match name {
                "TLSv1.2" => self.tls12 = true,
                "TLSv1.3" => self.tls13 = true,
                other => return Err(TlsError::Version(other.to_owned())),
            }
        }
        if self.tls12 || self.tls13 { Ok(()) } else { Err(TlsError::Version(list.to_owned())) }
    }

    /// Reads a list of cipher suites (`ssl.cipher.suites`).
    ///
    /// # Errors
    /// [`TlsError::Suite`] for one that is not known here.
    pub fn set_suites(&mut self, list: &str) -> Result<(), TlsError> {
        self.suites = items(list).map(str::to_owned).collect();
        self.provider().map(drop)
    }

    fn versions(&self) -> Vec<&'static SupportedProtocolVersion> {
        let all = [(self.tls13, &TLS13), (self.tls12, &TLS12)];
        all.into_iter().filter_map(|(spoken, version)| spoken.then_some(version)).collect()
    }

    fn provider(&self) -> Result<Arc<CryptoProvider>, TlsError> {
        let mut provider = ring::default_provider();
        if !self.suites.is_empty() {
            let all = std::mem::take(&mut provider.cipher_suites);
            for name in &self.suites {
                // rustls marks the suites of TLS 1.3, which IANA does not.
                let named = |suite: &&rustls::SupportedCipherSuite| {
                    let known = format!("{:?}", suite.suite());
                    known == *name || known.replacen("TLS13_", "TLS_", 1) == *name
                };
                let found = all.iter().find(named).ok_or_else(|| TlsError::Suite(name.clone()))?;
                provider.cipher_suites.push(*found);
            }
        }
        Ok(Arc::new(provider))
    }
}

fn items(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_suites_go_by_kafkas_names() {
        let mut spoken = Spoken::default();
        spoken.set_versions("TLSv1.3").unwrap();
        assert_eq!((spoken.tls12, spoken.tls13, spoken.versions().len()), (false, true, 1));
        spoken.set_versions(" TLSv1.2 , TLSv1.3 ").unwrap();
        assert_eq!(spoken.versions().len(), 2);
        for bad in ["TLSv1.1", "TLSv1.2,SSLv3", ""] {
            assert!(Spoken::default().set_versions(bad).is_err(), "{bad}");
        }
        spoken.set_suites("TLS_AES_256_GCM_SHA384,TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256").unwrap();
        assert_eq!(spoken.provider().unwrap().cipher_suites.len(), 2);
        let error = spoken.set_suites("TLS_RSA_WITH_NULL_MD5").unwrap_err();
        assert!(error.to_string().contains("TLS_RSA_WITH_NULL_MD5"), "{error}");
    }
}
