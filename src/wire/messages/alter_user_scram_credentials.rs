//! AlterUserScramCredentials (51): SCRAM credentials come and go (KIP-554).

use bytes::Bytes;

use crate::codec::structs;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// What goes and what comes.
    pub struct AlterUserScramCredentialsRequest {
        deletions: Vec<ScramCredentialDeletion>,
        upsertions: Vec<ScramCredentialUpsertion>,
    }

    /// A credential to take away.
    pub struct ScramCredentialDeletion {
        name: String,
        mechanism: i8,
    }

    /// A credential to make or replace: the salted password comes, never the password.
    pub struct ScramCredentialUpsertion {
        name: String,
        mechanism: i8,
        iterations: i32,
        salt: Bytes,
        salted_password: Bytes,
    }

    /// What became of each user.
    pub struct AlterUserScramCredentialsResponse {
        throttle_time_ms: i32,
        results: Vec<AlterUserScramCredentialsResult>,
    }

    /// What became of one user.
    pub struct AlterUserScramCredentialsResult {
        user: String,
        error_code: ErrorCode,
        error_message: Option<String>,
    }
}

api!(AlterUserScramCredentials: AlterUserScramCredentialsRequest => AlterUserScramCredentialsResponse);
