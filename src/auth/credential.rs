//! What is kept of a user's password: salt, rounds and two keys (RFC 5802), from which the password can not be had
//! back; every comparison takes the same time whatever differs.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq;

/// Fewest rounds of a credential, as in Kafka.
pub const MIN_ITERATIONS: i32 = 4_096;
/// Most rounds of a new credential, as in Kafka.
pub const MAX_ITERATIONS: i32 = 16_384;
/// Rounds of a credential where nothing else is asked for.
pub const DEFAULT_ITERATIONS: i32 = 8_192;
/// Bytes of a new salt.
pub const SALT_BYTES: usize = 16;

/// A SCRAM mechanism: the digest it uses. Numbers are Kafka's (`ScramMechanism`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ScramMechanism {
    /// SCRAM-SHA-256 (RFC 7677).
    Sha256 = 1,
    /// SCRAM-SHA-512.
    Sha512 = 2,
}

impl ScramMechanism {
    /// Both, by number.
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Sha512];

    /// Its name in SASL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "SCRAM-SHA-256",
            Self::Sha512 => "SCRAM-SHA-512",
        }
    }

    /// The mechanism of that name in SASL.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    /// Its number.
    pub fn code(self) -> i8 {
        self as i8
    }

    /// The mechanism of that number.
    pub fn from_code(code: i8) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.code() == code)
    }

    /// Bytes of its digest, and so of every key.
    pub fn key_bytes(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    pub(super) fn hash(self, of: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(of).to_vec(),
            Self::Sha512 => Sha512::digest(of).to_vec(),
        }
    }

    pub(super) fn hmac(self, key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
        fn run<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
            // A key of any length is taken; there is no other error.
            let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else { return Vec::new() };
            parts.iter().for_each(|part| mac.update(part));
            mac.finalize().into_bytes().to_vec()
        }
        match self {
            Self::Sha256 => run::<Hmac<Sha256>>(key, parts),
            Self::Sha512 => run::<Hmac<Sha512>>(key, parts),
        }
    }

    /// The salted password: `iterations` rounds of PBKDF2 (RFC 5802's `Hi`), milliseconds of work.
    pub fn salted_password(self, password: &[u8], salt: &[u8], iterations: i32) -> Vec<u8> {
        let rounds = u32::try_from(iterations).unwrap_or(0).max(1);
        let mut salted = vec![0; self.key_bytes()];
        match self {
            Self::Sha256 => pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, rounds, &mut salted),
            Self::Sha512 => pbkdf2::pbkdf2_hmac::<Sha512>(password, salt, rounds, &mut salted),
        }
        salted
    }
}

impl fmt::Display for ScramMechanism {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// What is kept of a user for one mechanism.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// Goes into the first round.
    pub salt: Vec<u8>,
    /// Rounds, [`MIN_ITERATIONS`] to [`MAX_ITERATIONS`].
    pub iterations: i32,
    /// Holds the client's proof against it.
    pub stored_key: Vec<u8>,
    /// Shows the client that this is the server it knows.
    pub server_key: Vec<u8>,
}

impl fmt::Debug for Credential {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Credential").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

impl Credential {
    /// Of a password: milliseconds of work.
    pub fn of_password(mechanism: ScramMechanism, password: &[u8], salt: &[u8], iterations: i32) -> Self {
        let salted = mechanism.salted_password(password, salt, iterations);
        Self::of_salted(mechanism, &salted, salt, iterations)
    }

    /// Of a password that the client has salted.
    pub fn of_salted(mechanism: ScramMechanism, salted: &[u8], salt: &[u8], iterations: i32) -> Self {
        let client_key = mechanism.hmac(salted, &[b"Client Key"]);
        Self {
            salt: salt.to_vec(),
            iterations,
            stored_key: mechanism.hash(&client_key),
            server_key: mechanism.hmac(salted, &[b"Server Key"]),
        }
    }

    /// One for a user who has none, which no password opens: always the same for the same name, and in form like
    /// `like`, so that who tries names learns nothing. `secret` is the node's, and must be neither guessed nor changed.
    pub fn made_up(mechanism: ScramMechanism, name: &str, secret: &[u8], like: Option<&Self>) -> Self {
        let drawn = |what: &[u8]| mechanism.hmac(secret, &[what, name.as_bytes()]);
        let mut salt = drawn(b"salt");
        salt.truncate(like.map_or(SALT_BYTES, |like| like.salt.len()));
        Self {
            salt,
            iterations: like.map_or(DEFAULT_ITERATIONS, |like| like.iterations),
            stored_key: drawn(b"stored key"),
            server_key: drawn(b"server key"),
        }
    }

    /// A number between 0 and 1, neither included, for some words: always the same, and as good as random to who does
    /// not know `secret`.
    pub fn drawn(secret: &[u8], words: &[&[u8]]) -> f64 {
        let bytes = ScramMechanism::Sha256.hmac(secret, words);
        let bits = bytes.first_chunk().map_or(0, |first| u64::from_be_bytes(*first) >> 12);
        (bits as f64 + 0.5) / (1_u64 << 52) as f64
    }

    /// Whether `password` is the one: milliseconds of work.
    pub fn opens_with(&self, mechanism: ScramMechanism, password: &[u8]) -> bool {
        let tried = Self::of_password(mechanism, password, &self.salt, self.iterations);
        same(&tried.stored_key, &self.stored_key)
    }
}

/// Whether two secrets are the same, in a time that says nothing of where they differ.
pub(super) fn same(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_opens_its_own_credential_alone() {
        for mechanism in ScramMechanism::ALL {
            let kept = Credential::of_password(mechanism, b"pencil", b"salty", MIN_ITERATIONS);
            assert_eq!(kept.stored_key.len(), mechanism.key_bytes());
            assert!(kept.opens_with(mechanism, b"pencil"));
            for wrong in [&b"Pencil"[..], b"", b"pencil "] {
                assert!(!kept.opens_with(mechanism, wrong));
            }
            assert_eq!(ScramMechanism::from_name(mechanism.name()), Some(mechanism));
            assert_eq!(ScramMechanism::from_code(mechanism.code()), Some(mechanism));
            assert!(!format!("{kept:?}").contains(&format!("{:?}", kept.stored_key)));
        }
        assert_eq!(ScramMechanism::from_code(0), None);
        assert_eq!(ScramMechanism::from_name("SCRAM-SHA-1"), None);
    }

    #[test]
    fn what_is_made_up_stays_and_looks_like_the_others() {
        let mechanism = ScramMechanism::Sha512;
        let like = Credential::of_password(mechanism, b"x", &[7; 26], 4_097);
        let one = Credential::made_up(mechanism, "nobody", b"secret", Some(&like));
        assert_eq!(one, Credential::made_up(mechanism, "nobody", b"secret", Some(&like)));
        assert_eq!((one.salt.len(), one.iterations), (26, 4_097));
        let other = Credential::made_up(mechanism, "nobody2", b"secret", None);
        assert!(one.salt != other.salt && one.stored_key != one.server_key);
        assert_eq!((other.salt.len(), other.iterations), (SALT_BYTES, DEFAULT_ITERATIONS));
    }
}
