//! What a listener asks of its clients, from Kafka's `ssl.*` and `sasl.*` settings as plain values; never reads a
//! certificate.

use std::fmt;
use std::path::PathBuf;

use super::listen::Listen;
use crate::broker::ListenerSecurity;
use crate::broker::sasl::{Mechanism, NoMechanism};
use crate::net::tls::{ClientAuth, Identity, Pem, ServerTlsOptions, Spoken, TlsError};

/// Why a listener's security can not be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecurityError {
    /// A store of Java's own.
    StoreType {
        /// The setting.
        setting: &'static str,
        /// What it says.
        found: String,
    },
    /// TLS without a certificate.
    NoCertificate {
        /// The listener's name.
        listener: String,
    },
    /// A certificate in one setting without its key in the other.
    Half {
        /// The setting that is there.
        given: &'static str,
        /// The one that is not.
        missing: &'static str,
    },
    /// A password for what has none.
    Password {
        /// The setting.
        setting: String,
    },
    /// Users in JAAS form.
    Jaas {
        /// The setting.
        setting: String,
    },
    /// Rules for names of certificates.
    MappingRules {
        /// What they say.
        found: String,
    },
    /// Neither none nor requested nor required.
    ClientAuth {
        /// What was said instead.
        found: String,
    },
    /// A mechanism there is not.
    Mechanism(NoMechanism),
    /// SASL with no mechanism at all.
    NoMechanisms {
        /// The listener's name.
        listener: String,
    },
    /// What TLS itself refuses.
    Tls(TlsError),
}

impl SecurityError {
    /// The next thing to do, one line.
    pub fn next(&self) -> &'static str {
        match self {
            Self::StoreType { .. } => {
                "make a PEM file of it: keytool -importkeystore -deststoretype PKCS12 ..., then openssl pkcs12 -nodes -in X.p12 -out X.pem"
            }
            Self::NoCertificate { .. } => {
                "give -c ssl.keystore.location=FILE, a PEM file with the certificate chain and the private key"
            }
            Self::Half { .. } => "give both, or both in one file with ssl.keystore.location",
            Self::Password { .. } => {
                "leave it out; an encrypted key is decrypted with: openssl pkey -in X.pem -out Y.pem"
            }
            Self::Jaas { .. } => "leave it out; make users with: klog user add NAME",
            Self::MappingRules { .. } => {
                "leave it out; the principal is the certificate's whole subject, like User:CN=alice,O=x"
            }
            Self::ClientAuth { .. } => "set ssl.client.auth to none, requested or required",
            Self::Mechanism(_) | Self::NoMechanisms { .. } => {
                "set sasl.enabled.mechanisms to some of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512"
            }
            Self::Tls(_) => "see the settings with: klog broker config 'ssl.*'",
        }
    }
}

impl fmt::Display for SecurityError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StoreType { setting, found } => write!(out, "{setting}={found}: klog reads PEM only"),
            Self::NoCertificate { listener } => {
                write!(out, "the listener {listener} has TLS but no certificate")
            }
            Self::Half { given, missing } => write!(out, "{given} is set without {missing}"),
            Self::Password { setting } => write!(out, "{setting}: klog reads PEM that is not encrypted"),
            Self::Jaas { setting } => {
                write!(out, "{setting}: klog keeps its users in its own catalog, not in JAAS settings")
            }
            Self::MappingRules { found } => {
                write!(out, "ssl.principal.mapping.rules={found}: klog has DEFAULT only")
            }
            Self::ClientAuth { found } => write!(out, "ssl.client.auth={found}: there is no such thing"),
            Self::Mechanism(error) => error.fmt(out),
            Self::NoMechanisms { listener } => {
                write!(out, "the listener {listener} demands SASL, and sasl.enabled.mechanisms is empty")
            }
            Self::Tls(error) => error.fmt(out),
        }
    }
}

impl std::error::Error for SecurityError {}

impl From<TlsError> for SecurityError {
    fn from(error: TlsError) -> Self {
        Self::Tls(error)
    }
}

/// The settings as given, later ones winning; those of one listener (`listener.name.NAME.SETTING`) beat the others.
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    /// Names and values, in order.
    pub pairs: &'a [(&'a str, &'a str)],
}

impl<'a> Given<'a> {
    fn last(&self, wanted: impl Fn(&str) -> bool) -> Option<&'a str> {
        self.pairs.iter().rev().find(|(name, _)| wanted(name)).map(|(_, value)| value.trim())
    }

    /// A setting of one listener alone.
    fn own(&self, listener: &str, setting: &str) -> Option<&'a str> {
        let own = |name: &str| {
            let rest = name.strip_prefix("listener.name.").and_then(|rest| rest.split_once('.'));
            rest.is_some_and(|(name, rest)| name.eq_ignore_ascii_case(listener) && rest == setting)
        };
        self.last(own)
    }

    /// A setting as it holds for a listener; none where it is not set or empty.
    fn of(&self, listener: &str, setting: &str) -> Option<&'a str> {
        let found = self.own(listener, setting).or_else(|| self.last(|name| name == setting));
        found.filter(|value| !value.is_empty())
    }

    /// Refuses what no listener could honour: users in JAAS form.
    ///
    /// # Errors
    /// [`SecurityError::Jaas`].
    pub fn check(&self) -> Result<(), SecurityError> {
        let named = self.pairs.iter().rev().find(|(name, _)| name.ends_with("sasl.jaas.config"));
        named.map_or(Ok(()), |(name, _)| Err(SecurityError::Jaas { setting: (*name).to_owned() }))
    }
}

/// A listener, what it asks of its clients, and what its TLS is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listening {
    /// Where it listens.
    pub listen: Listen,
    /// What it asks.
    pub security: ListenerSecurity,
    /// Its certificate and the like, where it has TLS.
    pub tls: Option<ServerTlsOptions>,
}

impl Listening {
    /// By the settings.
    ///
    /// # Errors
    /// A setting that is missing or refused.
    pub fn new(listen: Listen, given: &Given<'_>) -> Result<Self, SecurityError> {
        let tls = if listen.tls { Some(tls_of(&listen, given)?) } else { None };
        let mut security =
            ListenerSecurity { sasl: listen.sasl, tls: listen.tls, ..ListenerSecurity::default() };
        if let Some(list) = given.of(&listen.name, "sasl.enabled.mechanisms") {
            let named = list.split(',').map(str::trim).filter(|name| !name.is_empty());
            let mechanisms: Result<_, _> = named.map(str::parse::<Mechanism>).collect();
            security.mechanisms = mechanisms.map_err(SecurityError::Mechanism)?;
        }
        if listen.sasl && security.mechanisms.is_empty() {
            return Err(SecurityError::NoMechanisms { listener: listen.name });
        }
        Ok(Self { listen, security, tls })
    }

    /// Whether it lets nobody in who has not shown who he is: by SASL, or by a certificate.
    pub fn demands_authentication(&self) -> bool {
        let certificate = self.tls.as_ref().is_some_and(|tls| tls.client_auth == ClientAuth::Required);
        self.security.sasl || certificate
    }
}

fn tls_of(listen: &Listen, given: &Given<'_>) -> Result<ServerTlsOptions, SecurityError> {
    let listener = listen.name.as_str();
    let of = |setting: &'static str| given.of(listener, setting);
    for setting in ["ssl.keystore.type", "ssl.truststore.type"] {
        if let Some(found) = of(setting).filter(|found| !found.eq_ignore_ascii_case("PEM")) {
            return Err(SecurityError::StoreType { setting, found: found.to_owned() });
        }
    }
    for setting in ["ssl.key.password", "ssl.keystore.password", "ssl.truststore.password"] {
        if of(setting).is_some() {
            return Err(SecurityError::Password { setting: setting.to_owned() });
        }
    }
    if let Some(found) = of("ssl.principal.mapping.rules").filter(|found| *found != "DEFAULT") {
        return Err(SecurityError::MappingRules { found: found.to_owned() });
    }
    // Where SASL says who a client is, only the listener's own setting asks for a certificate too (KIP-684).
    let client_auth =
        if listen.sasl { given.own(listener, "ssl.client.auth") } else { of("ssl.client.auth") };
    let client_auth = match client_auth.unwrap_or("none") {
        "none" => ClientAuth::None,
        "requested" => ClientAuth::Requested,
        "required" => ClientAuth::Required,
        found => return Err(SecurityError::ClientAuth { found: found.to_owned() }),
    };
    let mut spoken = Spoken::default();
    if let Some(list) = of("ssl.enabled.protocols") {
        spoken.set_versions(list)?;
    }
    if let Some(list) = of("ssl.cipher.suites") {
        spoken.set_suites(list)?;
    }
    let (chain, key) = ("ssl.keystore.certificate.chain", "ssl.keystore.key");
    let identity = match (of("ssl.keystore.location"), of(chain), of(key)) {
        (Some(path), None, None) => Identity::in_file(PathBuf::from(path)),
        (Some(_), Some(_), _) => return Err(SecurityError::Half { given: chain, missing: key }),
        (_, Some(text), Some(secret)) => {
            Identity { chain: Pem::Text(chain, text.to_owned()), key: Pem::Text(key, secret.to_owned()) }
        }
        (_, Some(_), None) => return Err(SecurityError::Half { given: chain, missing: key }),
        (_, None, Some(_)) => return Err(SecurityError::Half { given: key, missing: chain }),
        (None, None, None) => return Err(SecurityError::NoCertificate { listener: listener.to_owned() }),
    };
    let inline = |text: &str| Pem::Text("ssl.truststore.certificates", text.to_owned());
    let trust = match of("ssl.truststore.location") {
        Some(path) => Some(Pem::File(PathBuf::from(path))),
        None => of("ssl.truststore.certificates").map(inline),
    };
    Ok(ServerTlsOptions { identity, trust, client_auth, spoken })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::listen::parse_listen;

    fn with(
        listener: &str,
        pairs: &[(&str, &str)],
    ) -> Result<(ListenerSecurity, Option<ServerTlsOptions>), SecurityError> {
        let made = Listening::new(parse_listen(listener, 0).unwrap(), &Given { pairs })?;
        Ok((made.security, made.tls))
    }

    const STORE: (&str, &str) = ("ssl.keystore.location", "/k.pem");

    #[test]
    fn a_listeners_own_settings_beat_the_others() {
        let pairs = [
            ("listener.name.out.ssl.keystore.location", "/out.pem"),
            STORE,
            ("ssl.client.auth", "required"),
            ("listener.name.OUT.ssl.client.auth", "requested"),
            ("ssl.truststore.location", "/ca.pem"),
            ("listener.name.out.sasl.enabled.mechanisms", "PLAIN"),
        ];
        let (security, tls) = with("OUT=:1,tls,sasl", &pairs).unwrap();
        assert_eq!(
            (security.tls, security.sasl, &*security.mechanisms),
            (true, true, &[Mechanism::Plain][..])
        );
        let tls = tls.unwrap();
        assert_eq!(tls.identity, Identity::in_file("/out.pem".into()));
        assert_eq!(tls.client_auth, ClientAuth::Requested);
        let (security, tls) = with("IN=:1,tls", &pairs).unwrap();
        assert_eq!((security.sasl, security.mechanisms.len()), (false, 3));
        let tls = tls.unwrap();
        assert_eq!(
            (tls.identity, tls.client_auth),
            (Identity::in_file("/k.pem".into()), ClientAuth::Required)
        );
        assert_eq!(tls.trust, Some(Pem::File("/ca.pem".into())));
        assert_eq!(with(":1", &pairs).unwrap().1, None);
        let sasl = with("IN=:1,tls,sasl", &pairs).unwrap().1.unwrap();
        assert_eq!(sasl.client_auth, ClientAuth::None, "SASL says who it is");
    }

    #[test]
    fn pem_may_stand_in_the_settings_themselves() {
        let pairs = [
            ("ssl.keystore.key", "K"),
            ("ssl.keystore.certificate.chain", "C"),
            ("ssl.truststore.certificates", "T"),
        ];
        let tls = with(":1,tls", &pairs).unwrap().1.unwrap();
        assert_eq!(tls.identity.key, Pem::Text("ssl.keystore.key", "K".into()));
        assert_eq!(tls.trust, Some(Pem::Text("ssl.truststore.certificates", "T".into())));
    }

    #[test]
    fn what_is_not_done_is_refused_with_what_to_do_instead() {
        for (pairs, part) in [
            (&[][..], "has TLS but no certificate"),
            (&[STORE, ("ssl.keystore.type", "JKS")], "ssl.keystore.type=JKS: klog reads PEM only"),
            (&[STORE, ("ssl.truststore.type", "PKCS12")], "PKCS12"),
            (&[STORE, ("ssl.key.password", "x")], "ssl.key.password: klog reads PEM that is not encrypted"),
            (&[STORE, ("ssl.principal.mapping.rules", "RULE:x/y/")], "klog has DEFAULT only"),
            (&[STORE, ("ssl.enabled.protocols", "TLSv1.1")], "TLSv1.1"),
            (&[STORE, ("ssl.cipher.suites", "NO_SUCH")], "NO_SUCH"),
            (&[("ssl.keystore.key", "K")], "ssl.keystore.key is set without ssl.keystore.certificate.chain"),
            (&[STORE, ("sasl.enabled.mechanisms", "GSSAPI")], "there is no SASL mechanism GSSAPI"),
        ] {
            let error = with(":1,tls,sasl", pairs).unwrap_err();
            assert!(error.to_string().contains(part) && !error.next().is_empty(), "{part}: {error}");
        }
        let error = with(":1,tls", &[STORE, ("ssl.client.auth", "maybe")]).unwrap_err();
        assert!(error.to_string().contains("ssl.client.auth=maybe"), "{error}");
        let jaas = [("listener.name.x.plain.sasl.jaas.config", "...")];
        let error = Given { pairs: &jaas }.check().unwrap_err();
        assert!(
            error.to_string().starts_with("listener.name.x.plain.sasl.jaas.config")
                && error.next().contains("klog user add")
        );
    }
}
