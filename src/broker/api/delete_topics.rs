//! DeleteTopics (20), versions 1 to 6: topics by name, from 6 on by id as well; gone from the catalog, on disk, when
//! answered. Refuses internal topics, topics named both ways or neither, and all of it where `delete.topic.enable` is
//! false.

use std::sync::Arc;

use super::error;
use crate::broker::Broker;
use crate::model::id::TopicId;
use crate::model::name::is_internal;
use crate::wire::error::ErrorCode;
use crate::wire::messages::delete_topics::{
    DeletableTopicResult, DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
};

pub(super) async fn handle(
    broker: &Arc<Broker>,
    version: i16,
    request: DeleteTopicsRequest,
) -> DeleteTopicsResponse {
    let asked: Vec<DeleteTopicState> = if version >= 6 {
        request.topics
    } else {
        let by_name = |name| DeleteTopicState { name: Some(name), topic_id: TopicId::ZERO };
        request.topic_names.into_iter().map(by_name).collect()
    };
    if !broker.settings().flag("delete.topic.enable") {
        let code = if version >= 3 { ErrorCode::TOPIC_DELETION_DISABLED } else { ErrorCode::INVALID_REQUEST };
        let refused = |asked: DeleteTopicState| {
            say(asked.name, asked.topic_id, Err((code, "delete.topic.enable is false".to_owned())))
        };
        let responses = asked.into_iter().map(refused).collect();
        return DeleteTopicsResponse { responses, ..DeleteTopicsResponse::default() };
    }
    let done =
        broker.blocking(move |broker| asked.into_iter().map(|one| delete(broker, one)).collect::<Vec<_>>());
    let responses = done.await.unwrap_or_default();
    for gone in responses.iter().filter(|response| response.error_code == ErrorCode::NONE) {
        let name = gone.name.as_deref().unwrap_or_default();
        if let Err(error) = broker.groups().topic_deleted(broker, name).await {
            // They carry the topic's id besides, so that a later topic of that name is not taken for it.
            tracing::warn!(topic = name, ?error, "committed offsets of a deleted topic are still there");
        }
    }
    DeleteTopicsResponse { responses, ..DeleteTopicsResponse::default() }
}

fn delete(broker: &Broker, asked: DeleteTopicState) -> DeletableTopicResult {
    let (name, id) = (asked.name, asked.topic_id);
    let found = match &name {
        Some(_) if !id.is_zero() => {
            Err((ErrorCode::INVALID_REQUEST, "both a name and an id are given".to_owned()))
        }
        None if id.is_zero() => {
            Err((ErrorCode::INVALID_REQUEST, "neither a name nor an id is given".to_owned()))
        }
        Some(name) => broker
            .topic(name)
            .ok_or_else(|| (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, format!("there is no topic {name}"))),
        None => broker
            .topic_by_id(&id)
            .ok_or_else(|| (ErrorCode::UNKNOWN_TOPIC_ID, format!("no topic has the id {id}"))),
    };
    let topic = match found {
        Ok(topic) => topic,
        Err(refused) => return say(name, id, Err(refused)),
    };
    let done = if is_internal(topic.name()) {
        Err((ErrorCode::INVALID_REQUEST, "internal topics are the broker's own".to_owned()))
    } else {
        broker.delete_topic(topic.name()).map_err(|error| (error::of_admin(&error), error.to_string()))
    };
    say(Some(topic.name().to_string()), topic.id(), done)
}

fn say(
    name: Option<String>,
    topic_id: TopicId,
    done: Result<(), (ErrorCode, String)>,
) -> DeletableTopicResult {
    let (error_code, error_message) = match done {
        Ok(()) => (ErrorCode::NONE, None),
        Err((code, message)) => (code, Some(message)),
    };
    DeletableTopicResult { name, topic_id, error_code, error_message }
}
