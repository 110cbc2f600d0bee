//! The server's side of SCRAM: name, challenge, proof, one after the other and once each; who has no credential is
//! told no sooner, and in no other way, than who has another password.

use super::Mechanism;
use super::message::{attribute, base64, check_nonce, extensions, from_base64, text, unescaped};
use crate::auth::AuthError;
use crate::auth::credential::{Credential, same};

/// A server in the middle of an exchange.
pub struct Server {
    mechanism: Mechanism,
    step: Step,
}

enum Step {
    First,
    Named { user: String, nonce: String, header: String, first_bare: String },
    Challenged { user: String, nonce: String, header: String, transcript: String, credential: Credential },
    Proven { user: String },
    Over,
}

impl Server {
    /// A server at the beginning.
    pub fn new(mechanism: Mechanism) -> Self {
        Self { mechanism, step: Step::First }
    }

    /// The mechanism.
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// Whether the client's first message is what comes next.
    pub fn is_new(&self) -> bool {
        matches!(self.step, Step::First)
    }

    /// Takes the client's first message; answers the name whose credential [`Server::challenge`] needs.
    ///
    /// # Errors
    /// Why the exchange is over.
    pub fn first(&mut self, message: &[u8]) -> Result<&str, AuthError> {
        let Step::First = std::mem::replace(&mut self.step, Step::Over) else {
            return Err(AuthError::WrongStep);
        };
        self.step = read_first(text(message)?)?;
        match &self.step {
            Step::Named { user, .. } => Ok(user),
            _ => Err(AuthError::WrongStep),
        }
    }

    /// The challenge for the client, over the credential of the name: its own, or one that was made up
    /// ([`Credential::made_up`]). `nonce` is random text for this exchange alone.
    ///
    /// # Errors
    /// `WrongStep`.
    pub fn challenge(&mut self, credential: Credential, nonce: &str) -> Result<Vec<u8>, AuthError> {
        let Step::Named { user, nonce: client, header, first_bare } =
            std::mem::replace(&mut self.step, Step::Over)
        else {
            return Err(AuthError::WrongStep);
        };
        let nonce = client + nonce;
        let challenge = format!("r={nonce},s={},i={}", base64(&credential.salt), credential.iterations);
        let transcript = format!("{first_bare},{challenge}");
        self.step = Step::Challenged { user, nonce, header, transcript, credential };
        Ok(challenge.into_bytes())
    }

    /// Takes the client's proof; answers the last message, after which [`Server::user`] says who it is.
    ///
    /// # Errors
    /// Why the exchange is over: `BadCredentials` for a wrong password and for a user who is none.
    pub fn last(&mut self, message: &[u8]) -> Result<Vec<u8>, AuthError> {
        let Step::Challenged { user, nonce, header, transcript, credential } =
            std::mem::replace(&mut self.step, Step::Over)
        else {
            return Err(AuthError::WrongStep);
        };
        let all = text(message)?;
        let (without_proof, proof) =
            all.rsplit_once(",p=").ok_or(AuthError::Malformed("the client's last message has no proof"))?;
        let mut rest = Some(without_proof);
        let binding = attribute(&mut rest, 'c', "the client's last message has no channel binding")?;
        let said = attribute(&mut rest, 'r', "the client's last message has no nonce")?;
        extensions(rest)?;
        if from_base64(binding, "the channel binding is not base64")? != header.as_bytes() {
            return Err(AuthError::Malformed("the channel binding is not the one of the first message"));
        }
        // As in Kafka, its end counts: librdkafka before 2.6 puts its own part there twice.
        if !said.ends_with(&nonce) {
            return Err(AuthError::Malformed("the nonce is not the one of this exchange"));
        }
        let proof = from_base64(proof, "the proof is not base64")?;
        let transcript = format!("{transcript},{without_proof}");
        let signed = self.mechanism.hmac(&credential.stored_key, &[transcript.as_bytes()]);
        let client_key: Vec<u8> = proof.iter().zip(&signed).map(|(proof, sign)| proof ^ sign).collect();
        let fits = proof.len() == signed.len();
        if !(same(&self.mechanism.hash(&client_key), &credential.stored_key) && fits) {
            return Err(AuthError::BadCredentials);
        }
        let signature = self.mechanism.hmac(&credential.server_key, &[transcript.as_bytes()]);
        self.step = Step::Proven { user };
        Ok(format!("v={}", base64(&signature)).into_bytes())
    }

    /// The name whose proof comes next: nothing is shown yet.
    pub fn claimed(&self) -> Option<&str> {
        match &self.step {
            Step::Challenged { user, .. } => Some(user),
            _ => None,
        }
    }

    /// Who has shown who he is.
    pub fn user(&self) -> Option<&str> {
        match &self.step {
            Step::Proven { user } => Some(user),
            _ => None,
        }
    }
}

fn read_first(message: &str) -> Result<Step, AuthError> {
    let mut parts = message.splitn(3, ',');
    let (Some(flag), Some(acting_for), Some(bare)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(AuthError::Malformed("the client's first message is not whole"));
    };
    match flag {
        // `y`: the client could bind to the channel, and sees that the server can not.
        "n" | "y" => {}
        _ if flag.starts_with("p=") => {
            return Err(AuthError::Unsupported("channel binding is not done here"));
        }
        _ => return Err(AuthError::Malformed("the client's first message begins with none of n, y and p")),
    }
    if bare.starts_with("m=") {
        return Err(AuthError::Unsupported("an extension is demanded that is not known here"));
    }
    let mut rest = Some(bare);
    let user = unescaped(attribute(&mut rest, 'n', "the client's first message has no name")?)?;
    let nonce = attribute(&mut rest, 'r', "the client's first message has no nonce")?;
    check_nonce(nonce)?;
    extensions(rest)?;
    if rest.is_some_and(|rest| rest.split(',').any(|one| one == "tokenauth=true")) {
        return Err(AuthError::Unsupported("delegation tokens are not served here"));
    }
    if !acting_for.is_empty() {
        let said =
            acting_for.strip_prefix("a=").ok_or(AuthError::Malformed("the name to act for has no a="))?;
        if unescaped(said)? != user {
            return Err(AuthError::Unsupported("nobody may act for another user"));
        }
    }
    Ok(Step::Named {
        user,
        nonce: nonce.to_owned(),
        header: format!("{flag},{acting_for},"),
        first_bare: bare.to_owned(),
    })
}
