//! DescribeUserScramCredentials (50), version 0: which users there are, with mechanisms and rounds; never a key. Refuses
//! users that there are not, and one that is named twice.

use std::collections::HashMap;
use std::sync::Arc;

use super::operations;
use crate::auth::acl::Operation;
use crate::auth::credential::ScramMechanism;
use crate::broker::{Broker, Peer};
use crate::wire::error::ErrorCode;
use crate::wire::messages::describe_user_scram_credentials::{
    CredentialInfo, DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse,
    DescribeUserScramCredentialsResult,
};

pub(super) async fn handle(
    broker: &Arc<Broker>,
    peer: &Peer,
    request: DescribeUserScramCredentialsRequest,
) -> DescribeUserScramCredentialsResponse {
    if let Err((error_code, message)) = operations::cluster(broker, peer, Operation::Describe) {
        return DescribeUserScramCredentialsResponse {
            error_code,
            error_message: Some(message),
            ..DescribeUserScramCredentialsResponse::default()
        };
    }
    let asked: Vec<String> = request.users.unwrap_or_default().into_iter().map(|user| user.name).collect();
    let results = if asked.is_empty() {
        broker.users(None).into_iter().map(|(user, kept)| known(user, kept)).collect()
    } else {
        let mut times: HashMap<&str, usize> = HashMap::new();
        asked.iter().for_each(|name| *times.entry(name).or_default() += 1);
        let mut results: Vec<DescribeUserScramCredentialsResult> = Vec::new();
        for name in &asked {
            match times.remove(name.as_str()) {
                Some(1) => results.push(one(broker, name)),
                Some(_) => results.push(refused(
                    name,
                    ErrorCode::DUPLICATE_RESOURCE,
                    "a user can not be described twice in one request",
                )),
                None => {}
            }
        }
        results
    };
    DescribeUserScramCredentialsResponse { results, ..DescribeUserScramCredentialsResponse::default() }
}

fn one(broker: &Broker, name: &str) -> DescribeUserScramCredentialsResult {
    match broker.users(Some(name)).pop() {
        Some((user, kept)) => known(user, kept),
        None => refused(name, ErrorCode::RESOURCE_NOT_FOUND, "there is no such user"),
    }
}

fn known(user: String, kept: Vec<(ScramMechanism, i32)>) -> DescribeUserScramCredentialsResult {
    let info = |(mechanism, iterations): (ScramMechanism, i32)| CredentialInfo {
        mechanism: mechanism.code(),
        iterations,
    };
    DescribeUserScramCredentialsResult {
        user,
        credential_infos: kept.into_iter().map(info).collect(),
        ..DescribeUserScramCredentialsResult::default()
    }
}

fn refused(name: &str, error_code: ErrorCode, why: &str) -> DescribeUserScramCredentialsResult {
    DescribeUserScramCredentialsResult {
        user: name.to_owned(),
        error_code,
        error_message: Some(format!("{why}: {name}")),
        ..DescribeUserScramCredentialsResult::default()
    }
}
