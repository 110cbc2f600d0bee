//! The client's side of SCRAM: shows that it knows the password without saying it, and believes no server that does
//! not know it too.

use super::Mechanism;
use super::message::{attribute, base64, check_nonce, escaped, extensions, from_base64, text};
use crate::auth::AuthError;
use crate::auth::credential::{Credential, MIN_ITERATIONS, same};

/// Most rounds a server may ask for: a second of work.
const MOST_ITERATIONS: u64 = 1_000_000;

/// A client in the middle of an exchange.
pub struct Client {
    mechanism: Mechanism,
    password: String,
    nonce: String,
    first_bare: String,
    step: Step,
}

enum Step {
    Challenge,
    Verdict { signature: Vec<u8> },
    Over,
}

impl Client {
    /// A client at the beginning. `nonce` is random text for this exchange alone, see [`super::nonce`].
    pub fn new(mechanism: Mechanism, username: &str, password: &str, nonce: String) -> Self {
        let first_bare = format!("n={},r={nonce}", escaped(username));
        Self { mechanism, password: password.to_owned(), nonce, first_bare, step: Step::Challenge }
    }

    /// The first message.
    pub fn first(&self) -> Vec<u8> {
        format!("n,,{}", self.first_bare).into_bytes()
    }

    /// The answer to a message of the server; `None` once the server has shown that it knows the password as well.
    /// The first call is milliseconds of work.
    ///
    /// # Errors
    /// Why the exchange is over: every call after that is `WrongStep`.
    pub fn next(&mut self, server_message: &[u8]) -> Result<Option<Vec<u8>>, AuthError> {
        match std::mem::replace(&mut self.step, Step::Over) {
            Step::Challenge => self.prove(server_message).map(Some),
            Step::Verdict { signature } => verify(server_message, &signature).map(|()| None),
            Step::Over => Err(AuthError::WrongStep),
        }
    }

    fn prove(&mut self, message: &[u8]) -> Result<Vec<u8>, AuthError> {
        let server_first = text(message)?;
        refused(server_first)?;
        let mut rest = Some(server_first);
        let nonce = attribute(&mut rest, 'r', "the server's first message has no nonce")?;
        let salt = attribute(&mut rest, 's', "the server's first message has no salt")?;
        let rounds = attribute(&mut rest, 'i', "the server's first message has no iterations")?;
        extensions(rest)?;
        check_nonce(nonce)?;
        if nonce.len() <= self.nonce.len() || !nonce.starts_with(&self.nonce) {
            return Err(AuthError::Malformed("the server's nonce does not begin with the client's"));
        }
        let salt = from_base64(salt, "the salt is not base64")?;
        let bad = AuthError::Malformed("the iterations are no number");
        let iterations = rounds.parse::<u64>().map_err(|_| bad.clone())?;
        if iterations < MIN_ITERATIONS.unsigned_abs().into() || iterations > MOST_ITERATIONS {
            return Err(AuthError::Iterations(iterations));
        }
        let iterations = i32::try_from(iterations).map_err(|_| bad)?;
        let salted = self.mechanism.salted_password(self.password.as_bytes(), &salt, iterations);
        self.password.clear();
        let keys = Credential::of_salted(self.mechanism, &salted, &salt, iterations);
        let without_proof = format!("c={},r={nonce}", base64(b"n,,"));
        let transcript = format!("{},{server_first},{without_proof}", self.first_bare);
        let signed = self.mechanism.hmac(&keys.stored_key, &[transcript.as_bytes()]);
        let client_key = self.mechanism.hmac(&salted, &[b"Client Key"]);
        let proof: Vec<u8> = client_key.iter().zip(&signed).map(|(key, sign)| key ^ sign).collect();
        let signature = self.mechanism.hmac(&keys.server_key, &[transcript.as_bytes()]);
        self.step = Step::Verdict { signature };
        Ok(format!("{without_proof},p={}", base64(&proof)).into_bytes())
    }
}

fn verify(message: &[u8], signature: &[u8]) -> Result<(), AuthError> {
    let last = text(message)?;
    refused(last)?;
    let mut rest = Some(last);
    let said = attribute(&mut rest, 'v', "the server's last message has no signature")?;
    extensions(rest)?;
    let said = from_base64(said, "the server's signature is not base64")?;
    if same(&said, signature) { Ok(()) } else { Err(AuthError::ServerUnproven) }
}

/// A server's `e=` in place of what was expected.
fn refused(message: &str) -> Result<(), AuthError> {
    match message.strip_prefix("e=") {
        Some(why) => {
            let why = why.split(',').next().unwrap_or_default();
            Err(AuthError::Refused(why.chars().filter(|letter| !letter.is_control()).take(200).collect()))
        }
        None => Ok(()),
    }
}
