//! Admin calls about groups of both protocols: list, describe, offsets, delete; never joins one.

use super::{Each, missing};
use crate::client::cluster::Lane;
use crate::client::group::{Committed, offsets};
use crate::client::retry::Attempts;
use crate::client::{Client, ClientError};
use crate::model::id::TopicPartition;
use crate::schema::consumer::{self, Subscription};
use crate::wire::api::ApiKey;
use crate::wire::error::ErrorCode;
use crate::wire::messages::consumer_group_describe::{self, ConsumerGroupDescribeRequest};
use crate::wire::messages::delete_groups::DeleteGroupsRequest;
use crate::wire::messages::describe_groups::{self, DescribeGroupsRequest};
use crate::wire::messages::list_groups::{self, ListGroupsRequest};
use std::sync::Arc;

/// Words of Kafka for the two protocols that a group of consumers may speak.
const CLASSIC: &str = "classic";
const CONSUMER: &str = "consumer";

/// A group as the broker lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedGroup {
    /// The group's name.
    pub group: String,
    /// `consumer` for consumers; empty when only offsets are there.
    pub protocol_type: String,
    /// Kafka's word for its state, like `Stable`; empty where the broker does not tell.
    pub state: String,
    /// `classic` or `consumer`; empty where the broker does not tell.
    pub group_type: String,
}

/// A group in detail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupDescription {
    /// The group's name.
    pub group: String,
    /// Kafka's word for its state; `Dead` when there is no such group.
    pub state: String,
    /// `classic` or `consumer` (KIP-848).
    pub group_type: &'static str,
    /// `consumer` for consumers.
    pub protocol_type: String,
    /// The assignor in use, empty while there is none.
    pub protocol: String,
    /// The group's epoch; `None` for a classic group, which does not tell its generation.
    pub epoch: Option<i32>,
    /// Its members.
    pub members: Vec<MemberDescription>,
    /// The node that coordinates it.
    pub coordinator: i32,
}

impl GroupDescription {
    /// Whether there is no such group, as the older versions say it.
    pub fn is_dead(&self) -> bool {
        self.state == "Dead"
    }
}

/// A member in detail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberDescription {
    /// Its id.
    pub member_id: String,
    /// The static member's name.
    pub instance_id: Option<String>,
    /// The client's id.
    pub client_id: String,
    /// Where it comes from.
    pub client_host: String,
    /// The protocol it speaks: `classic` or `consumer`; during an upgrade a group has both.
    pub member_type: &'static str,
    /// Its epoch; `None` in a classic group.
    pub epoch: Option<i32>,
    /// The topics it wants to read; empty when not a consumer.
    pub topics: Vec<String>,
    /// The pattern of topics it wants to read, where the broker resolves it.
    pub pattern: Option<String>,
    /// What it was assigned; empty when not a consumer.
    pub assigned: Vec<TopicPartition>,
    /// What it is to have in the end; `None` in a classic group.
    pub target: Option<Vec<TopicPartition>>,
}

impl Client {
    /// Groups of all brokers, by name.
    ///
    /// # Errors
    /// Failures of the connection, after `api_timeout`; what a broker says.
    pub async fn list_groups(&self) -> Result<Vec<ListedGroup>, ClientError> {
        let (_, _, nodes) = self.describe_cluster().await?;
        let mut groups = Vec::new();
        for node in nodes {
            let answer = self.list_groups_of(node.id).await?;
            groups.extend(answer.into_iter().map(|group| ListedGroup {
                group: group.group_id,
                protocol_type: group.protocol_type,
                state: group.group_state,
                // Java writes it with a capital since 4.0 and without before.
                group_type: group.group_type.to_lowercase(),
            }));
        }
        groups.sort_by(|a, b| a.group.cmp(&b.group));
        Ok(groups)
    }

    async fn list_groups_of(&self, node: i32) -> Result<Vec<list_groups::ListedGroup>, ClientError> {
        let mut attempts = Attempts::within(self.options().api_timeout, self.options());
        loop {
            let outcome = async {
                let connection = self.node(node, Lane::Main).await?;
                let request = ListGroupsRequest::default();
                let answer = connection.call(&request, self.options().request_timeout).await?;
                match answer.error_code {
                    ErrorCode::NONE => Ok(answer.groups),
                    code => Err(ClientError::broker(code, format!("groups of node {node}"), None)),
                }
            };
            match outcome.await {
                Ok(groups) => return Ok(groups),
                Err(error) => attempts.after(error).await?,
            }
        }
    }

    /// Groups of either protocol in detail. A group that does not exist has the state `Dead` or
    /// [`ClientError::Broker`] with GROUP_ID_NOT_FOUND, as the broker's version has it.
    ///
    /// # Errors
    /// Failures of the connection, after `api_timeout`; each group has a result of its own.
    pub async fn describe_groups(&self, groups: &[String]) -> Result<Each<GroupDescription>, ClientError> {
        let mut each = Vec::new();
        for group in groups {
            each.push(self.describe_group(group).await);
        }
        Ok(each)
    }

    /// One group of either protocol in detail, as [`Client::describe_groups`].
    ///
    /// # Errors
    /// What the coordinator says; failures of the connection, after `api_timeout`.
    pub async fn describe_group(&self, group: &str) -> Result<GroupDescription, ClientError> {
        let mut attempts = Attempts::within(self.options().api_timeout, self.options());
        loop {
            match self.describe_once(group).await {
                Ok(description) => return Ok(description),
                Err(error) => attempts.after(error).await?,
            }
        }
    }

    /// The newer question first: only the coordinator knows which protocol a group speaks.
    async fn describe_once(&self, group: &str) -> Result<GroupDescription, ClientError> {
        let (node, connection) = self.coordinator(group, Lane::Main).await?;
        let limit = self.options().request_timeout;
        if connection.version(ApiKey::ConsumerGroupDescribe).is_ok() {
            let request = ConsumerGroupDescribeRequest {
                group_ids: vec![group.to_owned()],
                include_authorized_operations: false,
            };
            let answer = connection.call(&request, limit).await?;
            let found = answer.groups.into_iter().next();
            let found = found.ok_or_else(|| missing(format!("group {group}")))?;
            match found.error_code {
                ErrorCode::NONE => return Ok(of_consumer_group(found, node)),
                // A classic group, or a broker whose group.version is 0.
                ErrorCode::GROUP_ID_NOT_FOUND | ErrorCode::UNSUPPORTED_VERSION => {}
                code => return Err(self.coordinator_error(group, code, found.error_message)),
            }
        }
        let request =
            DescribeGroupsRequest { groups: vec![group.to_owned()], include_authorized_operations: false };
        let answer = connection.call(&request, limit).await?;
        let found = answer.groups.into_iter().next().ok_or_else(|| missing(format!("group {group}")))?;
        match found.error_code {
            ErrorCode::NONE => Ok(of_classic_group(found, node)),
            code => Err(self.coordinator_error(group, code, found.error_message)),
        }
    }

    /// Every offset a group has kept, by partition. Empty when there is no such group.
    ///
    /// # Errors
    /// What the coordinator says; failures of the connection, after `api_timeout`.
    pub async fn group_offsets(&self, group: &str) -> Result<Vec<(TopicPartition, Committed)>, ClientError> {
        let found = offsets::fetch(self, group, None).await?;
        Ok(found.into_iter().filter_map(|(partition, offset)| Some((partition, offset?))).collect())
    }

    /// Deletes groups with their offsets. [`ClientError::Broker`] with NON_EMPTY_GROUP where members are there and
    /// GROUP_ID_NOT_FOUND where there is no such group.
    ///
    /// # Errors
    /// Each group has a result of its own: what the coordinator says; failures of the connection, after
    /// `api_timeout`.
    pub async fn delete_groups(&self, groups: &[String]) -> Each<()> {
        let mut each = Vec::new();
        for group in groups {
            each.push(self.delete_group(group).await);
        }
        each
    }

    async fn delete_group(&self, group: &str) -> Result<(), ClientError> {
        let request = DeleteGroupsRequest { groups_names: vec![group.to_owned()] };
        let mut attempts = Attempts::within(self.options().api_timeout, self.options());
        loop {
            let outcome = async {
                let (_, connection) = self.coordinator(group, Lane::Main).await?;
                let answer = connection.call(&request, self.options().request_timeout).await?;
                let found = answer.results.first().ok_or_else(|| missing(format!("group {group}")))?;
                match found.error_code {
                    ErrorCode::NONE => Ok(()),
                    code => Err(self.coordinator_error(group, code, None)),
                }
            };
            match outcome.await {
                Ok(()) => return Ok(()),
                Err(error) => attempts.after(error).await?,
            }
        }
    }
}

fn of_classic_group(group: describe_groups::DescribedGroup, coordinator: i32) -> GroupDescription {
    // Java's own test: consumers that assign partitions to themselves leave the type empty.
    let consumers = matches!(&*group.protocol_type, "consumer" | "");
    let member = |member: describe_groups::DescribedGroupMember| MemberDescription {
        assigned: match consumer::Assignment::decode(member.member_assignment) {
            Ok(assignment) if consumers => assignment
                .assigned_partitions
                .into_iter()
                .flat_map(|topic| partitions(&topic.topic, topic.partitions))
                .collect(),
            _ => Vec::new(),
        },
        topics: match Subscription::decode(member.member_metadata) {
            Ok(subscription) if consumers => subscription.topics,
            _ => Vec::new(),
        },
        member_id: member.member_id,
        instance_id: member.group_instance_id,
        client_id: member.client_id,
        client_host: member.client_host,
        member_type: CLASSIC,
        epoch: None,
        pattern: None,
        target: None,
    };
    GroupDescription {
        group: group.group_id,
        state: group.group_state,
        group_type: CLASSIC,
        protocol_type: group.protocol_type,
        protocol: group.protocol_data,
        epoch: None,
        members: group.members.into_iter().map(member).collect(),
        coordinator,
    }
}

fn of_consumer_group(group: consumer_group_describe::DescribedGroup, coordinator: i32) -> GroupDescription {
    let flat = |assignment: consumer_group_describe::Assignment| -> Vec<TopicPartition> {
        let topics = assignment.topic_partitions.into_iter();
        topics.flat_map(|topic| partitions(&topic.topic_name, topic.partitions)).collect()
    };
    let member = |member: consumer_group_describe::Member| MemberDescription {
        member_id: member.member_id,
        instance_id: member.instance_id,
        client_id: member.client_id,
        client_host: member.client_host,
        member_type: if member.member_type == 0 { CLASSIC } else { CONSUMER },
        epoch: Some(member.member_epoch),
        topics: member.subscribed_topic_names,
        pattern: member.subscribed_topic_regex.filter(|pattern| !pattern.is_empty()),
        assigned: flat(member.assignment),
        target: Some(flat(member.target_assignment)),
    };
    GroupDescription {
        group: group.group_id,
        state: group.group_state,
        group_type: CONSUMER,
        protocol_type: "consumer".to_owned(),
        protocol: group.assignor_name,
        epoch: Some(group.group_epoch),
        members: group.members.into_iter().map(member).collect(),
        coordinator,
    }
}

fn partitions(topic: &str, indexes: Vec<i32>) -> impl Iterator<Item = TopicPartition> + use<> {
    let name: Arc<str> = Arc::from(topic);
    indexes.into_iter().map(move |index| TopicPartition::new(name.clone(), index))
}
