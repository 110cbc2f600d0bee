//! The client against a broker: an Apache Kafka named by KLOG_TEST_KAFKA where there is one.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use klog::client::admin::NewTopic;
use klog::client::producer::{Producer, Pushed};
use klog::client::{Address, Client, ClientOptions};
use std::sync::atomic::{AtomicU32, Ordering};

fn options() -> Option<ClientOptions> {
    let address = std::env::var("KLOG_TEST_KAFKA").ok()?;
    Some(ClientOptions::new(Address::parse_list(&address).unwrap()))
}

fn run(test: impl AsyncFnOnce(Client)) {
    let Some(options) = options() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { test(Client::connect(options).await.unwrap()).await });
}

/// A new topic with this many partitions.
async fn topic(client: &Client, partitions: i32) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("t{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let new = NewTopic { name: name.clone(), partitions, replicas: -1, configs: Vec::new() };
    let made = client.create_topics(&[new]).await.unwrap().remove(0).unwrap();
    assert_eq!(made.partitions, partitions);
    name
}

#[test]
fn topics_come_and_go() {
    run(async |client| {
        let name = topic(&client, 3).await;
        let view = client.topic(&name, false).await.unwrap();
        assert_eq!(view.count(), 3);
        assert!(client.topics().await.unwrap().contains_key(&*name));
        client.delete_topics(std::slice::from_ref(&name)).await.unwrap().remove(0).unwrap();
    });
}

#[test]
fn what_is_pushed_is_acknowledged() {
    run(async |client| {
        let name = topic(&client, 2).await;
        let mut producer = Producer::new(&client).await.unwrap();
        let target = producer.topic(&name).await.unwrap();
        let value = [b'x'; 90];
        for _ in 0..100_000 {
            if producer.push(target, None, 1_730_000_000_000, None, Some(&value), &[]).unwrap()
                == Pushed::Full
            {
                producer.ready().await.unwrap();
            }
        }
        producer.flush().await.unwrap();
        let progress = producer.progress();
        assert_eq!((progress.pushed, progress.acknowledged), (100_000, 100_000));
        assert_eq!((progress.acknowledged_bytes, progress.unacknowledged_bytes), (9_000_000, 0));
    });
}
