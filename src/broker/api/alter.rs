//! What AlterConfigs and IncrementalAlterConfigs share: whose settings may be changed by whom, and which error says
//! why one was not; it stores nothing itself.

use std::collections::HashMap;
use std::sync::Arc;

use super::configs::resource;
use super::describe_configs::this_node;
use super::error;
use super::operations::{self, Refused};
use crate::auth::acl::Operation;
use crate::broker::catalog::ResourceKind;
use crate::broker::{AlterError, Broker, Change, Peer};
use crate::model::name::check_topic;
use crate::wire::error::ErrorCode;

/// Whose settings are to be changed, and how.
pub(super) struct Wanted {
    pub(super) resource_type: i8,
    pub(super) resource_name: String,
    /// In the order asked; why a change can not be one stands in its place.
    pub(super) changes: Result<Vec<(String, Change)>, Refused>,
}

/// Changes the settings of each resource, one after the other; answers what became of each.
pub(super) async fn alter(
    broker: &Arc<Broker>,
    peer: &Peer,
    wanted: Vec<Wanted>,
    replace: bool,
    validate_only: bool,
) -> Vec<(Wanted, Result<(), Refused>)> {
    let mut times: HashMap<(i8, &str), usize> = HashMap::new();
    for one in &wanted {
        *times.entry((one.resource_type, one.resource_name.as_str())).or_default() += 1;
    }
    let once: Vec<bool> = wanted
        .iter()
        .map(|one| times.get(&(one.resource_type, one.resource_name.as_str())) == Some(&1))
        .collect();
    let mut done = Vec::with_capacity(wanted.len());
    for (one, once) in wanted.into_iter().zip(once) {
        let kind = if once {
            permitted(broker, peer, &one)
        } else {
            Err((ErrorCode::INVALID_REQUEST, "the request names this resource more than once".to_owned()))
        };
        let result = match (kind, &one.changes) {
            (Ok(kind), Ok(changes)) => {
                let (name, changes) = (one.resource_name.clone(), changes.clone());
                let altered = broker.blocking(move |broker| {
                    broker.alter_settings(kind, &name, &changes, replace, validate_only)
                });
                match altered.await {
                    Ok(altered) => altered.map_err(|error| (code(kind, &error), error.to_string())),
                    Err(error) => Err((error::of_broker(&error), error.to_string())),
                }
            }
            (Err(refused), _) => Err(refused),
            (_, Err(refused)) => Err(refused.clone()),
        };
        done.push((one, result));
    }
    done
}

/// What kind of resource it is, if there is one and `peer` may change it.
fn permitted(broker: &Broker, peer: &Peer, wanted: &Wanted) -> Result<ResourceKind, Refused> {
    let name = wanted.resource_name.as_str();
    let invalid = |text: String| Err((ErrorCode::INVALID_REQUEST, text));
    match wanted.resource_type {
        resource::TOPIC => {
            operations::topic(broker, peer, Operation::AlterConfigs, name)?;
            if name.is_empty() {
                return invalid("topics have no defaults of their own; set the broker's".to_owned());
            }
            check_topic(name).map_err(|error| (ErrorCode::INVALID_TOPIC_EXCEPTION, error.to_string()))?;
            Ok(ResourceKind::Topic)
        }
        resource::BROKER => {
            operations::cluster(broker, peer, Operation::AlterConfigs)?;
            if !name.is_empty() {
                this_node(broker, name)?;
            }
            Ok(ResourceKind::Broker)
        }
        resource::GROUP => {
            operations::group(broker, peer, Operation::AlterConfigs, name)?;
            if name.is_empty() {
                return invalid("groups have no defaults of their own; set the broker's".to_owned());
            }
            Ok(ResourceKind::Group)
        }
        resource::BROKER_LOGGER => {
            operations::cluster(broker, peer, Operation::AlterConfigs)?;
            this_node(broker, name)?;
            let text = "the level of the log is chosen where the daemon is started";
            Err((ErrorCode::INVALID_CONFIG, text.to_owned()))
        }
        resource::CLIENT_METRICS => {
            operations::cluster(broker, peer, Operation::AlterConfigs)?;
            invalid("client metrics are not taken here".to_owned())
        }
        other => invalid(format!("there are no settings of resource type {other}")),
    }
}

/// Kafka says INVALID_REQUEST for what is wrong with a broker's settings, and INVALID_CONFIG for others'.
fn code(kind: ResourceKind, error: &AlterError) -> ErrorCode {
    match error {
        AlterError::UnknownTopic(_) => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        AlterError::Setting(_) if kind == ResourceKind::Broker => ErrorCode::INVALID_REQUEST,
        AlterError::Setting(error) => error::of_setting(error),
        AlterError::NotList(_) => ErrorCode::INVALID_CONFIG,
        AlterError::Twice(_) => ErrorCode::INVALID_REQUEST,
        AlterError::Failed(error) => error::of_broker(error),
    }
}
