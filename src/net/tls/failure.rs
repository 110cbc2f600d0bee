//! What goes wrong with TLS, as facts that say whose turn it is to do something; must never hold a key's bytes.

use std::fmt;
use std::io;

use rustls::{AlertDescription, CertificateError, Error};

/// Why TLS can not be set up from what was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read.
    #[error("can't read {file}: {reason}")]
    Read {
        /// The file.
        file: String,
        /// What the system said.
        reason: String,
    },
    /// What is there is no PEM.
    #[error("{file} can't be used: {reason}; klog reads PEM")]
    Malformed {
        /// The file, or the setting whose value it is.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// No certificate in it.
    #[error("{0} has no certificate in PEM form (-----BEGIN CERTIFICATE-----)")]
    NoCertificate(String),
    /// No private key in it.
    #[error("{0} has no private key in PEM form (-----BEGIN PRIVATE KEY-----)")]
    NoKey(String),
    /// The private key is encrypted.
    #[error("the private key in {0} is encrypted, which klog does not read; decrypt it with: openssl pkey")]
    Encrypted(String),
    /// Certificate and key do not fit together, or are of a kind that is not known.
    #[error("the certificate in {file} can't be used: {reason}")]
    Unusable {
        /// Where the certificate is.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// Client certificates are asked for, and nothing says whose are good.
    #[error(
        "client certificates are asked for (ssl.client.auth) but ssl.truststore.location does not say whose are good"
    )]
    NoTrust,
    /// The system has no trusted roots.
    #[error(
        "the system has no trusted certificates{0}; name those of the broker's authority with ssl.ca.location=FILE"
    )]
    NoRoots(String),
    /// A version of TLS that is not spoken here.
    #[error("there is no TLS version {0:?} here; allowed are TLSv1.2 and TLSv1.3")]
    Version(String),
    /// A cipher suite that is not known here.
    #[error("there is no cipher suite {0} here")]
    Suite(String),
}

/// Why a handshake failed, or a session ended, for reasons of TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsFailure {
    /// The other end's certificate is not vouched for by anyone trusted.
    Untrusted(String),
    /// It is, but for another name.
    OtherName(String),
    /// The other end does not take us: no certificate where one is demanded, or one that it does not trust.
    NotTaken(String),
    /// What the other end says is no TLS.
    NotTls,
    /// No version or cipher suite in common, or a peer that breaks the rules.
    Other(String),
}

impl TlsFailure {
    /// What an error of a stream says about TLS; none when it is of another kind.
    pub fn of(error: &io::Error) -> Option<Self> {
        let error = error.get_ref()?.downcast_ref::<Error>()?;
        Some(match error {
            Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            ) => Self::OtherName(words(error)),
            Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
                Self::Untrusted("its certificate is of no authority that is trusted here".to_owned())
            }
            Error::InvalidCertificate(_) => Self::Untrusted(words(error)),
            Error::InvalidMessage(_) => Self::NotTls,
            Error::AlertReceived(alert) => Self::of_alert(*alert),
            Error::NoCertificatesPresented => Self::Untrusted("it showed no certificate".to_owned()),
            other => Self::Other(words(other)),
        })
    }

    fn of_alert(alert: AlertDescription) -> Self {
        use AlertDescription as A;
        match alert {
            A::CertificateRequired => Self::NotTaken("it demands a client certificate".to_owned()),
            A::BadCertificate
            | A::UnsupportedCertificate
            | A::CertificateRevoked
            | A::CertificateExpired
            | A::CertificateUnknown
            | A::UnknownCA
            | A::AccessDenied
            | A::DecryptError => Self::NotTaken(format!("it does not take our certificate ({alert:?})")),
            A::ProtocolVersion => Self::Other("there is no TLS version in common".to_owned()),
            A::HandshakeFailure | A::InsufficientSecurity => {
                Self::Other(format!("it breaks the handshake off ({alert:?})"))
            }
            other => Self::Other(format!("it says {other:?}")),
        }
    }
}

/// rustls's text without a tail that only tells of its insides.
fn words(error: &Error) -> String {
    error.to_string()
}

impl fmt::Display for TlsFailure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untrusted(reason)
            | Self::OtherName(reason)
            | Self::NotTaken(reason)
            | Self::Other(reason) => out.write_str(reason),
            Self::NotTls => out.write_str("what it says is no TLS"),
        }
    }
}
