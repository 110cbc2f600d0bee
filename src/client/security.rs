//! How a client reaches its broker in safety: `security.protocol`, `sasl.*` and `ssl.*` as plain values; must never
//! show a password.

use std::fmt;
use std::path::PathBuf;

use super::ClientError;
use crate::auth::PLAIN;
use crate::auth::scram::Mechanism as Scram;
use crate::net::tls::{ClientTls, ClientTlsOptions, Identity, Pem, Spoken};

/// A text that is shown nowhere.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    /// The text.
    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("(hidden)")
    }
}

/// How a client shows who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaslMechanism {
    /// `PLAIN`: says the password.
    Plain,
    /// `SCRAM-SHA-256`, `SCRAM-SHA-512`: shows that it knows the password.
    Scram(Scram),
}

impl SaslMechanism {
    /// Its name in SASL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => PLAIN,
            Self::Scram(scram) => scram.name(),
        }
    }
}

/// Everything about a client's security, as its properties say. On a Unix socket none of it is used: there the file's
/// permissions say who may come in, and nothing leaves the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Security {
    /// Connections are encrypted (`security.protocol` SSL, SASL_SSL).
    pub tls: bool,
    /// The client authenticates by SASL (`security.protocol` SASL_PLAINTEXT, SASL_SSL).
    pub sasl: bool,
    /// `sasl.mechanism`; SCRAM-SHA-512 where nothing is said, PLAIN where a PlainLoginModule is.
    pub mechanism: Option<SaslMechanism>,
    /// `sasl.username`
    pub username: Option<String>,
    /// `sasl.password`
    pub password: Option<Secret>,
    /// Who vouches for the broker (`ssl.ca.location`, `ssl.truststore.location`); the system's roots without it.
    pub trust: Option<Pem>,
    /// The client's certificate and those above it.
    pub chain: Option<Pem>,
    /// Its private key; in the certificate's file where none is named.
    pub key: Option<Pem>,
    /// The broker's certificate must name the host dialled (`ssl.endpoint.identification.algorithm`).
    pub verify_name: bool,
    /// Versions and cipher suites.
    pub spoken: Spoken,
}

impl Default for Security {
    fn default() -> Self {
        Self {
            tls: false,
            sasl: false,
            mechanism: None,
            username: None,
            password: None,
            trust: None,
            chain: None,
            key: None,
            verify_name: true,
            spoken: Spoken::default(),
        }
    }
}

impl Security {
    /// The mechanism in force.
    pub fn mechanism(&self) -> SaslMechanism {
        self.mechanism.unwrap_or(SaslMechanism::Scram(Scram::Sha512))
    }

    /// The name that it logs in with; none where it does not.
    pub fn user(&self) -> Option<&str> {
        self.username.as_deref().filter(|name| self.sasl && !name.is_empty())
    }

    /// Holds the values against each other.
    ///
    /// # Errors
    /// [`ClientError::Option`].
    pub(super) fn check(&self) -> Result<(), ClientError> {
        let wrong = |text: &str| Err(ClientError::Option(text.to_owned()));
        if self.sasl && (self.username.is_none() || self.password.is_none()) {
            return wrong("security.protocol asks for SASL: give sasl.username and sasl.password");
        }
        if self.key.is_some() && self.chain.is_none() {
            return wrong("ssl.key.location is set without ssl.certificate.location");
        }
        Ok(())
    }

    /// Reads the certificates that TLS needs; none without TLS.
    ///
    /// # Errors
    /// [`ClientError::Option`] for a file that is missing or holds something else.
    pub(super) fn load(&self) -> Result<Option<ClientTls>, ClientError> {
        if !self.tls {
            return Ok(None);
        }
        let identity = self.chain.as_ref().map(|chain| Identity {
            chain: chain.clone(),
            key: self.key.clone().unwrap_or_else(|| chain.clone()),
        });
        let options = ClientTlsOptions {
            trust: self.trust.clone(),
            identity,
            verify_name: self.verify_name,
            spoken: self.spoken.clone(),
        };
        ClientTls::load(&options).map(Some).map_err(|error| ClientError::Option(error.to_string()))
    }

    pub(super) fn set_protocol(&mut self, text: &str) -> Result<(), &'static str> {
        (self.tls, self.sasl) = match text.to_ascii_uppercase().as_str() {
            "PLAINTEXT" => (false, false),
            "SSL" => (true, false),
            "SASL_PLAINTEXT" => (false, true),
            "SASL_SSL" => (true, true),
            _ => return Err("PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL"),
        };
        Ok(())
    }

    pub(super) fn set_mechanism(&mut self, text: &str) -> Result<(), &'static str> {
        self.mechanism = match text {
            PLAIN => Some(SaslMechanism::Plain),
            other => {
                let scram = Scram::from_name(other).ok_or("PLAIN, SCRAM-SHA-256, SCRAM-SHA-512")?;
                Some(SaslMechanism::Scram(scram))
            }
        };
        Ok(())
    }

    /// Takes name and password from what Java clients are told: `MODULE required username="..." password="...";`.
    pub(super) fn set_jaas(&mut self, text: &str) -> Result<(), &'static str> {
        const ALLOWED: &str =
            "ScramLoginModule or PlainLoginModule with required username=\"NAME\" password=\"PASSWORD\";";
        let (module, rest) = text.trim().split_once(char::is_whitespace).ok_or(ALLOWED)?;
        let plain = match module.rsplit('.').next() {
            Some("PlainLoginModule") => true,
            Some("ScramLoginModule") => false,
            _ => return Err(ALLOWED),
        };
        let options = jaas_options(rest).ok_or(ALLOWED)?;
        let named = |wanted: &str| options.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
        let (Some(username), Some(password)) = (named("username"), named("password")) else {
            return Err(ALLOWED);
        };
        self.username = Some(username.clone());
        self.password = Some(Secret(password.clone()));
        if plain && self.mechanism.is_none() {
            self.mechanism = Some(SaslMechanism::Plain);
        }
        Ok(())
    }

    pub(super) fn set_name_check(&mut self, text: &str) -> Result<(), &'static str> {
        self.verify_name = match text.to_ascii_lowercase().as_str() {
            "https" => true,
            "" | "none" => false,
            _ => return Err("https, or empty: then the certificate's name is not looked at"),
        };
        Ok(())
    }
}

/// A file of PEM text; none where nothing is named.
pub(super) fn file(text: &str) -> Option<Pem> {
    (!text.is_empty()).then(|| Pem::File(PathBuf::from(text)))
}

/// PEM text that is a property's value.
pub(super) fn inline(name: &'static str, text: &str) -> Option<Pem> {
    (!text.is_empty()).then(|| Pem::Text(name, text.to_owned()))
}

pub(super) fn store_type(text: &str) -> Result<(), &'static str> {
    if text.eq_ignore_ascii_case("PEM") {
        return Ok(());
    }
    Err(
        "PEM only; make a PEM file of a Java keystore with keytool -importkeystore, then openssl pkcs12 -nodes",
    )
}

pub(super) fn no_password(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        Ok(())
    } else {
        Err("none: klog reads PEM that is not encrypted; decrypt with openssl pkey")
    }
}

/// `required name="value" ... ;` as pairs; none when it is something else.
fn jaas_options(text: &str) -> Option<Vec<(String, String)>> {
    let mut rest = text.trim().strip_suffix(';')?.trim_end();
    rest = ["required", "requisite", "sufficient", "optional"]
        .iter()
        .find_map(|flag| rest.strip_prefix(flag))?;
    let mut options = Vec::new();
    while !rest.trim_start().is_empty() {
        let (name, tail) = rest.trim_start().split_once('=')?;
        let tail = tail.trim_start();
        let quote = tail.chars().next().filter(|letter| matches!(letter, '"' | '\''));
        let mut value = String::new();
        let mut letters = tail.char_indices().skip(usize::from(quote.is_some()));
        let end = loop {
            match letters.next() {
                Some((_, '\\')) if quote.is_some() => value.push(letters.next()?.1),
                Some((at, letter)) if Some(letter) == quote => break at + 1,
                Some((at, letter)) if quote.is_none() && letter.is_whitespace() => break at,
                Some((_, letter)) => value.push(letter),
                None if quote.is_none() => break tail.len(),
                None => return None,
            }
        };
        options.push((name.trim().to_owned(), value));
        rest = tail.get(end..)?;
    }
    Some(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_java_clients_are_told_is_understood() {
        let mut security = Security::default();
        security
            .set_jaas(
                "org.apache.kafka.common.security.plain.PlainLoginModule required\n username=\"ali ce\" password='se\\'c\"ret;' ;",
            )
            .unwrap();
        assert_eq!(security.username.as_deref(), Some("ali ce"));
        assert_eq!(security.password.as_ref().map(Secret::text), Some("se'c\"ret;"));
        assert_eq!(security.mechanism(), SaslMechanism::Plain);
        let mut security = Security::default();
        security
            .set_jaas("a.b.ScramLoginModule required username=bob password=x tokenauth=\"false\";")
            .unwrap();
        assert_eq!(
            (security.username.as_deref(), security.mechanism().name()),
            (Some("bob"), "SCRAM-SHA-512")
        );
        for bad in [
            "",
            "x",
            "Krb5LoginModule required username=\"a\" password=\"b\";",
            "PlainLoginModule required username=\"a\" password=\"b\"",
            "PlainLoginModule required username=\"a\";",
            "PlainLoginModule username=\"a\" password=\"b\";",
            "PlainLoginModule required username=\"a password=b;",
            "PlainLoginModule required username;",
        ] {
            assert!(Security::default().set_jaas(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_password_is_shown_nowhere() {
        let security = Security { password: Some("s3cret".into()), ..Security::default() };
        assert!(!format!("{security:?}").contains("s3cret"));
    }
}
