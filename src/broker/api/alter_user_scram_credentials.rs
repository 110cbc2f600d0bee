//! AlterUserScramCredentials (51), version 0: users come and go, on disk when answered; of a user all is done or
//! nothing. Refuses credentials that there are not (to delete), a credential named twice, unknown mechanisms, rounds
//! outside of 4096 to 16384, and empty names, salts and passwords.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{error, operations};
use crate::auth::acl::Operation;
use crate::broker::catalog::{UserDeletion, UserRefusal, UserUpsertion};
use crate::broker::{Broker, Peer};
use crate::wire::error::ErrorCode;
use crate::wire::messages::alter_user_scram_credentials::{
    AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse, AlterUserScramCredentialsResult,
};

pub(super) async fn handle(
    broker: &Arc<Broker>,
    peer: &Peer,
    request: AlterUserScramCredentialsRequest,
) -> AlterUserScramCredentialsResponse {
    let deleted = request.deletions.iter().map(|one| one.name.clone());
    let names: BTreeSet<String> =
        deleted.chain(request.upsertions.iter().map(|one| one.name.clone())).collect();
    let all = |code: ErrorCode, message: &str| {
        names.iter().map(|name| result(name.clone(), Err((code, message.to_owned())))).collect()
    };
    let results = match operations::cluster(broker, peer, Operation::Alter) {
        Err((code, message)) => all(code, &message),
        Ok(()) => match alter(broker, request).await {
            Ok(results) => results,
            Err(failed) => all(error::of_broker(&failed), &failed.to_string()),
        },
    };
    AlterUserScramCredentialsResponse { results, ..AlterUserScramCredentialsResponse::default() }
}

async fn alter(
    broker: &Arc<Broker>,
    request: AlterUserScramCredentialsRequest,
) -> Result<Vec<AlterUserScramCredentialsResult>, crate::broker::BrokerError> {
    let deletions: Vec<UserDeletion> = request
        .deletions
        .into_iter()
        .map(|one| UserDeletion { name: one.name, mechanism: one.mechanism })
        .collect();
    let upsertions: Vec<UserUpsertion> = request
        .upsertions
        .into_iter()
        .map(|one| UserUpsertion {
            name: one.name,
            mechanism: one.mechanism,
            iterations: one.iterations,
            salt: one.salt,
            salted_password: one.salted_password,
        })
        .collect();
    let done = broker.blocking(move |broker| broker.alter_users(&deletions, &upsertions)).await??;
    let said = |refusal: UserRefusal| (code(refusal), refusal.to_string());
    Ok(done.into_iter().map(|(user, done)| result(user, done.map_err(said))).collect())
}

fn code(refusal: UserRefusal) -> ErrorCode {
    match refusal {
        UserRefusal::NoName | UserRefusal::Iterations(_) | UserRefusal::Empty => {
            ErrorCode::UNACCEPTABLE_CREDENTIAL
        }
        UserRefusal::Mechanism => ErrorCode::UNSUPPORTED_SASL_MECHANISM,
        UserRefusal::Twice => ErrorCode::DUPLICATE_RESOURCE,
        UserRefusal::Missing => ErrorCode::RESOURCE_NOT_FOUND,
    }
}

fn result(user: String, done: Result<(), (ErrorCode, String)>) -> AlterUserScramCredentialsResult {
    let (error_code, error_message) = match done {
        Ok(()) => (ErrorCode::NONE, None),
        Err((code, message)) => (code, Some(message)),
    };
    AlterUserScramCredentialsResult { user, error_code, error_message }
}
