//! What all clients of one history share: the way to the broker, the recorder, the topics, the moment to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use klog::model::id::TopicId;
use klog::wire::error::ErrorCode;
use klog::wire::messages::create_topics::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};

use crate::carrier::{Carrier, Line};
use crate::history::{Log, Recorder};

/// Topics of a history and how many partitions they have.
pub(crate) const TOPICS: [(&str, i32); 2] = [("in", 3), ("out", 2)];

/// All partitions.
pub(crate) fn logs() -> Vec<Log> {
    let all = TOPICS.iter().flat_map(|(topic, count)| (0..*count).map(|partition| Log { topic, partition }));
    all.collect()
}

/// All partitions of a topic.
pub(crate) fn logs_of(topic: &str) -> Vec<Log> {
    logs().into_iter().filter(|log| log.topic == topic).collect()
}

pub(crate) struct World {
    /// A new way to the broker, as a connection of its own.
    pub(crate) dial: Box<dyn Fn() -> Arc<dyn Carrier> + Send + Sync>,
    /// The wall clock that clients stamp records by.
    pub(crate) wall_ms: Box<dyn Fn() -> i64 + Send + Sync>,
    pub(crate) recorder: Recorder,
    pub(crate) stop: AtomicBool,
    ids: std::sync::Mutex<Vec<(TopicId, &'static str)>>,
    /// Longest pause of a client between two operations.
    pub(crate) pace: Duration,
}

impl World {
    pub(crate) fn new(
        dial: impl Fn() -> Arc<dyn Carrier> + Send + Sync + 'static,
        wall_ms: impl Fn() -> i64 + Send + Sync + 'static,
        pace: Duration,
    ) -> Arc<Self> {
        Arc::new(Self {
            dial: Box::new(dial),
            wall_ms: Box::new(wall_ms),
            recorder: Recorder::default(),
            stop: AtomicBool::new(false),
            ids: std::sync::Mutex::default(),
            pace,
        })
    }

    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    pub(crate) fn topic_of(&self, id: TopicId) -> Option<&'static str> {
        self.ids.lock().unwrap().iter().find(|(known, _)| *known == id).map(|(_, topic)| *topic)
    }

    pub(crate) fn id_of(&self, topic: &str) -> TopicId {
        self.ids.lock().unwrap().iter().find(|(_, known)| *known == topic).unwrap().0
    }

    /// Makes the topics. Small segments, nothing ever removed, any time stamp taken.
    pub(crate) async fn make_topics(&self, segment_ms: i64) {
        let line = Line((self.dial)());
        let config =
            |name: &str, value: String| CreatableTopicConfig { name: name.to_owned(), value: Some(value) };
        for (topic, partitions) in TOPICS {
            let request = CreateTopicsRequest {
                topics: vec![CreatableTopic {
                    name: topic.to_owned(),
                    num_partitions: partitions,
                    replication_factor: -1,
                    configs: vec![
                        config("retention.ms", "-1".to_owned()),
                        config("segment.ms", segment_ms.to_string()),
                        config("message.timestamp.after.max.ms", i64::MAX.to_string()),
                    ],
                    ..Default::default()
                }],
                timeout_ms: 30_000,
                ..Default::default()
            };
            let answer = line.call(&request, 7).await.unwrap();
            assert_eq!(answer.topics[0].error_code, ErrorCode::NONE, "{:?}", answer.topics[0].error_message);
            self.ids.lock().unwrap().push((answer.topics[0].topic_id, topic));
        }
    }
}

/// One client: a process of the history.
pub(crate) struct Client {
    pub(crate) world: Arc<World>,
    pub(crate) line: Line,
    pub(crate) process: u64,
    pub(crate) random: fastrand::Rng,
}

impl Client {
    pub(crate) fn new(world: &Arc<World>, seed: u64) -> Self {
        let process = world.recorder.number();
        let line = Line((world.dial)());
        Self {
            world: Arc::clone(world),
            line,
            process,
            random: fastrand::Rng::with_seed(seed ^ process << 32),
        }
    }

    pub(crate) fn stopped(&self) -> bool {
        self.world.stopped()
    }

    /// The pause between two operations.
    pub(crate) async fn pause(&mut self) {
        let most = u64::try_from(self.world.pace.as_micros()).unwrap();
        tokio::time::sleep(Duration::from_micros(self.random.u64(0..=most))).await;
    }

    /// The pause before something is tried again.
    pub(crate) async fn back_off(&mut self) {
        tokio::time::sleep(Duration::from_millis(self.random.u64(1..6))).await;
    }
}
