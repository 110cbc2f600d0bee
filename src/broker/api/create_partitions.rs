//! CreatePartitions (37), versions 0 to 3: more partitions of topics, on disk (folders too) when answered. Refuses
//! topics named twice, numbers that are not more, assignments to other nodes or of another number of partitions. The
//! topics of the coordinators keep their number: a group or transactional id would be looked for in another partition.

use std::collections::HashMap;
use std::sync::Arc;

use super::operations::{self, Refused};
use super::{assignment, error};
use crate::auth::acl::Operation;
use crate::broker::{Broker, Peer};
use crate::model::name::{CONSUMER_OFFSETS, TRANSACTION_STATE};
use crate::wire::error::ErrorCode;
use crate::wire::messages::create_partitions::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic, CreatePartitionsTopicResult,
};

pub(super) async fn handle(
    broker: &Arc<Broker>,
    peer: &Peer,
    request: CreatePartitionsRequest,
) -> CreatePartitionsResponse {
    let mut times: HashMap<String, usize> = HashMap::new();
    for topic in &request.topics {
        *times.entry(topic.name.clone()).or_default() += 1;
    }
    let mut results = Vec::with_capacity(times.len());
    for topic in request.topics {
        let done = match times.remove(&topic.name) {
            // Named before: one answer stands for all.
            None => continue,
            Some(1) => create(broker, peer, &topic, request.validate_only).await,
            Some(_) => {
                Err((ErrorCode::INVALID_REQUEST, "the request names this topic more than once".to_owned()))
            }
        };
        let (error_code, error_message) = match done {
            Ok(()) => (ErrorCode::NONE, None),
            Err((code, message)) => (code, Some(message)),
        };
        results.push(CreatePartitionsTopicResult { name: topic.name, error_code, error_message });
    }
    CreatePartitionsResponse { results, ..Default::default() }
}

async fn create(
    broker: &Arc<Broker>,
    peer: &Peer,
    asked: &CreatePartitionsTopic,
    validate_only: bool,
) -> Result<(), Refused> {
    operations::topic(broker, peer, Operation::Alter, &asked.name)?;
    if matches!(&*asked.name, CONSUMER_OFFSETS | TRANSACTION_STATE) && broker.topic(&asked.name).is_some() {
        let text = format!(
            "{} keeps its number of partitions: what belongs to one would be looked for in another",
            asked.name
        );
        return Err((ErrorCode::INVALID_REQUEST, text));
    }
    let (name, count) = (asked.name.clone(), asked.count);
    if let (Some(assignments), Some(topic)) = (&asked.assignments, broker.topic(&name)) {
        let more = i64::from(count) - i64::from(topic.partition_count());
        if more > 0 && assignments.len() as i64 != more {
            let text = format!("{more} partitions are to be added, and {} are assigned", assignments.len());
            return Err((ErrorCode::INVALID_REPLICA_ASSIGNMENT, text));
        }
        for assignment in assignments.iter().filter(|_| more > 0) {
            assignment::check(&assignment.broker_ids, broker.node_id())?;
        }
    }
    let done = broker.blocking(move |broker| broker.add_partitions(&name, count, validate_only)).await;
    match done {
        Ok(done) => done.map_err(|error| (error::of_admin(&error), error.to_string())),
        Err(error) => Err((error::of_broker(&error), error.to_string())),
    }
}
