//! Every API of users, rules, authentication and the newer ones of groups, in every version: once for what is there
//! and once for what is not.

use bytes::Bytes;
use klog::wire::api::ApiKey;
use klog::wire::error::ErrorCode;
use klog::wire::messages::consumer_group_describe::ConsumerGroupDescribeRequest;
use klog::wire::messages::consumer_group_heartbeat::ConsumerGroupHeartbeatRequest;
use klog::wire::messages::create_acls::{AclCreation, CreateAclsRequest};
use klog::wire::messages::delete_acls::{DeleteAclsFilter, DeleteAclsRequest};
use klog::wire::messages::delete_groups::DeleteGroupsRequest;
use klog::wire::messages::describe_client_quotas::{ComponentData, DescribeClientQuotasRequest};
use klog::wire::messages::describe_user_scram_credentials::{DescribeUserScramCredentialsRequest, UserName};
use klog::wire::messages::offset_delete::OffsetDeleteRequest;
use klog::wire::messages::sasl_authenticate::SaslAuthenticateRequest;
use klog::wire::messages::sasl_handshake::SaslHandshakeRequest;

use crate::access::{alter_users, describe_all, upsertion};
use crate::answers::answered;
use crate::rig::Rig;

/// Whether the API is one of these.
pub(crate) async fn one(rig: &Rig, key: ApiKey, version: i16) -> bool {
    match key {
        ApiKey::SaslHandshake => {
            let mechanism = "PLAIN".to_owned();
            answered(rig, &SaslHandshakeRequest { mechanism }, version).await;
        }
        ApiKey::SaslAuthenticate => {
            let auth_bytes = Bytes::from_static(b"\0a\0b");
            answered(rig, &SaslAuthenticateRequest { auth_bytes }, version).await;
        }
        ApiKey::CreateAcls => {
            let good = AclCreation {
                resource_type: 2,
                resource_name: "t".to_owned(),
                principal: "User:a".to_owned(),
                host: "*".to_owned(),
                operation: 3,
                permission_type: 3,
                ..Default::default()
            };
            let bad = AclCreation { operation: 1, ..good.clone() };
            let answer = answered(rig, &CreateAclsRequest { creations: vec![good, bad] }, version).await;
            let codes: Vec<_> = answer.results.iter().map(|result| result.error_code).collect();
            assert_eq!(codes, [ErrorCode::NONE, ErrorCode::INVALID_REQUEST]);
        }
        ApiKey::DescribeAcls => {
            answered(rig, &describe_all(), version).await;
        }
        ApiKey::DeleteAcls => {
            let every = DeleteAclsFilter {
                resource_type_filter: 1,
                pattern_type_filter: 1,
                operation: 1,
                permission_type: 1,
                ..Default::default()
            };
            let bad = DeleteAclsFilter { operation: 99, ..every.clone() };
            answered(rig, &DeleteAclsRequest { filters: vec![bad, every] }, version).await;
        }
        ApiKey::AlterUserScramCredentials => {
            alter_users(rig, Vec::new(), vec![upsertion("a", "b"), upsertion("", "b")]).await;
        }
        ApiKey::DescribeClientQuotas => {
            for entity_type in ["user", "none"] {
                let part =
                    ComponentData { entity_type: entity_type.to_owned(), match_type: 2, r#match: None };
                let request = DescribeClientQuotasRequest { components: vec![part], strict: false };
                let answer = answered(rig, &request, version).await;
                assert_eq!(answer.error_code == ErrorCode::NONE, entity_type == "user", "{answer:?}");
                assert_eq!(answer.entries.map(|entries| entries.len()), (entity_type == "user").then_some(0));
            }
        }
        ApiKey::DescribeUserScramCredentials => {
            let users = Some(vec![UserName { name: "a".to_owned() }, UserName { name: "none".to_owned() }]);
            for users in [users, None] {
                answered(rig, &DescribeUserScramCredentialsRequest { users }, version).await;
            }
        }
        _ => return of_groups(rig, key, version).await,
    }
    true
}

async fn of_groups(rig: &Rig, key: ApiKey, version: i16) -> bool {
    match key {
        ApiKey::DeleteGroups => {
            let groups_names = vec!["none".to_owned(), String::new()];
            answered(rig, &DeleteGroupsRequest { groups_names }, version).await;
        }
        ApiKey::OffsetDelete => {
            let request = OffsetDeleteRequest { group_id: "none".to_owned(), ..Default::default() };
            answered(rig, &request, version).await;
        }
        ApiKey::ConsumerGroupHeartbeat => {
            let joins = ConsumerGroupHeartbeatRequest {
                group_id: format!("consumers{version}"),
                member_id: if version == 0 { String::new() } else { "m".to_owned() },
                rebalance_timeout_ms: 1000,
                subscribed_topic_names: Some(vec!["t".to_owned()]),
                topic_partitions: Some(Vec::new()),
                ..Default::default()
            };
            assert_eq!(answered(rig, &joins, version).await.error_code, ErrorCode::NONE);
            answered(rig, &ConsumerGroupHeartbeatRequest { member_epoch: 7, ..joins }, version).await;
        }
        ApiKey::ConsumerGroupDescribe => {
            let group_ids = vec!["consumers0".to_owned(), "none".to_owned()];
            let request = ConsumerGroupDescribeRequest { group_ids, include_authorized_operations: true };
            answered(rig, &request, version).await;
        }
        _ => return false,
    }
    true
}
