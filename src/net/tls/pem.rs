//! Certificates and keys from PEM text, in files or given as they are; must never say anything of a key's bytes.

use std::fmt;
use std::path::PathBuf;

use rustls::RootCertStore;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::TlsError;

/// Where PEM text is.
#[derive(Clone, PartialEq, Eq)]
pub enum Pem {
    /// In a file, read again at every reload.
    File(PathBuf),
    /// Given as it is, as the value of the named setting.
    Text(&'static str, String),
}

impl fmt::Display for Pem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(out, "{}", path.display()),
            Self::Text(name, _) => out.write_str(name),
        }
    }
}

// The text may be a private key.
impl fmt::Debug for Pem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Pem({self})")
    }
}

/// Who one end is: its certificate with those above it, and its private key. Both may stand in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, then those that lead to a root.
    pub chain: Pem,
    /// The private key: PKCS #8, PKCS #1 or SEC 1, not encrypted.
    pub key: Pem,
}

impl Identity {
    /// Both from one file.
    pub fn in_file(path: PathBuf) -> Self {
        Self { chain: Pem::File(path.clone()), key: Pem::File(path) }
    }

    pub(super) fn load(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
        let key = self.key.text()?;
        if key.windows(ENCRYPTED.len()).any(|window| window == ENCRYPTED)
            || key.windows(OLD_ENCRYPTED.len()).any(|window| window == OLD_ENCRYPTED)
        {
            return Err(TlsError::Encrypted(self.key.to_string()));
        }
        let key = PrivateKeyDer::from_pem_slice(&key).map_err(|error| match error {
            rustls_pki_types::pem::Error::NoItemsFound => TlsError::NoKey(self.key.to_string()),
            other => self.key.bad(other),
        })?;
        Ok((self.chain.certificates()?, key))
    }
}

/// PKCS #8, and what OpenSSL wrote before it.
const ENCRYPTED: &[u8] = b"-----BEGIN ENCRYPTED PRIVATE KEY-----";
const OLD_ENCRYPTED: &[u8] = b"Proc-Type: 4,ENCRYPTED";

impl Pem {
    fn text(&self) -> Result<Vec<u8>, TlsError> {
        match self {
            Self::File(path) => std::fs::read(path)
                .map_err(|error| TlsError::Read { file: self.to_string(), reason: error.kind().to_string() }),
            Self::Text(_, text) => Ok(lines(text).into_bytes()),
        }
    }

    fn bad(&self, error: impl fmt::Display) -> TlsError {
        TlsError::Malformed { file: self.to_string(), reason: error.to_string() }
    }

    pub(super) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let text = self.text()?;
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
        match found.map_err(|error| self.bad(error))? {
            none if none.is_empty() => Err(TlsError::NoCertificate(self.to_string())),
            found => Ok(found),
        }
    }

    /// The certificates as those that are trusted to vouch for others.
    pub(super) fn roots(&self) -> Result<RootCertStore, TlsError> {
        let mut store = RootCertStore::empty();
        for certificate in self.certificates()? {
            store.add(certificate).map_err(|error| self.bad(error))?;
        }
        Ok(store)
    }
}

/// PEM on one line, as it comes out of many a config file, with its lines back: the reader wants the marks to stand on
/// lines of their own.
fn lines(text: &str) -> String {
    if text.trim().contains('\n') {
        return text.lines().map(str::trim).collect::<Vec<_>>().join("\n");
    }
    let mut out = String::with_capacity(text.len() + 64);
    let mut rest = text.trim();
    while let Some(begin) = rest.find("-----BEGIN") {
        let Some(head) =
            rest.get(begin + 5..).and_then(|after| after.find("-----")).map(|at| begin + 10 + at)
        else {
            break;
        };
        let Some(tail) = rest.find("-----END") else { break };
        let end = rest.get(tail + 5..).and_then(|after| after.find("-----")).map(|at| tail + 10 + at);
        let (Some(end), true) = (end, head <= tail) else { break };
        let part = |from: usize, to: usize| rest.get(from..to).unwrap_or_default();
        let body: String = part(head, tail).split_whitespace().collect();
        out.extend([part(begin, head), "\n", &body, "\n", part(tail, end), "\n"]);
        rest = rest.get(end..).unwrap_or_default();
    }
    if out.is_empty() { text.to_owned() } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pem_on_one_line_gets_its_lines_back() {
        let one = "-----BEGIN CERTIFICATE----- AAAA BBBB -----END CERTIFICATE----- -----BEGIN X-----CC-----END X-----";
        assert_eq!(
            lines(one),
            "-----BEGIN CERTIFICATE-----\nAAAABBBB\n-----END CERTIFICATE-----\n-----BEGIN X-----\nCC\n-----END X-----\n"
        );
        assert_eq!(
            lines("-----BEGIN X-----\n  AA\n -----END X-----"),
            "-----BEGIN X-----\nAA\n-----END X-----"
        );
        for odd in ["", "no PEM", "-----BEGIN X", "-----END X----- -----BEGIN X-----", "-----BEGIN X----- AA"]
        {
            assert_eq!(lines(odd), odd);
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let pem = |text: &str| Pem::Text("ssl.keystore.key", text.to_owned());
        let certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let load = |key: &str| {
            let identity = Identity { chain: pem(certificate), key: pem(key) };
            identity.load().unwrap_err().to_string()
        };
        assert!(load(certificate).contains("ssl.keystore.key has no private key"));
        let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        assert!(load(encrypted).contains("encrypted"), "{}", load(encrypted));
        let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
        assert!(load(old).contains("encrypted"));
        assert!(pem("").certificates().unwrap_err().to_string().contains("has no certificate"));
        let gone = Pem::File("/nowhere/x.pem".into()).certificates().unwrap_err().to_string();
        assert!(gone.contains("/nowhere/x.pem"), "{gone}");
        assert_eq!(format!("{:?}", pem("secret")), "Pem(ssl.keystore.key)");
    }
}
