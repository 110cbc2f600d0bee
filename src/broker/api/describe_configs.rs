//! DescribeConfigs (32), versions 1 to 4: settings of topics, of this node, of the default of all brokers and of
//! groups, with sources, synonyms and what they mean. Loggers there are none but the root; no client metrics are kept.
//! Refuses other kinds of resources.

use std::sync::Arc;

use super::configs::{self, Described, resource};
use super::operations::{self, Refused};
use crate::auth::acl::Operation;
use crate::broker::catalog::ResourceKind;
use crate::broker::topic_settings::Step;
use crate::broker::{Broker, Peer};
use crate::model::name::check_topic;
use crate::wire::error::ErrorCode;
use crate::wire::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResponse,
    DescribeConfigsResult, DescribeConfigsSynonym,
};

/// The source of a logger's level (`DescribeConfigsResponse.ConfigSource`).
const LOGGER_SOURCE: i8 = 6;

pub(super) async fn handle(
    broker: &Arc<Broker>,
    peer: &Peer,
    version: i16,
    request: DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    let document = version >= 3 && request.include_documentation;
    let results = request.resources.into_iter().map(|asked| {
        // No keys and an empty list of them both mean all, as in Kafka.
        let keys = asked.configuration_keys.as_ref().filter(|keys| !keys.is_empty());
        let wanted = |name: &str| keys.is_none_or(|keys| keys.iter().any(|key| key == name));
        let mut result = DescribeConfigsResult {
            resource_type: asked.resource_type,
            error_message: Some(String::new()),
            ..DescribeConfigsResult::default()
        };
        match describe(broker, peer, &asked) {
            Ok(Found::Settings(described)) => {
                let said = |one: &Described| say(one, request.include_synonyms, document);
                result.configs = described.iter().filter(|one| wanted(one.row.name)).map(said).collect();
            }
            Ok(Found::Loggers) => result.configs = loggers().filter(|one| wanted(&one.name)).collect(),
            Err((code, message)) => {
                result.error_code = code;
                result.error_message = Some(message);
            }
        }
        result.resource_name = asked.resource_name;
        result
    });
    DescribeConfigsResponse { results: results.collect(), ..DescribeConfigsResponse::default() }
}

enum Found {
    Settings(Vec<Described>),
    Loggers,
}

/// All settings of what is asked for.
fn describe(broker: &Broker, peer: &Peer, asked: &DescribeConfigsResource) -> Result<Found, Refused> {
    let name = asked.resource_name.as_str();
    let settings = broker.settings();
    let invalid = |text: &str| Err((ErrorCode::INVALID_REQUEST, text.to_owned()));
    let found = match asked.resource_type {
        resource::TOPIC => {
            operations::topic(broker, peer, Operation::DescribeConfigs, name)?;
            check_topic(name).map_err(|error| (ErrorCode::INVALID_TOPIC_EXCEPTION, error.to_string()))?;
            let Some(topic) = broker.topic(name) else {
                return Err((ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, format!("there is no topic {name}")));
            };
            configs::of_topic(&topic.settings().given, &settings)
        }
        resource::GROUP => {
            operations::group(broker, peer, Operation::DescribeConfigs, name)?;
            if name.is_empty() {
                return invalid("a group's name is not empty");
            }
            configs::of_group(&broker.settings_of(ResourceKind::Group, name), &settings)
        }
        resource::BROKER | resource::BROKER_LOGGER | resource::CLIENT_METRICS => {
            operations::cluster(broker, peer, Operation::DescribeConfigs)?;
            match asked.resource_type {
                resource::CLIENT_METRICS if name.is_empty() => {
                    return invalid("the name of a subscription to client metrics is not empty");
                }
                resource::CLIENT_METRICS => Vec::new(),
                resource::BROKER if name.is_empty() => configs::of_all_brokers(&settings),
                other => {
                    this_node(broker, name)?;
                    if other == resource::BROKER_LOGGER {
                        return Ok(Found::Loggers);
                    }
                    configs::of_broker(&settings)
                }
            }
        }
        other => return invalid(&format!("there are no settings of resource type {other}")),
    };
    Ok(Found::Settings(found))
}

/// Whether `name` is this node's id.
pub(super) fn this_node(broker: &Broker, name: &str) -> Result<(), Refused> {
    let node = broker.node_id();
    match name.parse::<i32>() {
        Ok(id) if id == node => Ok(()),
        Ok(_) => Err((ErrorCode::INVALID_REQUEST, format!("this is broker {node}, not {name}"))),
        Err(_) => Err((ErrorCode::INVALID_REQUEST, format!("a broker's id is a number, not {name:?}"))),
    }
}

/// The one logger there is. Its level is chosen where the daemon is started.
fn loggers() -> impl Iterator<Item = DescribeConfigsResourceResult> {
    std::iter::once(DescribeConfigsResourceResult {
        name: "root".to_owned(),
        value: Some("INFO".to_owned()),
        read_only: true,
        config_source: LOGGER_SOURCE,
        ..DescribeConfigsResourceResult::default()
    })
}

fn say(described: &Described, synonyms: bool, document: bool) -> DescribeConfigsResourceResult {
    let sensitive = described.is_sensitive();
    let synonym = |step: &Step| DescribeConfigsSynonym {
        name: step.name.to_owned(),
        value: if sensitive { None } else { step.value.clone() },
        source: configs::number(step.source),
    };
    DescribeConfigsResourceResult {
        name: described.row.name.to_owned(),
        value: described.value(),
        read_only: described.read_only,
        config_source: described.source(),
        is_sensitive: sensitive,
        synonyms: if synonyms { described.synonyms().map(synonym).collect() } else { Vec::new() },
        config_type: configs::kind_number(described.row.kind),
        documentation: document.then(|| described.row.doc.to_owned()),
    }
}
