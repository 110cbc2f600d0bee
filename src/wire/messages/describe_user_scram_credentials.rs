//! DescribeUserScramCredentials (50): who has SCRAM credentials (KIP-554).

use crate::codec::structs;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// Which users; `None` or empty for all.
    pub struct DescribeUserScramCredentialsRequest {
        users: Option<Vec<UserName>>,
    }

    /// A user.
    pub struct UserName {
        name: String,
    }

    /// The users.
    pub struct DescribeUserScramCredentialsResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        error_message: Option<String>,
        results: Vec<DescribeUserScramCredentialsResult>,
    }

    /// A user and what credentials there are.
    pub struct DescribeUserScramCredentialsResult {
        user: String,
        error_code: ErrorCode,
        error_message: Option<String>,
        credential_infos: Vec<CredentialInfo>,
    }

    /// Mechanism 1 is SCRAM-SHA-256, 2 SCRAM-SHA-512.
    pub struct CredentialInfo {
        mechanism: i8,
        iterations: i32,
    }
}

api!(DescribeUserScramCredentials: DescribeUserScramCredentialsRequest => DescribeUserScramCredentialsResponse);
