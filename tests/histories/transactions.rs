//! Transactional producers of both protocol versions, workers that consume, transform and produce, and zombies: incarnations that
//! go on although a later one is there.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use klog::record::ProducerStamp;
use klog::wire::error::ErrorCode;
use klog::wire::messages::add_offsets_to_txn::AddOffsetsToTxnRequest;
use klog::wire::messages::add_partitions_to_txn::{AddPartitionsToTxnRequest, AddPartitionsToTxnTopic};
use klog::wire::messages::end_txn::EndTxnRequest;
use klog::wire::messages::init_producer_id::InitProducerIdRequest;
use klog::wire::messages::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};

use crate::history::{Kind, Log, Outcome, Producer, Value};
use crate::members::{Member, by_topic};
use crate::producers::{Said, said};
use crate::readers::Reading;
use crate::world::{Client, logs, logs_of};

const TRIES: usize = 300;

/// A transactional producer: what its client knows of itself.
#[derive(Clone)]
pub(crate) struct Transactional {
    name: String,
    number: u64,
    /// KIP-890's second version: partitions join by themselves, each transaction has an epoch of its own.
    second: bool,
    id: i64,
    epoch: i16,
    sequences: HashMap<Log, i32>,
    joined: BTreeSet<Log>,
}

/// What became of a step of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Done,
    /// The transaction can only be aborted.
    Abort,
    /// The producer must begin anew.
    Over,
}

fn is_over(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::INVALID_PRODUCER_EPOCH
            | ErrorCode::PRODUCER_FENCED
            | ErrorCode::INVALID_PRODUCER_ID_MAPPING
            | ErrorCode::TRANSACTION_COORDINATOR_FENCED
    )
}

fn is_certain(code: ErrorCode) -> bool {
    is_over(code)
        || matches!(
            code,
            ErrorCode::INVALID_TXN_STATE
                | ErrorCode::TRANSACTION_ABORTABLE
                | ErrorCode::ILLEGAL_GENERATION
                | ErrorCode::UNKNOWN_MEMBER_ID
                | ErrorCode::FENCED_MEMBER_EPOCH
                | ErrorCode::STALE_MEMBER_EPOCH
        )
}

impl Transactional {
    pub(crate) fn new(number: u64, second: bool) -> Self {
        let name = format!("transactional-{number}");
        let (sequences, joined) = (HashMap::new(), BTreeSet::new());
        Self { name, number, second, id: -1, epoch: -1, sequences, joined }
    }

    fn producer(&self) -> Producer {
        let incarnation = (self.id as u64) << 16 | self.epoch as u64;
        Producer { name: self.number, incarnation }
    }

    /// Becomes a new incarnation, however long that takes: one that went on as before would commit with its next
    /// transaction what the last one left open.
    async fn begin_anew(&mut self, client: &mut Client) {
        while !client.stopped() && !self.init(client).await {}
    }

    /// Becomes a new incarnation, which ends what an earlier one left open; `false` when nobody answers.
    pub(crate) async fn init(&mut self, client: &mut Client) -> bool {
        let request = InitProducerIdRequest {
            transactional_id: Some(self.name.clone()),
            transaction_timeout_ms: client.random.i32(500..30_000),
            producer_epoch: -1,
            ..Default::default()
        };
        for _ in 0..TRIES {
            let invoked = client.world.recorder.now();
            match client.line.call(&request, 4).await {
                Some(answer) if answer.error_code.is_ok() => {
                    (self.id, self.epoch) = (answer.producer_id, answer.producer_epoch);
                    self.sequences.clear();
                    self.joined.clear();
                    let (process, by) = (client.process, Some(self.producer()));
                    client.world.recorder.done_by(process, by, invoked, Outcome::Ok, Kind::Init);
                    return true;
                }
                _ => client.back_off().await,
            }
        }
        false
    }

    async fn join(&mut self, client: &mut Client, log: Log) -> Step {
        if self.second || self.joined.contains(&log) {
            return Step::Done;
        }
        let request = AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: self.name.clone(),
            v3_and_below_producer_id: self.id,
            v3_and_below_producer_epoch: self.epoch,
            v3_and_below_topics: vec![AddPartitionsToTxnTopic {
                name: log.topic.to_owned(),
                partitions: vec![log.partition],
            }],
            ..Default::default()
        };
        for _ in 0..TRIES {
            let answer = client.line.call(&request, 3).await;
            let code = answer.map(|answer| {
                answer.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code
            });
            match code {
                Some(ErrorCode::NONE) => {
                    self.joined.insert(log);
                    return Step::Done;
                }
                Some(code) if is_over(code) => return Step::Over,
                Some(code) if is_certain(code) => return Step::Abort,
                _ => client.back_off().await,
            }
        }
        Step::Over
    }

    /// Sends one batch within a transaction; a zombie tries once.
    async fn send(
        &mut self,
        client: &mut Client,
        txn: u64,
        log: Log,
        (count, of): (usize, Option<Value>),
        tries: usize,
    ) -> Step {
        let joined = self.join(client, log).await;
        if joined != Step::Done && tries > 1 {
            return joined;
        }
        let sequence = self.sequences.entry(log).or_default();
        let stamp =
            ProducerStamp { id: self.id, epoch: self.epoch, base_sequence: *sequence, transactional: true };
        *sequence += count as i32;
        let mut batch = client.batch(log, count, stamp, of);
        let version = if self.second { 12 } else { 11 };
        let mut tried = 0;
        let last = loop {
            let answer = client.send(&mut batch, -1, Some(&self.name), version).await;
            let last = said(answer.answer().await);
            tried += 1;
            if tried >= tries || !matches!(last, Said::Unsure(_)) {
                break last;
            }
            client.back_off().await;
        };
        let (outcome, step) = match last {
            Said::Stored(base) => ((Outcome::Ok, base), Step::Done),
            Said::Refused(code) => {
                let outcome = if tried == 1 { Outcome::Fail } else { Outcome::Unknown };
                ((outcome, None), if is_over(code) { Step::Over } else { Step::Abort })
            }
            Said::Unsure(_) => ((Outcome::Unknown, None), Step::Over),
        };
        client.sent(batch, true, Some(txn), Some(self.producer()), outcome);
        step
    }

    /// Ends the transaction and says whether the producer can go on; an end that nobody answered for is its last.
    async fn end(&mut self, client: &mut Client, txn: u64, commit: bool, tries: usize) -> bool {
        let request = EndTxnRequest {
            transactional_id: self.name.clone(),
            producer_id: self.id,
            producer_epoch: self.epoch,
            committed: commit,
        };
        let (by, invoked) = (self.producer(), client.world.recorder.now());
        let version = if self.second { 5 } else { 3 };
        let (mut outcome, mut tried) = (Outcome::Unknown, 0);
        while tried < tries {
            tried += 1;
            match client.line.call(&request, version).await {
                Some(answer) if answer.error_code.is_ok() => {
                    if self.second {
                        (self.id, self.epoch) = (answer.producer_id, answer.producer_epoch);
                        self.sequences.clear();
                    }
                    self.joined.clear();
                    outcome = Outcome::Ok;
                    break;
                }
                Some(answer) if is_certain(answer.error_code) => {
                    if tried == 1 {
                        outcome = Outcome::Fail;
                    }
                    break;
                }
                _ => client.back_off().await,
            }
        }
        let kind = Kind::End { txn, commit };
        client.world.recorder.done_by(client.process, Some(by), invoked, outcome, kind);
        outcome == Outcome::Ok
    }

    /// Commits the positions that a member will have when the transaction is committed.
    async fn commit_positions(
        &mut self,
        client: &mut Client,
        txn: u64,
        member: &Member,
        positions: &BTreeMap<Log, i64>,
    ) -> Step {
        if !self.second {
            let step = self.add_offsets(client, member.group).await;
            if step != Step::Done {
                return step;
            }
        }
        let all: Vec<_> = positions.keys().copied().collect();
        let topics = by_topic(&all).into_iter().map(|(topic, logs)| TxnOffsetCommitRequestTopic {
            name: topic.to_owned(),
            partitions: logs
                .iter()
                .map(|log| TxnOffsetCommitRequestPartition {
                    partition_index: log.partition,
                    committed_offset: positions[log],
                    ..Default::default()
                })
                .collect(),
        });
        let request = TxnOffsetCommitRequest {
            transactional_id: self.name.clone(),
            group_id: member.group.to_owned(),
            producer_id: self.id,
            producer_epoch: self.epoch,
            generation_id: member.epoch,
            member_id: member.id.clone(),
            group_instance_id: None,
            topics: topics.collect(),
        };
        let invoked = client.world.recorder.now();
        let (mut outcome, mut step) = (Outcome::Unknown, Step::Over);
        for tried in 0..TRIES {
            let answer = client.line.call(&request, if self.second { 5 } else { 3 }).await;
            let codes = answer.iter().flat_map(|answer| &answer.topics).flat_map(|topic| &topic.partitions);
            let codes: Vec<_> = codes.map(|partition| partition.error_code).collect();
            if !codes.is_empty() && codes.iter().all(|code| code.is_ok()) {
                (outcome, step) = (Outcome::Ok, Step::Done);
                break;
            }
            if let Some(code) = codes.iter().find(|code| is_certain(**code)) {
                outcome = if tried == 0 { Outcome::Fail } else { Outcome::Unknown };
                step = if is_over(*code) { Step::Over } else { Step::Abort };
                break;
            }
            client.back_off().await;
        }
        for (log, offset) in positions {
            let kind = Kind::Commit { group: member.group, log: *log, offset: *offset, txn: Some(txn) };
            client.world.recorder.done_by(client.process, Some(self.producer()), invoked, outcome, kind);
        }
        step
    }

    async fn add_offsets(&self, client: &mut Client, group: &str) -> Step {
        let request = AddOffsetsToTxnRequest {
            transactional_id: self.name.clone(),
            producer_id: self.id,
            producer_epoch: self.epoch,
            group_id: group.to_owned(),
        };
        for _ in 0..TRIES {
            match client.line.call(&request, 3).await.map(|answer| answer.error_code) {
                Some(ErrorCode::NONE) => return Step::Done,
                Some(code) if is_over(code) => return Step::Over,
                Some(code) if is_certain(code) => return Step::Abort,
                _ => client.back_off().await,
            }
        }
        Step::Over
    }

    /// A later incarnation comes while this one is in the middle of a transaction and does not know: it goes on afterwards,
    /// or at the same time.
    async fn haunt(&mut self, client: &mut Client, txn: u64) {
        let mut zombie = self.clone();
        let mut other = Client::new(&client.world, client.random.u64(..));
        if client.random.bool() {
            tokio::join!(self.begin_anew(client), zombie.go_on(&mut other, txn));
        } else {
            self.begin_anew(client).await;
            zombie.go_on(&mut other, txn).await;
        }
    }

    /// What a client does that has not heard of the later incarnation.
    async fn go_on(&mut self, client: &mut Client, txn: u64) {
        let log = *client.random.choice(&logs()).unwrap();
        self.send(client, txn, log, (2, None), 1).await;
        self.end(client, txn, true, 1).await;
    }
}

/// Writes to several partitions at once, commits or aborts, and is overtaken by itself now and then.
pub(crate) async fn writer(mut client: Client, number: u64) {
    let mut producer = Transactional::new(number, number.is_multiple_of(2));
    producer.begin_anew(&mut client).await;
    while !client.stopped() {
        let txn = client.world.recorder.number();
        let mut step = Step::Done;
        for _ in 0..client.random.usize(1..=4) {
            let log = *client.random.choice(&logs()).unwrap();
            let count = client.random.usize(1..=3);
            step = producer.send(&mut client, txn, log, (count, None), TRIES).await;
            if step != Step::Done {
                break;
            }
        }
        if client.random.u8(0..12) == 0 {
            producer.haunt(&mut client, txn).await;
            continue;
        }
        client.pause().await;
        let commit = step == Step::Done && client.random.u8(0..10) < 7;
        // A batch that was refused leaves a gap in the sequences, which only a new epoch closes.
        let gone_on = step != Step::Over && producer.end(&mut client, txn, commit, TRIES).await;
        if !gone_on || step != Step::Done {
            producer.begin_anew(&mut client).await;
        }
        client.pause().await;
    }
}

/// Reads the input as a member, writes a result for each record and its own positions, all in one transaction.
pub(crate) async fn worker(mut client: Client, number: u64, group: &'static str) {
    let mut producer = Transactional::new(number, number.is_multiple_of(2));
    let mut member = Member::new(&mut client, group, &["in"]);
    producer.begin_anew(&mut client).await;
    while !client.stopped() {
        if !member.heartbeat(&mut client).await {
            client.back_off().await;
            continue;
        }
        let leaving = member.to_give_up();
        member.positions.retain(|log, _| !leaving.contains(log));
        if !member.take_over(&mut client).await || member.positions.is_empty() {
            client.back_off().await;
            continue;
        }
        let txn = client.world.recorder.number();
        let step = work(&mut client, &mut producer, &mut member, txn).await;
        let gone_on = match step {
            None => true,
            Some(Step::Over) => false,
            // It dies in the middle: what it left open is ended by its next incarnation.
            Some(_) if client.random.u8(0..20) == 0 => {
                member = Member::new(&mut client, group, &["in"]);
                false
            }
            Some(step) => {
                let commit = step == Step::Done && client.random.u8(0..8) > 0;
                producer.end(&mut client, txn, commit, TRIES).await && commit
            }
        };
        if !gone_on {
            // Back to what the group keeps, once this producer's transaction is over for certain.
            producer.begin_anew(&mut client).await;
            member.positions.clear();
        }
        if client.random.u8(0..50) == 0 {
            member = Member::new(&mut client, group, &["in"]);
        }
        client.pause().await;
    }
}

/// One round; `None` if there was nothing to do.
async fn work(
    client: &mut Client,
    producer: &mut Transactional,
    member: &mut Member,
    txn: u64,
) -> Option<Step> {
    let (reader, bytes) = (member.reader, client.random.i32(100..1500));
    let how = Reading { reader, committed: true, last: false, txn: Some(txn), bytes };
    let before = member.positions.clone();
    let given = client.poll(&mut member.positions, how).await?;
    let moved: BTreeMap<_, _> = member
        .positions
        .iter()
        .filter(|(log, at)| before[log] != **at)
        .map(|(log, at)| (*log, *at))
        .collect();
    if moved.is_empty() {
        return None;
    }
    for (_, value) in given.values().flat_map(|given| &given.records) {
        let log = *client.random.choice(&logs_of("out")).unwrap();
        let step = producer.send(client, txn, log, (1, Some(*value)), TRIES).await;
        if step != Step::Done {
            return Some(step);
        }
    }
    Some(producer.commit_positions(client, txn, member, &moved).await)
}

/// Ends every transaction that was left open.
pub(crate) async fn end_all(mut client: Client, numbers: std::ops::Range<u64>) {
    for number in numbers {
        assert!(
            Transactional::new(number, true).init(&mut client).await,
            "producer {number} can not begin anew"
        );
    }
}
