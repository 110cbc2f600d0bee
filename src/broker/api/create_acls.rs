//! CreateAcls (30), versions 1 to 3: rules, on disk and in force when answered; those that there are already are made
//! again without a change. They may be made before they count. Refuses numbers that are no rule's, empty names, and
//! principals that are not `User:`.

use std::sync::Arc;

use super::{access_words, error, operations};
use crate::auth::acl::Operation;
use crate::broker::{Broker, Peer};
use crate::wire::error::ErrorCode;
use crate::wire::messages::create_acls::{AclCreationResult, CreateAclsRequest, CreateAclsResponse};

pub(super) async fn handle(
    broker: &Arc<Broker>,
    peer: &Peer,
    request: CreateAclsRequest,
) -> CreateAclsResponse {
    let denied = operations::cluster(broker, peer, Operation::Alter).err();
    let mut rules = Vec::new();
    let mut answers: Vec<Result<(), (ErrorCode, String)>> = Vec::new();
    for creation in request.creations {
        answers.push(match &denied {
            Some(denied) => Err(denied.clone()),
            None => access_words::rule(creation).map(|rule| rules.push(rule)),
        });
    }
    if !rules.is_empty() {
        let done = broker.blocking(move |broker| broker.create_rules(rules)).await.and_then(|done| done);
        if let Err(failed) = done {
            let failed = (error::of_broker(&failed), failed.to_string());
            answers
                .iter_mut()
                .filter(|answer| answer.is_ok())
                .for_each(|answer| *answer = Err(failed.clone()));
        }
    }
    let said = answers.into_iter().map(|answer| match answer {
        Ok(()) => AclCreationResult::default(),
        Err((error_code, message)) => AclCreationResult { error_code, error_message: Some(message) },
    });
    CreateAclsResponse { results: said.collect(), ..CreateAclsResponse::default() }
}
