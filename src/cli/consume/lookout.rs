//! Looks at topics anew while they are followed without a group: for partitions that came, and topics that came back.
//! Never reads, and never holds up the reading.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};

use crate::client::{Client, ClientError, TopicView};

/// How often a topic that is gone is looked for.
const LOOK: Duration = Duration::from_millis(500);
/// No topic is looked at more often, however short `metadata.max.age.ms` is.
const LEAST: Duration = Duration::from_millis(100);

/// A task beside the reader that tells what topics are like, each `metadata.max.age.ms`.
#[derive(Debug)]
pub(super) struct Lookout {
    views: mpsc::Receiver<Arc<TopicView>>,
    soon: Arc<Notify>,
}

impl Lookout {
    /// Looks at these topics until this is dropped.
    pub(super) fn new(client: &Client, topics: &[String]) -> Self {
        let (found, views) = mpsc::channel(1);
        let soon = Arc::new(Notify::new());
        tokio::spawn(look(client.clone(), topics.to_vec(), found, soon.clone()));
        Self { views, soon }
    }

    /// A topic is gone: it may come back any moment.
    pub(super) fn look_soon(&self) {
        self.soon.notify_one();
    }

    /// What a topic is like now; waits for ever where there is nothing to tell. Cancel-safe.
    pub(super) async fn next(&mut self) -> Arc<TopicView> {
        match self.views.recv().await {
            Some(view) => view,
            None => std::future::pending().await,
        }
    }
}

async fn look(client: Client, topics: Vec<String>, found: mpsc::Sender<Arc<TopicView>>, soon: Arc<Notify>) {
    let often = client.options().metadata_max_age.max(LEAST);
    let mut pause = often;
    while !found.is_closed() {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = soon.notified() => {}
        }
        pause = often;
        for topic in &topics {
            match client.topic(topic, false).await {
                // A reader that is busy is told when it has time.
                Ok(view) => drop(found.send(view).await),
                Err(ClientError::UnknownTopic(_)) => pause = pause.min(LOOK),
                // The reading tells of what is wrong, if it lasts.
                Err(_) => {}
            }
        }
    }
}
