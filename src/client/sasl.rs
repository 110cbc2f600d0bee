//! Shows a broker who the client is, by SASL; must never send a password where another mechanism was asked for.

use std::time::Duration;

use bytes::Bytes;

use super::ClientError;
use super::connection::Connection;
use super::security::{SaslMechanism, Security};
use crate::auth::{AuthError, plain, scram};
use crate::wire::api::ApiKey;
use crate::wire::error::ErrorCode;
use crate::wire::messages::sasl_authenticate::{SaslAuthenticateRequest, SaslAuthenticateResponse};
use crate::wire::messages::sasl_handshake::SaslHandshakeRequest;

/// Authenticates a new connection; gives how long the session lasts, where it ends (KIP-368).
///
/// # Errors
/// [`ClientError::Authentication`], or the connection's.
pub(super) async fn authenticate(
    connection: &Connection,
    security: &Security,
    limit: Duration,
) -> Result<Option<Duration>, ClientError> {
    agree(connection, security.mechanism(), limit).await?;
    let username = security.username.as_deref().unwrap_or_default();
    let password = security.password.as_ref().map_or("", |secret| secret.text());
    let last = match security.mechanism() {
        SaslMechanism::Plain => {
            let message =
                plain::client_message(username, password).map_err(|error| failed(connection, &error))?;
            step(connection, message, limit).await?
        }
        SaslMechanism::Scram(mechanism) => {
            let mut client = scram::Client::new(mechanism, username, password, nonce(connection)?);
            let mut answer = step(connection, client.first(), limit).await?;
            while let Some(next) =
                client.next(&answer.auth_bytes).map_err(|error| failed(connection, &error))?
            {
                answer = step(connection, next, limit).await?;
            }
            answer
        }
    };
    let lifetime = u64::try_from(last.session_lifetime_ms).unwrap_or(0);
    Ok((lifetime > 0).then(|| Duration::from_millis(lifetime)))
}

/// SaslHandshake: the mechanism, and with version 1 that its messages come as SaslAuthenticate.
async fn agree(
    connection: &Connection,
    mechanism: SaslMechanism,
    limit: Duration,
) -> Result<(), ClientError> {
    let version = connection.version(ApiKey::SaslHandshake)?;
    if version < 1 {
        return Err(ClientError::Unsupported { api: ApiKey::SaslHandshake.name(), offered: Some((0, 0)) });
    }
    let request = SaslHandshakeRequest { mechanism: mechanism.name().to_owned() };
    let answer = connection.call_in(&request, version, limit).await?;
    let refuse = |reason: String, next: String| {
        Err(ClientError::Authentication { address: connection.address().to_string(), reason, next })
    };
    match answer.error_code {
        ErrorCode::NONE => Ok(()),
        ErrorCode::UNSUPPORTED_SASL_MECHANISM => refuse(
            format!("it does not offer {}; offered: {}", mechanism.name(), answer.mechanisms.join(", ")),
            "choose one of those with -X sasl.mechanism=NAME".to_owned(),
        ),
        ErrorCode::ILLEGAL_SASL_STATE => refuse(
            "this listener asks nobody who he is".to_owned(),
            "leave SASL out (-X security.protocol=PLAINTEXT or SSL), or dial the listener that has it"
                .to_owned(),
        ),
        other => Err(ClientError::broker(other, connection.address().to_string(), None)),
    }
}

/// One message there and one back.
async fn step(
    connection: &Connection,
    message: Vec<u8>,
    limit: Duration,
) -> Result<SaslAuthenticateResponse, ClientError> {
    let request = SaslAuthenticateRequest { auth_bytes: Bytes::from(message) };
    let answer = connection.call(&request, limit).await?;
    if answer.error_code.is_ok() {
        return Ok(answer);
    }
    let said = answer.error_message.filter(|text| !text.is_empty());
    Err(ClientError::Authentication {
        address: connection.address().to_string(),
        reason: said.unwrap_or_else(|| answer.error_code.to_string()),
        next: "check sasl.username and sasl.password, and that the user has the mechanism of sasl.mechanism"
            .to_owned(),
    })
}

fn failed(connection: &Connection, error: &AuthError) -> ClientError {
    ClientError::Authentication {
        address: connection.address().to_string(),
        reason: error.to_string(),
        next: "check sasl.username and sasl.password".to_owned(),
    }
}

/// Text that no exchange had before.
fn nonce(connection: &Connection) -> Result<String, ClientError> {
    let mut random = [0; 18];
    match getrandom::fill(&mut random) {
        Ok(()) => Ok(scram::nonce(&random)),
        Err(error) => Err(ClientError::Authentication {
            address: connection.address().to_string(),
            reason: format!("the system has no random bytes: {error}"),
            next: String::new(),
        }),
    }
}
