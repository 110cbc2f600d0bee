//! SaslAuthenticate (36), versions 0 to 2: a step of the mechanism agreed on; from 1 on it says how long the session
//! lasts (`connections.max.reauth.ms`). Refuses whatever is not the next step, a wrong password and a user that there
//! is not, with the same words, after `connection.failed.authentication.delay.ms`; then the connection is closed.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::answer::{Outcome, Part, Reply, decode, reply};
use super::gate::monotonic_ms;
use crate::auth::scram::{self, Server};
use crate::auth::{AuthError, MAX_STEP, USER, plain};
use crate::broker::access::Known;
use crate::broker::sasl::{Mechanism, SaslExchange};
use crate::broker::{Broker, BrokerError, Peer};
use crate::wire::error::ErrorCode;
use crate::wire::frame::RequestHeader;
use crate::wire::messages::sasl_authenticate::{SaslAuthenticateRequest, SaslAuthenticateResponse};

/// Bytes of a name that the log shows.
const LONGEST: usize = 256;

/// What a step led to: the mechanism's next message, and how long the session lasts in ms once it began (0 for ever).
struct Step {
    message: Vec<u8>,
    lifetime_ms: i64,
}

/// Why there is no next step.
struct Failure {
    /// What the answer says; NONE: there is no answer.
    code: ErrorCode,
    message: String,
    closes: bool,
    /// The name that was given, where one was.
    user: Option<String>,
}

impl Failure {
    fn state(message: &str, closes: bool) -> Self {
        Self { code: ErrorCode::ILLEGAL_SASL_STATE, message: message.to_owned(), closes, user: None }
    }
}

pub(super) async fn call(broker: &Arc<Broker>, peer: &Peer, header: &RequestHeader, body: Bytes) -> Outcome {
    let request: SaslAuthenticateRequest = match decode(header, body) {
        Ok(request) => request,
        Err(close) => return close,
    };
    match step(broker, peer, &request.auth_bytes).await {
        Ok(Step { message, lifetime_ms }) => {
            let response = SaslAuthenticateResponse {
                // Kafka says nothing in so many words: an empty text, not none.
                error_message: Some(String::new()),
                auth_bytes: message.into(),
                session_lifetime_ms: lifetime_ms,
                ..SaslAuthenticateResponse::default()
            };
            reply(header, &response)
        }
        Err(failure) => {
            if failure.closes {
                report(peer, &failure);
                delay(broker).await;
            }
            let Failure { code, message, closes, .. } = failure;
            if code.is_ok() {
                return Outcome::Close(message);
            }
            let response = SaslAuthenticateResponse {
                error_code: code,
                error_message: Some(message.clone()),
                ..SaslAuthenticateResponse::default()
            };
            let answer = reply(header, &response);
            if closes { closing(answer, &message) } else { answer }
        }
    }
}

/// Takes a step without a request's head; the answer has none either, and a failure has no answer.
pub(super) async fn raw(broker: &Arc<Broker>, peer: &Peer, message: &[u8]) -> Outcome {
    match step(broker, peer, message).await {
        Ok(Step { message, .. }) if message.is_empty() => Outcome::Reply(Reply::default()),
        Ok(Step { message, .. }) => Outcome::Reply(Reply { parts: vec![Part::Bytes(message.into())] }),
        Err(failure) => {
            report(peer, &failure);
            delay(broker).await;
            peer.speak_raw(false);
            Outcome::Close(failure.message)
        }
    }
}

/// An admin may want to see who is refused, and from where.
fn report(peer: &Peer, failure: &Failure) {
    // A name may be as long as a message.
    let user =
        failure.user.as_deref().map(|name| name.get(..name.floor_char_boundary(LONGEST)).unwrap_or_default());
    let why = failure.message.as_str();
    tracing::info!(client = %peer.client_host, user, why, "a client did not show who it is");
}

/// The answer, after which the connection is closed.
pub(super) fn closing(answer: Outcome, why: &str) -> Outcome {
    match answer {
        Outcome::Reply(reply) => Outcome::Last(reply, why.to_owned()),
        other => other,
    }
}

/// Holds back the answer to a failed authentication, so that guessing takes its time.
pub(super) async fn delay(broker: &Broker) {
    let delay = broker.settings().int("connection.failed.authentication.delay.ms");
    tokio::time::sleep(Duration::from_millis(u64::try_from(delay).unwrap_or(0))).await;
}

async fn step(broker: &Arc<Broker>, peer: &Peer, message: &[u8]) -> Result<Step, Failure> {
    if !peer.security.sasl {
        return Err(Failure::state("this listener asks for no SASL authentication", false));
    }
    // Whatever fails from here on leaves nothing of the exchange behind.
    let (mechanism, claimed, done) = match peer.take_exchange() {
        SaslExchange::Start => {
            return Err(Failure::state("SaslAuthenticate comes after SaslHandshake", true));
        }
        SaslExchange::Done => {
            peer.put_exchange(SaslExchange::Done);
            return Err(Failure::state("the client has authenticated already", false));
        }
        SaslExchange::Handshaken(Mechanism::Plain) => {
            let claimed = plain::parse(message).ok().map(|login| login.username);
            (Mechanism::Plain, claimed, log_in(broker, message).await)
        }
        SaslExchange::Handshaken(mechanism @ Mechanism::ScramSha256) => {
            (mechanism, None, challenge(broker, scram::Mechanism::Sha256, message))
        }
        SaslExchange::Handshaken(mechanism @ Mechanism::ScramSha512) => {
            (mechanism, None, challenge(broker, scram::Mechanism::Sha512, message))
        }
        SaslExchange::Scram(mut server) => {
            let mechanism = match server.mechanism() {
                scram::Mechanism::Sha256 => Mechanism::ScramSha256,
                scram::Mechanism::Sha512 => Mechanism::ScramSha512,
            };
            let claimed = server.claimed().map(str::to_owned);
            let last = server.last(message).map_err(Wrong::Step);
            (
                mechanism,
                claimed,
                last.map(|message| Next::Proven {
                    user: server.user().unwrap_or_default().to_owned(),
                    message,
                }),
            )
        }
    };
    match done {
        Ok(Next::Go { server, message }) => {
            peer.put_exchange(SaslExchange::Scram(server));
            Ok(Step { message, lifetime_ms: 0 })
        }
        Ok(Next::Proven { user, message }) => {
            let lifetime_ms = begin_session(broker, peer, &user)?;
            Ok(Step { message, lifetime_ms })
        }
        Err(wrong) => Err(Failure { user: claimed, ..wrong.said(mechanism) }),
    }
}

/// Where an exchange goes on.
enum Next {
    Go { server: Box<Server>, message: Vec<u8> },
    Proven { user: String, message: Vec<u8> },
}

/// Why it does not.
enum Wrong {
    Step(AuthError),
    Broker(BrokerError),
    TooMany,
}

impl Wrong {
    fn said(self, mechanism: Mechanism) -> Failure {
        let message = match self {
            Self::Step(AuthError::BadCredentials) => {
                format!("Authentication failed: no such user, or a wrong password, with {mechanism}")
            }
            Self::Step(error) => format!("Authentication failed: {error}"),
            Self::Broker(error) => {
                tracing::error!(%error, "an authentication can not be judged");
                "Authentication failed: the broker can not judge it now".to_owned()
            }
            // A code would be final for most clients; a connection that ends is tried again.
            Self::TooMany => {
                let message = "too many clients log in at once".to_owned();
                return Failure { code: ErrorCode::NONE, message, closes: true, user: None };
            }
        };
        Failure { code: ErrorCode::SASL_AUTHENTICATION_FAILED, message, closes: true, user: None }
    }
}

async fn log_in(broker: &Arc<Broker>, message: &[u8]) -> Result<Next, Wrong> {
    let login = plain::parse(message).map_err(Wrong::Step)?;
    let user = login.username.clone();
    match broker.knows(login).await {
        Ok(Known::Yes) => Ok(Next::Proven { user, message: Vec::new() }),
        Ok(Known::No) => Err(Wrong::Step(AuthError::BadCredentials)),
        Ok(Known::TooMany) => Err(Wrong::TooMany),
        Err(error) => Err(Wrong::Broker(error)),
    }
}

fn challenge(broker: &Broker, mechanism: scram::Mechanism, message: &[u8]) -> Result<Next, Wrong> {
    if message.len() > MAX_STEP {
        return Err(Wrong::Step(AuthError::TooLong(message.len())));
    }
    let mut server = Box::new(Server::new(mechanism));
    let user = server.first(message).map_err(Wrong::Step)?;
    let credential = broker.credential(user, mechanism);
    let nonce = broker.nonce().map_err(Wrong::Broker)?;
    let message = server.challenge(credential, &nonce).map_err(Wrong::Step)?;
    Ok(Next::Go { server, message })
}

/// The client is `user` from now on; answers for how long, in ms, 0 for ever.
fn begin_session(broker: &Broker, peer: &Peer, user: &str) -> Result<i64, Failure> {
    let lifetime_ms = broker.settings().int("connections.max.reauth.ms").max(0);
    let end = (lifetime_ms > 0).then(|| monotonic_ms(broker).saturating_add(lifetime_ms));
    if peer.authenticate(&format!("{USER}{user}"), end) {
        return Ok(lifetime_ms);
    }
    let was = peer.principal();
    Err(Failure {
        code: ErrorCode::SASL_AUTHENTICATION_FAILED,
        message: format!("Authentication failed: a connection of {was} can not become another user's"),
        closes: true,
        user: Some(user.to_owned()),
    })
}
