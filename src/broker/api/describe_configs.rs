//! DescribeConfigs (32), versions 1 to 4: settings of topics and of this node, with sources, synonyms and what they
//! mean. The defaults of all brokers (an empty name) are none. Refuses other kinds of resources.

use std::sync::Arc;

use super::configs::{self, Described};
use crate::broker::Broker;
use crate::model::name::check_topic;
use crate::wire::error::ErrorCode;
use crate::wire::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResponse,
    DescribeConfigsResult, DescribeConfigsSynonym,
};

/// Kafka's numbers of kinds of resources (`ConfigResource.Type`).
mod resource {
    pub(super) const TOPIC: i8 = 2;
    pub(super) const BROKER: i8 = 4;
}

pub(super) async fn handle(
    broker: &Arc<Broker>,
    version: i16,
    request: DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    let document = version >= 3 && request.include_documentation;
    let results = request.resources.into_iter().map(|asked| {
        let keys = asked.configuration_keys.clone();
        let wanted = |described: &Described| {
            keys.as_ref().is_none_or(|keys| keys.iter().any(|key| key == described.row.name))
        };
        let mut result = DescribeConfigsResult {
            resource_type: asked.resource_type,
            resource_name: asked.resource_name.clone(),
            ..DescribeConfigsResult::default()
        };
        match describe(broker, &asked) {
            Ok((described, read_only)) => {
                let said = |one: &Described| say(one, read_only, request.include_synonyms, document);
                result.configs = described.iter().filter(|one| wanted(one)).map(said).collect();
            }
            Err((code, message)) => {
                result.error_code = code;
                result.error_message = Some(message);
            }
        }
        result
    });
    DescribeConfigsResponse { results: results.collect(), ..DescribeConfigsResponse::default() }
}

/// All settings of what is asked for, and whether they can not be changed while the broker runs.
fn describe(
    broker: &Broker,
    asked: &DescribeConfigsResource,
) -> Result<(Vec<Described>, bool), (ErrorCode, String)> {
    let name = asked.resource_name.as_str();
    match asked.resource_type {
        resource::TOPIC => {
            if let Err(error) = check_topic(name) {
                return Err((ErrorCode::INVALID_TOPIC_EXCEPTION, error.to_string()));
            }
            let Some(topic) = broker.topic(name) else {
                return Err((ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, format!("there is no topic {name}")));
            };
            let settings = topic.settings();
            Ok((configs::of_topic(&settings.given, broker.settings()).collect(), false))
        }
        resource::BROKER if name.is_empty() => Ok((Vec::new(), true)),
        resource::BROKER if name.parse() == Ok(broker.node_id()) => {
            Ok((configs::of_broker(broker.settings()).collect(), true))
        }
        resource::BROKER => {
            let node = broker.node_id();
            Err((ErrorCode::INVALID_REQUEST, format!("this is broker {node}, not {name}")))
        }
        other => {
            Err((ErrorCode::INVALID_REQUEST, format!("settings of resource type {other} are not kept here")))
        }
    }
}

fn say(
    described: &Described,
    read_only: bool,
    synonyms: bool,
    document: bool,
) -> DescribeConfigsResourceResult {
    let sensitive = described.is_sensitive();
    let synonym = |step: &crate::broker::topic_settings::Step| DescribeConfigsSynonym {
        name: step.name.to_owned(),
        value: if sensitive { None } else { step.value.clone() },
        source: configs::number(step.source),
    };
    DescribeConfigsResourceResult {
        name: described.row.name.to_owned(),
        value: described.value(),
        read_only,
        config_source: described.source(),
        is_sensitive: sensitive,
        synonyms: if synonyms { described.steps.iter().map(synonym).collect() } else { Vec::new() },
        config_type: configs::kind_number(described.row.kind),
        documentation: document.then(|| described.row.doc.to_owned()),
    }
}
