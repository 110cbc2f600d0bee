//! Many clients at once, each with connections of its own.

use std::ops::ControlFlow;

use klog::client::admin::NewTopic;
use klog::client::consumer::{Consumer, Event, Position};
use klog::client::producer::{Producer, Pushed};
use klog::client::{Client, ClientOptions};
use klog::model::id::TopicPartition;
use klog::net::Address;
use klog::record::Decompressor;
use tokio::task::LocalSet;

use crate::child::{Server, raise_descriptors};

const CLIENTS: usize = 500;
const RECORDS: usize = 20;
const PARTITIONS: i32 = 10;
/// What the daemon may take in memory, in KiB.
const MOST: usize = 96 << 10;

async fn write(address: Address, name: usize) {
    let client = Client::connect(ClientOptions::new(vec![address])).await.unwrap();
    let mut producer = Producer::new(&client).await.unwrap();
    let topic = producer.topic("crowd").await.unwrap();
    for number in 0..RECORDS {
        let value = format!("{name}-{number}");
        let key = value.as_bytes();
        if producer.push(topic, None, 1_730_000_000_000, Some(key), Some(key), &[]).unwrap() == Pushed::Full {
            producer.ready().await.unwrap();
        }
    }
    producer.flush().await.unwrap();
}

async fn read(address: Address) -> Vec<String> {
    let client = Client::connect(ClientOptions::new(vec![address])).await.unwrap();
    let mut consumer = Consumer::new(&client);
    let all = |position| -> Vec<_> {
        (0..PARTITIONS).map(|index| (TopicPartition::new("crowd", index), position)).collect()
    };
    let ends = consumer.resolve(&all(Position::End)).await.unwrap();
    let mut open = 0;
    for ((partition, _), end) in all(Position::End).into_iter().zip(ends) {
        consumer.assign(partition, 0, Some(end));
        open += 1;
    }
    let (mut values, mut decompressor) = (Vec::new(), Decompressor::new());
    while open > 0 {
        match consumer.next().await.unwrap() {
            Event::Chunk(chunk) => {
                let visit = chunk.visit(chunk.start(), &mut decompressor, |_, record| {
                    values.push(String::from_utf8(record.value.unwrap().to_vec()).unwrap());
                    ControlFlow::Continue(())
                });
                visit.unwrap();
            }
            Event::Stopped(_) => open -= 1,
            other => panic!("{other:?}"),
        }
    }
    values.sort();
    values
}

#[test]
fn five_hundred_clients_at_once_are_all_served() {
    raise_descriptors();
    let server = Server::start("broker");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut wanted: Vec<String> =
        (0..CLIENTS).flat_map(|name| (0..RECORDS).map(move |number| format!("{name}-{number}"))).collect();
    wanted.sort();
    let local = LocalSet::new();
    local.block_on(&runtime, async {
        let client = Client::connect(ClientOptions::new(vec![server.address.clone()])).await.unwrap();
        let crowd =
            NewTopic { name: "crowd".to_owned(), partitions: PARTITIONS, replicas: -1, configs: Vec::new() };
        client.create_topics(&[crowd]).await.unwrap().remove(0).unwrap();
        let writers: Vec<_> =
            (0..CLIENTS).map(|name| tokio::task::spawn_local(write(server.address.clone(), name))).collect();
        for writer in writers {
            writer.await.unwrap();
        }
        let readers: Vec<_> =
            (0..20).map(|_| tokio::task::spawn_local(read(server.address.clone()))).collect();
        for reader in readers {
            assert!(reader.await.unwrap() == wanted, "a reader got something else than was written");
        }
    });
    let most = server.memory("VmHWM");
    println!("{CLIENTS} clients at once: at most {most} KiB");
    assert!(most < MOST, "{most} KiB");
}
