//! The client against a klog in this process, and against an Apache Kafka where KLOG_TEST_KAFKA names one.
#![allow(clippy::unwrap_used, clippy::expect_used)]
// Lists of ranges, some of one.
#![allow(clippy::single_range_in_vec_init)]

use klog::broker::{Broker, BrokerOptions};
use klog::client::admin::{NewTopic, OffsetSpec};
use klog::client::consumer::{Consumer, Event, Position};
use klog::client::group::{Committed, GroupEvent, GroupMetadata, Member};
use klog::client::options::Isolation;
use klog::client::producer::{Producer, Pushed, Topic};
use klog::client::{Address, Client, ClientError, ClientOptions};
use klog::model::id::TopicPartition;
use klog::net::Listener;
use klog::record::{Codec, Decompressor, Header};
use klog::server::{ListenerOptions, Server, ServerOptions};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
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

/// What is remembered of a topic says nothing of the partitions that it got since.
#[test]
fn partitions_that_came_since_the_topic_was_looked_up_are_found() {
    run(
        |_| {},
        async |client| {
            let name = topic(&client, 1, &[]).await;
            assert_eq!(client.topic(&name, false).await.unwrap().count(), 1);
            let other = Client::connect(client.options().clone()).await.unwrap();
            other.create_partitions(std::slice::from_ref(&name), 3).await.unwrap().remove(0).unwrap();
            let [one, two, four] = [1, 2, 4].map(|index| TopicPartition::new(name.as_str(), index));
            let consumer = Consumer::new(&client);
            assert_eq!(consumer.resolve(&[(one.clone(), Position::Start)]).await.unwrap(), [0]);
            assert_eq!(client.describe_producers(&[two]).await.remove(0).unwrap(), []);
            let missing = consumer.resolve(&[(four.clone(), Position::Start)]).await.unwrap_err();
            assert_eq!(missing, ClientError::UnknownPartition { partition: four, count: 3 });
        },
    );
}

/// A position belongs to a topic, not to its name.
#[test]
fn a_topic_made_anew_is_not_read_from_the_old_ones_position() {
    run(
        |_| {},
        async |client| {
            let name = topic(&client, 1, &[]).await;
            let partition = TopicPartition::new(name.as_str(), 0);
            produce(&client, &name, ["a", "b"].map(str::to_owned)).await;
            let mut consumer = Consumer::new(&client);
            consumer.assign(partition.clone(), 0, None);
            assert!(matches!(consumer.next().await.unwrap(), Event::Chunk(_)));
            let old = consumer.topic_of(&partition);
            let other = Client::connect(client.options().clone()).await.unwrap();
            other.delete_topics(std::slice::from_ref(&name)).await.unwrap().remove(0).unwrap();
            let new = NewTopic { name: name.clone(), partitions: 1, replicas: -1, configs: Vec::new() };
            other.create_topics(&[new]).await.unwrap().remove(0).unwrap();
            produce(&other, &name, (0..4).map(|number| number.to_string())).await;
            let is_replaced = |event: &Event| matches!(event, Event::Replaced(one) if *one == partition);
            let event = consumer.next().await.unwrap();
            assert!(is_replaced(&event), "{event:?}");
            // Also where the old one's position comes back by a way round.
            consumer.assign_of(old, partition.clone(), 2, None);
            let event = consumer.next().await.unwrap();
            assert!(is_replaced(&event), "{event:?}");
            consumer.assign(partition.clone(), 0, None);
            let event = consumer.next().await.unwrap();
            assert!(
                matches!(&event, Event::Chunk(chunk) if (chunk.start(), chunk.next_offset()) == (0, 4)),
                "{event:?}"
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

/// Everything of a topic, by isolation level, sorted.
async fn seen(client: &Client, topic: &str, isolation: Isolation) -> Vec<String> {
    let mut options = client.options().clone();
    options.isolation = isolation;
    let client = Client::connect(options).await.unwrap();
    let mut all: Vec<String> = read(&client, topic, Position::Start).await.into_values().flatten().collect();
    all.sort();
    all
}

async fn push(producer: &mut Producer, topic: Topic, values: std::ops::Range<u32>) {
    for number in values {
        let key = number.to_be_bytes();
        let value = format!("{number:04}");
        if producer.push(topic, None, 1, Some(&key), Some(value.as_bytes()), &[]).unwrap() == Pushed::Full {
            producer.ready().await.unwrap();
        }
    }
}

fn numbers(ranges: &[std::ops::Range<u32>]) -> Vec<String> {
    ranges.iter().flat_map(|range| range.clone().map(|number| format!("{number:04}"))).collect()
}

#[test]
fn committed_transactions_are_seen_whole_and_aborted_ones_not_at_all() {
    run(
        |options| options.batch_bytes = 2000,
        async |client| {
            let name = topic(&client, 3, &[]).await;
            let mut producer = Producer::transactional(&client, &name).await.unwrap();
            let target = producer.topic(&name).await.unwrap();
            let outside = producer.push(target, None, 1, None, Some(b"x"), &[]);
            assert!(matches!(outside, Err(ClientError::Transaction(_))), "{outside:?}");
            // Nothing in it: nothing is said to the broker.
            producer.begin().unwrap();
            producer.commit().await.unwrap();
            for (round, commit) in [true, false, true, true, false, false, true].into_iter().enumerate() {
                let first = round as u32 * 1000;
                producer.begin().unwrap();
                assert!(producer.begin().is_err());
                push(&mut producer, target, first..first + 400).await;
                if commit {
                    producer.commit().await.unwrap();
                } else {
                    if round != 1 {
                        producer.flush().await.unwrap();
                    }
                    producer.abort().await.unwrap();
                }
            }
            assert_eq!(producer.progress().committed, 1600);
            let wanted = numbers(&[0..400, 2000..2400, 3000..3400, 6000..6400]);
            assert_eq!(seen(&client, &name, Isolation::ReadCommitted).await, wanted);
            assert!(seen(&client, &name, Isolation::ReadUncommitted).await.len() >= 2400);
            let described =
                client.describe_transactions(std::slice::from_ref(&name)).await.remove(0).unwrap();
            assert_eq!((described.state.as_str(), described.partitions.len()), ("CompleteCommit", 0));
        },
    );
}

#[test]
fn an_open_transaction_holds_the_end_and_is_told_of() {
    run(
        |_| {},
        async |client| {
            let name = topic(&client, 1, &[]).await;
            let partition = TopicPartition::new(name.as_str(), 0);
            let mut producer = Producer::transactional(&client, &name).await.unwrap();
            let target = producer.topic(&name).await.unwrap();
            producer.begin().unwrap();
            push(&mut producer, target, 0..10).await;
            producer.flush().await.unwrap();
            produce(&client, &name, ["late".to_owned()]).await;
            assert!(seen(&client, &name, Isolation::ReadCommitted).await.is_empty());
            assert_eq!(seen(&client, &name, Isolation::ReadUncommitted).await.len(), 11);
            let found = client.describe_transactions(std::slice::from_ref(&name)).await.remove(0).unwrap();
            assert!(found.is_open() && found.started_ms.is_some(), "{found:?}");
            assert_eq!(found.partitions, std::slice::from_ref(&partition));
            let known = client.describe_producers(&[partition]).await.remove(0).unwrap();
            let open: Vec<_> = known.iter().filter(|one| one.first_offset == Some(0)).collect();
            assert_eq!(open.iter().map(|one| one.producer_id).collect::<Vec<_>>(), [found.producer_id]);
            let states = ["Ongoing".to_owned()];
            let listed = client.list_transactions(&states, &[found.producer_id], None).await.unwrap();
            assert_eq!(listed.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), [name.as_str()]);
            // Taken over from outside, as by an admin.
            client.abort_transaction(&name, found.timeout_ms).await.unwrap();
            assert_eq!(seen(&client, &name, Isolation::ReadCommitted).await, ["late"]);
            let error = producer.commit().await.unwrap_err();
            assert!(!matches!(error, ClientError::CommitUnknown { .. }), "{error}");
            let error = producer.abort().await.unwrap_err();
            assert_eq!(error.code().unwrap().name(), "PRODUCER_FENCED", "{error}");
            assert!(producer.begin().is_err());
            let missing = client.describe_transactions(&["no-such-id".to_owned()]).await.remove(0);
            assert_eq!(missing.unwrap_err().code().unwrap().name(), "TRANSACTIONAL_ID_NOT_FOUND");
        },
    );
}

#[test]
fn a_later_producer_of_the_id_fences_the_earlier_one() {
    run(
        |_| {},
        async |client| {
            let name = topic(&client, 2, &[]).await;
            let mut first = Producer::transactional(&client, &name).await.unwrap();
            let target = first.topic(&name).await.unwrap();
            first.begin().unwrap();
            push(&mut first, target, 0..100).await;
            first.flush().await.unwrap();
            let mut second = Producer::transactional(&client, &name).await.unwrap();
            let other = second.topic(&name).await.unwrap();
            second.begin().unwrap();
            push(&mut second, other, 1000..1100).await;
            second.commit().await.unwrap();
            push(&mut first, target, 100..200).await;
            assert!(first.commit().await.is_err());
            assert!(first.commit().await.is_err());
            assert_eq!(first.abort().await.unwrap_err().code().unwrap().name(), "PRODUCER_FENCED");
            assert!(first.commit().await.is_err());
            second.begin().unwrap();
            push(&mut second, other, 1100..1110).await;
            second.commit().await.unwrap();
            assert_eq!(seen(&client, &name, Isolation::ReadCommitted).await, numbers(&[1000..1110]));
        },
    );
}

#[test]
fn after_an_error_there_is_no_commit_and_after_the_abort_there_is() {
    run(
        |_| {},
        async |client| {
            let name = topic(&client, 1, &[("max.message.bytes", "3000")]).await;
            let mut producer = Producer::transactional(&client, &name).await.unwrap();
            let target = producer.topic(&name).await.unwrap();
            for (round, sent) in [(0, false), (1, true), (2, true)] {
                let first = round * 1000;
                producer.begin().unwrap();
                push(&mut producer, target, first..first + 10).await;
                if sent {
                    producer.flush().await.unwrap();
                }
                let error = match round {
                    0 | 1 => producer.push(target, None, 1, None, Some(&[b'x'; 4000]), &[]).unwrap_err(),
                    _ => {
                        let whom = GroupMetadata {
                            generation: 7,
                            member_id: "nobody".to_owned(),
                            ..GroupMetadata::of(&name)
                        };
                        let offsets = [(TopicPartition::new(name.as_str(), 0), Committed::at(3))];
                        producer.send_offsets(&whom, &offsets).await.unwrap_err()
                    }
                };
                assert_eq!(producer.commit().await.unwrap_err(), error);
                assert_eq!(producer.flush().await.unwrap_err(), error);
                producer.abort().await.unwrap();
                assert_eq!(producer.commit().await, Err(ClientError::Transaction("no transaction is open")));
            }
            producer.begin().unwrap();
            push(&mut producer, target, 5000..5010).await;
            producer.commit().await.unwrap();
            assert_eq!(seen(&client, &name, Isolation::ReadCommitted).await, numbers(&[5000..5010]));
        },
    );
}

/// Waits for the positions: a commit is answered before its markers are written.
async fn kept(client: &Client, group: &str, wanted: &[(TopicPartition, Committed)]) {
    while client.group_offsets(group).await.unwrap() != wanted {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn positions_count_with_their_transaction() {
    run(
        |_| {},
        async |client| {
            let name = topic(&client, 2, &[]).await;
            let partition = TopicPartition::new(name.as_str(), 1);
            let at = |offset| [(partition.clone(), Committed::at(offset))];
            let mut producer = Producer::transactional(&client, &name).await.unwrap();
            let target = producer.topic(&name).await.unwrap();
            let group = GroupMetadata::of(&format!("g-{name}"));
            // Positions alone, then with records.
            producer.begin().unwrap();
            producer.send_offsets(&group, &at(5)).await.unwrap();
            producer.commit().await.unwrap();
            kept(&client, &group.group, &at(5)).await;
            for (offset, commit) in [(6, false), (7, true), (8, false)] {
                producer.begin().unwrap();
                push(&mut producer, target, offset * 10..offset * 10 + 10).await;
                producer.send_offsets(&group, &at(i64::from(offset))).await.unwrap();
                if commit {
                    producer.commit().await.unwrap()
                } else {
                    producer.abort().await.unwrap()
                };
            }
            kept(&client, &group.group, &at(7)).await;
            assert_eq!(seen(&client, &name, Isolation::ReadCommitted).await, numbers(&[70..80]));
            // As a member: with its generation, and no other.
            let topics = [name.clone()];
            let other = format!("m-{name}");
            let mut member = Member::join(&client, &other, &topics).await.unwrap();
            settle(&mut [&mut member], &mut [Vec::new()], &[2]).await;
            producer.begin().unwrap();
            producer.send_offsets(&member.metadata(), &at(9)).await.unwrap();
            producer.commit().await.unwrap();
            kept(&client, &other, &at(9)).await;
            producer.begin().unwrap();
            let stale = GroupMetadata { generation: member.metadata().generation - 1, ..member.metadata() };
            let error = producer.send_offsets(&stale, &at(10)).await.unwrap_err();
            assert_eq!(error.code().unwrap().name(), "ILLEGAL_GENERATION", "{error}");
            producer.abort().await.unwrap();
            assert_eq!(client.group_offsets(&other).await.unwrap(), at(9));
            member.leave().await.unwrap();
        },
    );
}

#[test]
fn a_transaction_that_takes_too_long_is_over_and_the_producer_goes_on() {
    run(
        |options| options.transaction_timeout = Some(Duration::from_millis(500)),
        async |client| {
            let name = topic(&client, 1, &[]).await;
            let mut producer = Producer::transactional(&client, &name).await.unwrap();
            let target = producer.topic(&name).await.unwrap();
            producer.begin().unwrap();
            push(&mut producer, target, 0..10).await;
            producer.flush().await.unwrap();
            loop {
                let found =
                    client.describe_transactions(std::slice::from_ref(&name)).await.remove(0).unwrap();
                if found.state == "CompleteAbort" {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            let error = producer.commit().await.unwrap_err();
            assert!(!matches!(error, ClientError::CommitUnknown { .. }), "{error}");
            producer.abort().await.unwrap();
            producer.begin().unwrap();
            push(&mut producer, target, 10..20).await;
            producer.commit().await.unwrap();
            assert_eq!(seen(&client, &name, Isolation::ReadCommitted).await, numbers(&[10..20]));
        },
    );
}

/// What a proxy does to answers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answers {
    /// They arrive.
    Pass,
    /// Requests arrive and their answers do not: the connection ends instead.
    Lost,
    /// That of EndTxn says that the coordinator is not available.
    NotAvailable,
}

async fn frame(from: &mut (impl AsyncReadExt + Unpin)) -> std::io::Result<Vec<u8>> {
    let mut frame = vec![0; from.read_u32().await? as usize];
    from.read_exact(&mut frame).await?;
    Ok(frame)
}

async fn pass_on(to: &mut (impl AsyncWriteExt + Unpin), frame: &[u8]) -> std::io::Result<()> {
    to.write_u32(u32::try_from(frame.len()).unwrap()).await?;
    to.write_all(frame).await
}

/// Passes everything on between a socket and the broker's, answers as `answers` says.
fn proxy(from: &Path, to: &Path, answers: Arc<Mutex<Answers>>) {
    const END_TXN: [u8; 2] = 26_i16.to_be_bytes();
    const NOT_AVAILABLE: [u8; 2] = 15_i16.to_be_bytes();
    let (listener, to) = (tokio::net::UnixListener::bind(from).unwrap(), to.to_owned());
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let broker = tokio::net::UnixStream::connect(&to).await.unwrap();
            let answers = Arc::clone(&answers);
            tokio::spawn(async move {
                let ((mut asks, mut hears), (mut says, mut takes)) =
                    (client.into_split(), broker.into_split());
                // The correlation ids of EndTxn.
                let ends = Mutex::new(Vec::new());
                let there = async {
                    while let Ok(request) = frame(&mut asks).await {
                        if request[..2] == END_TXN {
                            ends.lock().unwrap().push(request[4..8].to_vec());
                        }
                        if pass_on(&mut takes, &request).await.is_err() {
                            return;
                        }
                    }
                };
                let back = async {
                    while let Ok(mut answer) = frame(&mut says).await {
                        let how = *answers.lock().unwrap();
                        let is_end = ends.lock().unwrap().contains(&answer[..4].to_vec());
                        if how == Answers::NotAvailable && is_end {
                            // Behind the correlation id, no tags, and the throttle time.
                            answer[9..11].copy_from_slice(&NOT_AVAILABLE);
                        }
                        if how == Answers::Lost || pass_on(&mut hears, &answer).await.is_err() {
                            return;
                        }
                    }
                };
                tokio::select! {
                    () = there => {}
                    () = back => {}
                }
            });
        }
    });
}

#[test]
fn a_commit_whose_answer_is_lost_is_unknown_until_it_is_asked_again() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let klog = Klog::start();
        let (socket, answers) = (klog.folder.path().join("proxy.sock"), Arc::new(Mutex::new(Answers::Pass)));
        proxy(&socket, &klog.folder.path().join("klog.sock"), Arc::clone(&answers));
        let mut options = ClientOptions::new(vec![Address::Unix(socket)]);
        options.api_timeout = Duration::from_secs(1);
        let client = Client::connect(options).await.unwrap();
        let direct = Client::connect(ClientOptions::new(vec![klog.address()])).await.unwrap();
        let name = topic(&direct, 1, &[]).await;
        let mut producer = Producer::transactional(&client, &name).await.unwrap();
        let target = producer.topic(&name).await.unwrap();
        for round in 0..3 {
            producer.begin().unwrap();
            push(&mut producer, target, round * 10..round * 10 + 10).await;
            producer.flush().await.unwrap();
            // A coordinator that is not available may have written its decision before.
            *answers.lock().unwrap() = if round == 1 { Answers::NotAvailable } else { Answers::Lost };
            let error = producer.commit().await.unwrap_err();
            assert!(matches!(error, ClientError::CommitUnknown { .. }), "{error}");
            *answers.lock().unwrap() = Answers::Pass;
            if round < 2 {
                // The broker says again what it has done.
                producer.commit().await.unwrap();
            } else {
                let error = producer.abort().await.unwrap_err();
                assert!(matches!(error, ClientError::CommitUnknown { .. }), "{error}");
                assert!(producer.commit().await.is_err());
            }
        }
        assert_eq!(producer.progress().committed, 20);
        assert_eq!(seen(&direct, &name, Isolation::ReadCommitted).await, numbers(&[0..30]));
        klog.stop().await;
    });
}
