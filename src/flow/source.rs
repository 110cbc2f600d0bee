//! The topics that a run reads: found, waited for, looked for anew; never made.

use std::collections::HashMap;
use std::time::Duration;

use super::{FlowError, Host, Source};
use crate::client::consumer::{Consumer, Position};
use crate::client::{Client, ClientError};
use crate::model::id::TopicPartition;

/// How often a topic that does not exist yet is looked for.
const LOOK: Duration = Duration::from_millis(500);

/// The topics there are. Without `once`, those that are named are waited for, and of patterns there may be none yet.
pub(super) async fn topics<H: Host>(
    client: &Client,
    source: &Source,
    once: bool,
    host: &mut H,
) -> Result<Vec<String>, FlowError> {
    match source {
        Source::Stdin => Ok(Vec::new()),
        Source::Topics(names) => {
            for name in names {
                wait_for(client, name, once, host).await?;
            }
            Ok(names.clone())
        }
        Source::Patterns(patterns) => {
            let mut said = false;
            loop {
                let found = patterns.select(&client.topics().await?);
                match (found.is_empty(), once) {
                    (false, _) => return Ok(found),
                    (true, true) => return Err(FlowError::NoMatch),
                    (true, false) if !std::mem::replace(&mut said, true) => {
                        host.notice("no topic matches yet; waiting for one");
                    }
                    (true, false) => {}
                }
                tokio::time::sleep(LOOK).await;
            }
        }
    }
}

async fn wait_for<H: Host>(client: &Client, name: &str, once: bool, host: &mut H) -> Result<(), FlowError> {
    let mut said = false;
    loop {
        match client.topic(name, false).await {
            Ok(_) => return Ok(()),
            Err(ClientError::UnknownTopic(_)) if !once => {
                if !std::mem::replace(&mut said, true) {
                    host.notice(&format!("waiting for topic {name}, which does not exist yet"));
                }
                tokio::time::sleep(LOOK).await;
            }
            Err(ClientError::UnknownTopic(_)) => return Err(FlowError::NoTopic(name.to_owned())),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Where each partition of the topics ends now.
pub(super) async fn ends(
    client: &Client,
    consumer: &Consumer,
    topics: &[String],
) -> Result<HashMap<TopicPartition, i64>, FlowError> {
    let mut wanted = Vec::new();
    for topic in topics {
        let count = client.topic(topic, false).await?.count();
        wanted.extend((0..count).map(|index| (TopicPartition::new(topic.as_str(), index), Position::End)));
    }
    let found = consumer.resolve(&wanted).await?;
    Ok(wanted.into_iter().map(|(partition, _)| partition).zip(found).collect())
}
