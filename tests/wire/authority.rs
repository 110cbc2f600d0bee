//! A certificate authority for tests: certificates and keys as PEM files.
#![allow(clippy::unwrap_used, clippy::expect_used, dead_code, unreachable_pub)]

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// Somebody who vouches for others.
pub struct Authority {
    folder: PathBuf,
    name: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new one, whose own certificate is `NAME.pem` in the folder.
    pub fn new(folder: &Path, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
        Self { folder: folder.to_owned(), name: name.to_owned(), issuer: Issuer::new(params, key) }
    }

    /// The file with its own certificate.
    pub fn file(&self) -> PathBuf {
        self.folder.join(format!("{}.pem", self.name))
    }

    /// A certificate for these host names, with its key behind it in one file `FILE.pem`.
    pub fn server(&self, file: &str, names: &[&str]) -> PathBuf {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        self.sign(file, CertificateParams::new(names).unwrap(), &[(DnType::CommonName, "broker")])
    }

    /// A client's certificate: `CN=NAME,O=x`.
    pub fn client(&self, name: &str) -> PathBuf {
        let subject = [(DnType::OrganizationName, "x"), (DnType::CommonName, name)];
        self.sign(name, CertificateParams::new(Vec::new()).unwrap(), &subject)
    }

    fn sign(&self, file: &str, mut params: CertificateParams, subject: &[(DnType, &str)]) -> PathBuf {
        let key = KeyPair::generate().unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, value) in subject {
            params.distinguished_name.push(kind.clone(), *value);
        }
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let path = self.folder.join(format!("{file}.pem"));
        std::fs::write(&path, certificate.pem() + &key.serialize_pem()).unwrap();
        path
    }
}

/// A certificate that nobody but itself vouches for and that says it is an authority's, as `openssl req -x509` makes
/// them; with its key.
pub fn self_signed(folder: &Path, file: &str, name: &str) -> PathBuf {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let path = folder.join(format!("{file}.pem"));
    std::fs::write(&path, params.self_signed(&key).unwrap().pem() + &key.serialize_pem()).unwrap();
    path
}
