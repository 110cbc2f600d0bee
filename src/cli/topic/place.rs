//! `NAME[:P]` as people name a topic or some partitions of it; touches no broker until it is asked to.

use std::sync::Arc;

use crate::cli::exit::Failure;
use crate::cli::lists;
use crate::client::{Client, ClientError, TopicView};
use crate::model::id::TopicPartition;

/// A topic, or some of its partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Place {
    pub(in crate::cli) topic: String,
    /// `None`: all of them.
    pub(in crate::cli) partitions: Option<Vec<i32>>,
}

impl Place {
    /// Reads `NAME`, `NAME:3` or `NAME:0,2-4`.
    pub(in crate::cli) fn parse(text: &str) -> Result<Self, Failure> {
        let (topic, list) = text.split_once(':').map_or((text, None), |(topic, list)| (topic, Some(list)));
        let partitions = list
            .map(lists::partitions)
            .transpose()
            .map_err(|why| Failure::usage(format!("{text}: {why}"), "write NAME, NAME:0 or NAME:0,2-4"))?;
        if topic.is_empty() {
            return Err(Failure::usage(
                format!("{text:?}: the topic's name is missing"),
                "write NAME, NAME:0 or NAME:0,2-4",
            ));
        }
        Ok(Self { topic: topic.to_owned(), partitions })
    }

    /// The partitions it stands for, all of which exist.
    ///
    /// # Errors
    /// [`ClientError::UnknownTopic`], [`ClientError::UnknownPartition`]; failures of the connection.
    pub(in crate::cli) async fn resolve(&self, client: &Client) -> Result<Vec<TopicPartition>, ClientError> {
        let view: Arc<TopicView> = client.topic(&self.topic, false).await?;
        let one = |index| TopicPartition::new(view.name.clone(), index);
        let Some(list) = &self.partitions else { return Ok((0..view.count()).map(one).collect()) };
        match list.iter().find(|index| **index >= view.count()) {
            Some(missing) => {
                Err(ClientError::UnknownPartition { partition: one(*missing), count: view.count() })
            }
            None => Ok(list.iter().map(|index| one(*index)).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_and_some_of_their_partitions() {
        let place = |topic: &str, partitions| Place { topic: topic.to_owned(), partitions };
        assert_eq!(Place::parse("t"), Ok(place("t", None)));
        assert_eq!(Place::parse("t:0,2-3"), Ok(place("t", Some(vec![0, 2, 3]))));
        for text in ["", ":1", "t:", "t:x", "t:-1"] {
            let failure = Place::parse(text).unwrap_err();
            assert_eq!(failure.exit, crate::cli::exit::Exit::Usage, "{text}");
        }
    }
}
