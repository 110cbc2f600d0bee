//! DeleteTopics (20), versions 1 to 6: topics by name, from 6 on by id as well; gone from the catalog, on disk, when
//! answered. Refuses internal topics, topics named both ways or neither, and all of it where `delete.topic.enable` is
//! false.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::error;
use super::operations::{self, Refused};
use crate::auth::acl::Operation;
use crate::broker::{Broker, Peer, Topic};
use crate::model::id::TopicId;
use crate::model::name::is_internal;
use crate::wire::error::ErrorCode;
use crate::wire::messages::delete_topics::{
    DeletableTopicResult, DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
};

pub(super) async fn handle(
    broker: &Arc<Broker>,
    peer: &Peer,
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
    let mut times: HashMap<(Option<String>, TopicId), usize> = HashMap::new();
    let asked: Vec<_> = asked.into_iter().map(|one| (meant(broker, &one), one)).collect();
    for (meant, _) in &asked {
        *times.entry(meant.clone()).or_default() += 1;
    }
    let named = |by_name: bool| -> HashSet<String> {
        let of = asked.iter().filter(|(_, one)| one.name.is_some() == by_name);
        of.filter_map(|((name, _), _)| name.clone()).collect()
    };
    let both: HashSet<String> = named(true).intersection(&named(false)).cloned().collect();
    let mut responses = Vec::with_capacity(times.len());
    for (meant, mut one) in asked {
        // A topic that is there several times, by its name or its id, has one answer; by both, it says both.
        let Some(times) = times.remove(&meant) else { continue };
        if let Some(name) = meant.0.filter(|name| both.contains(name))
            && let Ok(topic) = find(broker, peer, &one, false)
        {
            (one.name, one.topic_id) = (Some(name), topic.id());
        }
        responses.push(delete(broker, peer, one, times > 1).await);
    }
    for gone in responses.iter().filter(|response| response.error_code == ErrorCode::NONE) {
        let name = gone.name.as_deref().unwrap_or_default();
        if let Err(error) = broker.groups().topic_deleted(broker, name).await {
            // They carry the topic's id besides, so that a later topic of that name is not taken for it.
            tracing::warn!(topic = name, ?error, "committed offsets of a deleted topic are still there");
        }
    }
    DeleteTopicsResponse { responses, ..DeleteTopicsResponse::default() }
}

/// The topic by its name where one of that id is there: what is the same topic is the same key.
fn meant(broker: &Broker, asked: &DeleteTopicState) -> (Option<String>, TopicId) {
    let by_id = asked.name.is_none().then(|| broker.topic_name(&asked.topic_id)).flatten();
    match by_id {
        Some(name) => (Some(name.to_string()), TopicId::ZERO),
        None => (asked.name.clone(), asked.topic_id),
    }
}

async fn delete(
    broker: &Arc<Broker>,
    peer: &Peer,
    asked: DeleteTopicState,
    twice: bool,
) -> DeletableTopicResult {
    let topic = match find(broker, peer, &asked, twice) {
        Ok(topic) => topic,
        Err(refused) => return say(asked.name, asked.topic_id, Err(refused)),
    };
    let name = topic.name().to_string();
    let done = if is_internal(&name) {
        Err((ErrorCode::INVALID_REQUEST, "internal topics are the broker's own".to_owned()))
    } else {
        let gone = name.clone();
        match broker.blocking(move |broker| broker.delete_topic(&gone)).await {
            Ok(done) => done.map_err(|error| (error::of_admin(&error), error.to_string())),
            Err(error) => Err((error::of_broker(&error), error.to_string())),
        }
    };
    say(Some(name), topic.id(), done)
}

/// The topic that is meant. Whoever may not see it is not told whether there is one, nor the name of an id.
fn find(broker: &Broker, peer: &Peer, asked: &DeleteTopicState, twice: bool) -> Result<Arc<Topic>, Refused> {
    let (name, id) = (asked.name.as_deref(), &asked.topic_id);
    let invalid = |text: &str| Err((ErrorCode::INVALID_REQUEST, text.to_owned()));
    let topic = match name {
        _ if twice => return invalid("the request names this topic more than once"),
        Some(_) if !id.is_zero() => return invalid("both a name and an id are given"),
        None if id.is_zero() => return invalid("neither a name nor an id is given"),
        Some(name) => {
            // Asked whether or not it is there, so that the refusal says nothing about that.
            operations::topic(broker, peer, Operation::Describe, name)?;
            let Some(topic) = broker.topic(name) else {
                return Err((ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, format!("there is no topic {name}")));
            };
            topic
        }
        None => {
            let unknown = || (ErrorCode::UNKNOWN_TOPIC_ID, format!("no topic has the id {id}"));
            let topic = broker.topic_by_id(id).ok_or_else(unknown)?;
            if operations::topic(broker, peer, Operation::Describe, topic.name()).is_err() {
                let text = "this topic is not yours to delete".to_owned();
                return Err((ErrorCode::TOPIC_AUTHORIZATION_FAILED, text));
            }
            topic
        }
    };
    operations::topic(broker, peer, Operation::Delete, topic.name())?;
    Ok(topic)
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
