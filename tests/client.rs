//! The client against a klog in this process, and against an Apache Kafka where KLOG_TEST_KAFKA names one.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use klog::broker::{Broker, BrokerOptions};
use klog::client::admin::{NewTopic, OffsetSpec};
use klog::client::consumer::{Consumer, Event, Position};
use klog::client::group::{Committed, GroupEvent, Member};
use klog::client::producer::{Producer, Pushed};
use klog::client::{Address, Client, ClientError, ClientOptions};
use klog::model::id::TopicPartition;
use klog::net::Listener;
use klog::record::{Codec, Decompressor, Header};
use klog::server::{ListenerOptions, Server, ServerOptions};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::time::timeout;

const LONG: Duration = Duration::from_secs(30);

/// A klog of its own in a folder of its own, on a Unix socket.
struct Klog {
    broker: Arc<Broker>,
    server: Option<Server>,
    folder: tempfile::TempDir,
}

impl Klog {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let broker = Broker::open_on_this_machine(BrokerOptions::new(folder.path().join("data"))).unwrap();
        let address = Address::Unix(folder.path().join("klog.sock"));
        let listener = Listener::bind(&address, 64).unwrap();
        let listeners = vec![ListenerOptions::plain(listener)];
        let options = ServerOptions { listeners, workers: 1, ..ServerOptions::default() };
        let server = Some(Server::start(options, broker.clone()).unwrap());
        Self { broker, server, folder }
    }

    fn address(&self) -> Address {
        Address::Unix(self.folder.path().join("klog.sock"))
    }

    async fn stop(mut self) {
        self.server.take().unwrap().stop().await;
        self.broker.close().await.unwrap();
    }
}

/// Runs a test with options of its own changes, against each broker there is.
fn run(change: impl Fn(&mut ClientOptions), test: impl AsyncFn(Client)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let klog = Klog::start();
        let mut brokers = vec![vec![klog.address()]];
        brokers.extend(std::env::var("KLOG_TEST_KAFKA").ok().map(|list| Address::parse_list(&list).unwrap()));
        for bootstrap in brokers {
            let mut options = ClientOptions::new(bootstrap);
            change(&mut options);
            let client = Client::connect(options).await.unwrap();
            timeout(LONG, test(client)).await.expect("the test takes too long");
        }
        klog.stop().await;
    });
}

fn name() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("t{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// A new topic with this many partitions.
async fn topic(client: &Client, partitions: i32, configs: &[(&str, &str)]) -> String {
    let name = name();
    let configs = configs.iter().map(|(key, value)| (key.to_string(), Some(value.to_string()))).collect();
    let new = NewTopic { name: name.clone(), partitions, replicas: -1, configs };
    let made = client.create_topics(&[new]).await.unwrap().remove(0).unwrap();
    assert_eq!(made.partitions, partitions);
    name
}

async fn produce(client: &Client, topic: &str, lines: impl IntoIterator<Item = String>) {
    let mut producer = Producer::new(client).await.unwrap();
    let target = producer.topic(topic).await.unwrap();
    for line in lines {
        if producer.push(target, None, 1_730_000_000_000, None, Some(line.as_bytes()), &[]).unwrap()
            == Pushed::Full
        {
            producer.ready().await.unwrap();
        }
    }
    producer.flush().await.unwrap();
}

/// Everything from the positions to the ends as they are now: values by partition.
async fn read(client: &Client, topic: &str, from: Position) -> BTreeMap<i32, Vec<String>> {
    let mut consumer = Consumer::new(client);
    let count = client.topic(topic, false).await.unwrap().count();
    let partitions: Vec<_> = (0..count).map(|index| TopicPartition::new(topic, index)).collect();
    let all = |position| partitions.iter().map(|one| (one.clone(), position)).collect::<Vec<_>>();
    let starts = consumer.resolve(&all(from)).await.unwrap();
    let ends = consumer.resolve(&all(Position::End)).await.unwrap();
    for ((partition, start), end) in partitions.iter().zip(starts).zip(ends) {
        consumer.assign(partition.clone(), start, Some(end));
    }
    let (mut out, mut open) = (BTreeMap::<i32, Vec<String>>::new(), partitions.len());
    let mut decompressor = Decompressor::new();
    while open > 0 {
        match consumer.next().await.unwrap() {
            Event::Chunk(chunk) => {
                let list = out.entry(chunk.partition.partition).or_default();
                let next = chunk
                    .visit(chunk.start(), &mut decompressor, |_, record| {
                        list.push(String::from_utf8_lossy(record.value.unwrap()).into_owned());
                        ControlFlow::Continue(())
                    })
                    .unwrap();
                assert_eq!(next, chunk.next_offset());
            }
            Event::Stopped(_) => open -= 1,
            other => panic!("{other:?}"),
        }
    }
    out
}

#[test]
fn topics_come_and_go() {
    run(
        |_| {},
        async |client| {
            let name = topic(&client, 3, &[("retention.ms", "12345")]).await;
            let view = client.topic(&name, false).await.unwrap();
            assert_eq!(view.count(), 3);
            assert!(client.topics().await.unwrap().contains_key(&*name));
            let configs =
                client.describe_topic_configs(std::slice::from_ref(&name)).await.unwrap().remove(0).unwrap();
            let retention = configs.iter().find(|config| config.name == "retention.ms").unwrap();
            assert_eq!((retention.value.as_deref(), retention.source), (Some("12345"), 1));
            let new = NewTopic { name: name.clone(), partitions: 1, replicas: -1, configs: Vec::new() };
            let again = client.create_topics(&[new]).await.unwrap().remove(0);
            assert_eq!(again.unwrap_err().code().unwrap().name(), "TOPIC_ALREADY_EXISTS");
            client.delete_topics(std::slice::from_ref(&name)).await.unwrap().remove(0).unwrap();
            let missing = client.delete_topics(std::slice::from_ref(&name)).await.unwrap().remove(0);
            assert_eq!(missing, Err(ClientError::UnknownTopic(name)));
            let (_, _, nodes) = client.describe_cluster().await.unwrap();
            assert_eq!(nodes.len(), 1);
            assert!(!client.describe_broker_configs(nodes[0].id).await.unwrap().is_empty());
            assert!(client.api_versions().await.unwrap().iter().any(|api| api.name == Some("Produce")));
        },
    );
}

#[test]
fn what_is_pushed_comes_back_in_order_with_every_codec() {
    for codec in [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        run(
            |options| options.codec = codec,
            async |client| {
                let name = topic(&client, 1, &[]).await;
                let lines: Vec<String> =
                    (0..20_000).map(|number| format!("{number} {}", "x".repeat(number % 100))).collect();
                produce(&client, &name, lines.clone()).await;
                assert!(read(&client, &name, Position::Start).await[&0] == lines, "{codec:?}");
                let tail = read(&client, &name, Position::BeforeEnd(3)).await;
                assert_eq!(tail[&0], lines[lines.len() - 3..], "{codec:?}");
                assert_eq!(read(&client, &name, Position::AfterStart(19_999)).await[&0].len(), 1);
                assert!(read(&client, &name, Position::Time(1_730_000_000_001)).await.is_empty());
            },
        );
    }
}

#[test]
fn keys_headers_and_nulls_survive_and_keys_stay_together() {
    run(
        |options| options.batch_bytes = 2000,
        async |client| {
            let name = topic(&client, 4, &[]).await;
            let mut producer = Producer::new(&client).await.unwrap();
            producer.keep_receipts();
            let target = producer.topic(&name).await.unwrap();
            let headers = [Header { key: b"h", value: Some(b"1") }, Header { key: b"h", value: None }];
            for number in 0..1000u32 {
                let key = [(number % 7) as u8, 0, 255];
                let value = number.to_be_bytes();
                let value = (number % 10 != 0).then_some(&value[..]);
                let pushed =
                    producer.push(target, None, i64::from(number), Some(&key), value, &headers).unwrap();
                if pushed == Pushed::Full {
                    producer.ready().await.unwrap();
                }
            }
            producer.flush().await.unwrap();
            assert_eq!(producer.progress().acknowledged, 1000);
            assert_eq!(producer.receipts().iter().map(|receipt| receipt.count).sum::<u32>(), 1000);
            let mut consumer = Consumer::new(&client);
            for partition in 0..4 {
                consumer.assign(TopicPartition::new(name.as_str(), partition), 0, None);
            }
            let (mut seen, mut homes) = (0, BTreeMap::new());
            while seen < 1000 {
                let Event::Chunk(chunk) = consumer.next().await.unwrap() else { panic!() };
                let visited = chunk.visit(chunk.start(), &mut Decompressor::new(), |_, record| {
                    let number = record.timestamp as u32;
                    assert_eq!(record.key, Some(&[(number % 7) as u8, 0, 255][..]));
                    let value = number.to_be_bytes();
                    assert_eq!(record.value, (!number.is_multiple_of(10)).then_some(&value[..]));
                    assert_eq!(record.headers.collect::<Vec<_>>(), headers);
                    assert_eq!(
                        *homes.entry(number % 7).or_insert(chunk.partition.partition),
                        chunk.partition.partition
                    );
                    seen += 1;
                    ControlFlow::Continue(())
                });
                visited.unwrap();
            }
        },
    );
}

#[test]
fn a_record_too_large_is_named_and_batches_too_large_are_split() {
    run(
        |options| {
            options.max_request_bytes = Some(1 << 20);
            options.batch_bytes = 64 << 10;
        },
        async |client| {
            let name = topic(&client, 1, &[("max.message.bytes", "3000")]).await;
            let lines: Vec<String> = (0..500).map(|number| format!("{number:0100}")).collect();
            produce(&client, &name, lines.clone()).await;
            assert_eq!(read(&client, &name, Position::Start).await[&0], lines);
            let mut producer = Producer::new(&client).await.unwrap();
            let target = producer.topic(&name).await.unwrap();
            for size in [10, 10, 5000, 10] {
                producer.push(target, None, 0, None, Some(&vec![b'x'; size]), &[]).unwrap();
            }
            let error = producer.flush().await.unwrap_err();
            assert!(matches!(error, ClientError::RecordTooLarge { ordinal: 2, .. }), "{error}");
        },
    );
    run(
        |_| {},
        async |client| {
            let name = topic(&client, 1, &[("max.message.bytes", "3000")]).await;
            let mut producer = Producer::new(&client).await.unwrap();
            let target = producer.topic(&name).await.unwrap();
            assert_eq!(producer.limit(target), 3000);
            let error = producer.push(target, None, 0, None, Some(&[b'x'; 3000]), &[]).unwrap_err();
            assert!(
                matches!(error, ClientError::RecordTooLarge { ordinal: 0, limit: Some(3000), .. }),
                "{error}"
            );
            producer.push(target, None, 0, None, Some(&[b'x'; 2900]), &[]).unwrap();
            producer.flush().await.unwrap();
        },
    );
}

#[test]
fn what_does_not_exist_is_said_at_once() {
    run(
        |_| {},
        async |client| {
            let missing = TopicPartition::new("no-such-topic", 0);
            let error = Consumer::new(&client).resolve(&[(missing, Position::Start)]).await.unwrap_err();
            assert_eq!(error, ClientError::UnknownTopic("no-such-topic".to_owned()));
            let name = topic(&client, 1, &[]).await;
            let beyond = TopicPartition::new(name.as_str(), 1);
            let listed =
                client.list_offsets(&[(beyond.clone(), OffsetSpec::Latest)]).await.unwrap().remove(0);
            assert_eq!(listed, Err(ClientError::UnknownPartition { partition: beyond, count: 1 }));
        },
    );
}

#[test]
fn a_position_outside_the_log_moves_by_the_reset_policy() {
    run(
        |_| {},
        async |client| {
            let name = topic(&client, 1, &[]).await;
            produce(&client, &name, (0..10).map(|number| number.to_string())).await;
            let partition = TopicPartition::new(name.as_str(), 0);
            let mut consumer = Consumer::new(&client);
            consumer.assign(partition, 50, None);
            let event = consumer.next().await.unwrap();
            assert!(matches!(event, Event::Moved { from: 50, to: 0, .. }), "{event:?}");
            assert!(
                matches!(consumer.next().await.unwrap(), Event::Chunk(chunk) if chunk.next_offset() == 10)
            );
        },
    );
}

/// Runs members until each has the number of partitions wanted; answers rebalances at once.
async fn settle(members: &mut [&mut Member], owned: &mut [Vec<TopicPartition>], wanted: &[usize]) {
    while owned.iter().map(Vec::len).ne(wanted.iter().copied()) {
        for (member, owned) in members.iter_mut().zip(owned.iter_mut()) {
            match timeout(Duration::from_millis(20), member.next()).await {
                Err(_) => {}
                Ok(Ok(GroupEvent::Prepare { revoked, .. })) => {
                    owned.retain(|one| !revoked.contains(one));
                    member.proceed();
                }
                Ok(Ok(GroupEvent::Assigned { all, .. })) => *owned = all,
                Ok(other) => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn members_divide_the_partitions_and_take_over() {
    for assignor in ["range", "roundrobin", "cooperative-sticky"] {
        run(
            |options| {
                options.assignors = vec![assignor.to_owned()];
                options.heartbeat_interval = Duration::from_millis(200);
            },
            async |client| {
                let name = topic(&client, 6, &[]).await;
                let group = format!("g-{name}");
                let topics = [name.clone()];
                let mut first = Member::join(&client, &group, &topics).await.unwrap();
                let mut owned = [Vec::new()];
                settle(&mut [&mut first], &mut owned, &[6]).await;
                let offsets: Vec<_> = (0..2)
                    .map(|index| (TopicPartition::new(name.as_str(), index), Committed::at(7)))
                    .collect();
                first.commit(&offsets).await.unwrap();
                let mut second = Member::join(&client, &group, &topics).await.unwrap();
                let mut third = Member::join(&client, &group, &topics).await.unwrap();
                let mut owned = [owned[0].clone(), Vec::new(), Vec::new()];
                settle(&mut [&mut first, &mut second, &mut third], &mut owned, &[2, 2, 2]).await;
                let mut all = owned.concat();
                all.sort();
                assert_eq!(
                    all,
                    (0..6).map(|index| TopicPartition::new(name.as_str(), index)).collect::<Vec<_>>()
                );
                let kept = second.committed(&[all[0].clone(), all[5].clone()]).await.unwrap();
                assert_eq!(kept, [Some(Committed::at(7)), None]);
                let described =
                    client.describe_groups(std::slice::from_ref(&group)).await.unwrap().remove(0).unwrap();
                assert_eq!((described.state.as_str(), described.protocol.as_str()), ("Stable", assignor));
                assert_eq!(
                    described.members.iter().map(|member| member.assigned.len()).collect::<Vec<_>>(),
                    [2, 2, 2]
                );
                third.leave().await.unwrap();
                let [one, two, _] = owned;
                let mut owned = [one, two];
                settle(&mut [&mut first, &mut second], &mut owned, &[3, 3]).await;
                assert_eq!(client.group_offsets(&group).await.unwrap().len(), 2);
                assert!(client.list_groups().await.unwrap().iter().any(|listed| listed.group == group));
                first.leave().await.unwrap();
                second.leave().await.unwrap();
            },
        );
    }
}
