//! Histories made by hand: each kind of finding is found in one that has it, and in the good one next to it there is none.

use std::collections::BTreeSet;

use super::cycles::{Edge, Graph, components};
use super::*;
use crate::history::{Kind, Outcome, Poll, Producer, Recorder, Send, Value};
use Outcome::{Fail, Ok, Unknown};

const A: Log = Log { topic: "in", partition: 0 };
const B: Log = Log { topic: "out", partition: 0 };

/// Writes a history down, one operation after the other.
#[derive(Default)]
struct Told(Recorder);

impl Told {
    fn send(&self, log: Log, base: i64, values: &[Value]) -> &Self {
        self.send_as(log, Some(base), values, None, Ok)
    }

    fn in_txn(&self, txn: u64, log: Log, base: i64, values: &[Value]) -> &Self {
        self.send_as(log, Some(base), values, Some(txn), Ok)
    }

    fn send_as(
        &self,
        log: Log,
        base: Option<i64>,
        values: &[Value],
        txn: Option<u64>,
        outcome: Outcome,
    ) -> &Self {
        let values = values.to_vec();
        let send = Send { log, values, txn, of: None, once: true, durable: true, base };
        self.at(outcome, Kind::Send(send))
    }

    fn at(&self, outcome: Outcome, kind: Kind) -> &Self {
        let invoked = self.0.now();
        self.0.done(1, invoked, outcome, kind);
        self
    }

    fn end(&self, txn: u64, commit: bool, outcome: Outcome) -> &Self {
        self.at(outcome, Kind::End { txn, commit })
    }

    fn poll(&self, poll: Poll) -> &Self {
        self.at(Ok, Kind::Poll(poll))
    }

    fn read(&self, log: Log, records: &[(i64, Value)]) -> &Self {
        self.poll(poll(log, records))
    }

    /// The last reading, by both kinds of readers.
    fn last(&self, log: Log, all: &[(i64, Value)], committed: &[(i64, Value)], end: i64) -> &Self {
        for (committed, records) in [(false, all), (true, committed)] {
            let poll = Poll {
                from: 0,
                next: end,
                high: end,
                stable: end,
                committed,
                last: true,
                ..poll(log, records)
            };
            self.poll(Poll { reader: 1000 + u64::from(committed), ..poll });
        }
        self
    }

    fn commit(&self, offset: i64, txn: Option<u64>, outcome: Outcome) -> &Self {
        self.at(outcome, Kind::Commit { group: "g", log: A, offset, txn })
    }

    fn committed(&self, offset: i64) -> &Self {
        self.at(Ok, Kind::Committed { group: "g", log: A, offset })
    }

    fn by(&self, name: u64, incarnation: u64, outcome: Outcome, kind: Kind) -> &Self {
        let invoked = self.0.now();
        self.0.done_by(1, Some(Producer { name, incarnation }), invoked, outcome, kind);
        self
    }

    fn found(&self) -> BTreeSet<Anomaly> {
        self.found_by(&Rules::default())
    }

    fn found_by(&self, rules: &Rules) -> BTreeSet<Anomaly> {
        check_all(&self.0.history(), rules).into_iter().map(|finding| finding.what).collect()
    }

    #[track_caller]
    fn good(&self) -> &Self {
        assert_eq!(check_all(&self.0.history(), &Rules::default()), vec![]);
        self
    }

    #[track_caller]
    fn bad(&self, what: &[Anomaly]) {
        assert_eq!(self.found(), what.iter().copied().collect());
    }
}

/// A read_uncommitted answer that begins and ends with its records, a reader of its own each time.
fn poll(log: Log, records: &[(i64, Value)]) -> Poll {
    static READERS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1 << 32);
    let reader = READERS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let from = records.first().map_or(0, |(offset, _)| *offset);
    let next = records.last().map_or(0, |(offset, _)| offset + 1);
    let records = records.to_vec();
    Poll {
        reader,
        log,
        committed: false,
        from,
        records,
        next,
        high: 100,
        stable: 100,
        last: false,
        txn: None,
    }
}

fn committed(log: Log, records: &[(i64, Value)]) -> Poll {
    Poll { committed: true, ..poll(log, records) }
}

fn told() -> Told {
    Told::default()
}

#[test]
fn plain_records_that_are_all_there_are_fine() {
    let told = told();
    told.send(A, 0, &[1, 2]).read(A, &[(0, 1), (1, 2)]).send(A, 2, &[3]).read(A, &[(1, 2), (2, 3)]);
    told.send_as(A, None, &[4], None, Fail).send_as(A, None, &[5], None, Unknown);
    told.send_as(A, None, &[6], None, Unknown);
    told.last(A, &[(0, 1), (1, 2), (2, 3), (3, 6)], &[(0, 1), (1, 2), (2, 3), (3, 6)], 100);
    told.good();
}

#[test]
fn lost_and_unseen_writes() {
    let lost = told();
    lost.send(A, 0, &[1]).send(A, 1, &[2]).last(A, &[(1, 2)], &[(1, 2)], 2);
    assert!(lost.found().contains(&Anomaly::LostWrite));
    let unseen = told();
    unseen.send(A, 0, &[1]).send(A, 1, &[2]).last(A, &[(0, 1)], &[(0, 1)], 1);
    assert!(unseen.found().contains(&Anomaly::UnseenWrite) && !unseen.found().contains(&Anomaly::LostWrite));
    // Without an offset in the answer.
    let lost = told();
    lost.send_as(A, None, &[1], None, Ok).send(A, 1, &[2]).last(A, &[(1, 2)], &[(1, 2)], 2);
    lost.bad(&[Anomaly::LostWrite]);
    // Not to be waited for: may be lost.
    let weak = told();
    let send =
        Send { log: A, values: vec![1], txn: None, of: None, once: true, durable: false, base: Some(0) };
    weak.at(Ok, Kind::Send(send)).last(A, &[], &[], 0).good();
    // Damaged on purpose.
    let rotten = told();
    rotten.send(A, 0, &[1]).send(A, 1, &[2]).at(Ok, Kind::Rot { log: A, offsets: 0..1 });
    rotten.at(Ok, Kind::Damaged { log: A, offsets: 0..1 });
    rotten.last(A, &[(1, 2)], &[(1, 2)], 2).good();
}

#[test]
fn what_was_read_stays() {
    let told = told();
    told.send_as(A, None, &[1], None, Unknown).read(A, &[(0, 1)]).last(A, &[], &[], 0);
    told.bad(&[Anomaly::Vanished, Anomaly::MarkBack]);
    let other = self::told();
    other.send_as(A, None, &[1], None, Unknown).send_as(A, None, &[2], None, Unknown);
    other.read(A, &[(0, 1)]).last(A, &[(0, 2)], &[(0, 2)], 100);
    other.bad(&[Anomaly::Vanished, Anomaly::InconsistentOffset]);
}

#[test]
fn duplicates_and_what_was_never_sent() {
    let twice = told();
    twice.send(A, 0, &[1]).last(A, &[(0, 1), (1, 1)], &[(0, 1), (1, 1)], 100);
    twice.bad(&[Anomaly::Duplicate]);
    let allowed = told();
    let send =
        Send { log: A, values: vec![1], txn: None, of: None, once: false, durable: true, base: Some(0) };
    allowed.at(Ok, Kind::Send(send)).last(A, &[(0, 1), (1, 1)], &[(0, 1), (1, 1)], 100).good();
    let garbage = told();
    garbage.last(A, &[(0, 9)], &[(0, 9)], 100).bad(&[Anomaly::Garbage]);
    let elsewhere = told();
    elsewhere.send_as(A, None, &[1], None, Ok).last(A, &[], &[], 100).last(B, &[(0, 1)], &[(0, 1)], 100);
    elsewhere.bad(&[Anomaly::InconsistentOffset, Anomaly::LostWrite]);
    let moved = told();
    moved.send(A, 0, &[1]).last(A, &[(3, 1)], &[(3, 1)], 100);
    assert!(moved.found().contains(&Anomaly::Duplicate), "acknowledged at 0, read at 3");
    let refused = told();
    refused
        .send_as(A, None, &[1], None, Fail)
        .last(A, &[(0, 1)], &[(0, 1)], 100)
        .bad(&[Anomaly::AbortedRead]);
}

#[test]
fn batches_are_whole() {
    let torn = told();
    torn.send_as(A, None, &[1, 2], None, Unknown)
        .last(A, &[(0, 1)], &[(0, 1)], 100)
        .bad(&[Anomaly::TornBatch]);
    let apart = told();
    apart.send_as(A, None, &[1, 2], None, Ok).send(A, 1, &[3]);
    let all = [(0, 1), (1, 3), (2, 2)];
    apart.last(A, &all, &all, 100).bad(&[Anomaly::TornBatch]);
}

#[test]
fn polls_skip_nothing_and_never_go_back() {
    let skipped = told();
    skipped.send(A, 0, &[1, 2, 3]).read(A, &[(0, 1), (2, 3)]).bad(&[Anomaly::SkippedInPoll]);
    let reader = |from, records: &[(i64, Value)]| Poll { reader: 7, from, ..poll(A, records) };
    let all = &[(0, 1), (1, 2), (2, 3)];
    let good = told();
    good.send(A, 0, &[1, 2, 3]).poll(reader(0, &all[..1])).poll(reader(1, &all[1..])).good();
    let back = told();
    back.send(A, 0, &[1, 2, 3]).poll(reader(0, &all[..2])).poll(reader(1, &all[1..]));
    back.bad(&[Anomaly::BackwardPoll]);
    let ahead = told();
    ahead.send(A, 0, &[1, 2, 3]).poll(reader(0, &all[..1])).poll(reader(2, &all[2..]));
    ahead.bad(&[Anomaly::SkippedPoll]);
    let disorder = told();
    disorder.send(A, 0, &[1, 2]).poll(Poll { next: 2, ..reader(0, &[(1, 2), (0, 1)]) });
    assert!(disorder.found().contains(&Anomaly::Disorder));
    let beyond = told();
    beyond.send_as(A, None, &[1], None, Ok).poll(Poll { high: 0, stable: 0, ..reader(0, &all[..1]) });
    beyond.bad(&[Anomaly::Disorder]);
    let unstable = told();
    unstable.send_as(A, None, &[1], None, Ok).poll(Poll { stable: 0, ..committed(A, &all[..1]) });
    unstable.bad(&[Anomaly::Disorder]);
    told().at(Ok, Kind::OutOfRange { log: A, offset: 3 }).bad(&[Anomaly::OutOfRange]);
    told().at(Ok, Kind::Damaged { log: A, offsets: 3..4 }).bad(&[Anomaly::Damage]);
    let torn = told();
    torn.at(Ok, Kind::Fault { what: "power cut".to_owned(), tears: true });
    torn.at(Ok, Kind::Damaged { log: A, offsets: 3..4 }).good();
}

#[test]
fn watermarks_never_go_back_and_cover_what_was_acknowledged() {
    let marks = |high, stable| Poll { high, stable, ..poll(A, &[]) };
    told().poll(marks(5, 3)).poll(marks(5, 3)).poll(marks(6, 4)).good();
    told().poll(marks(5, 3)).poll(marks(4, 3)).bad(&[Anomaly::MarkBack]);
    told().poll(marks(5, 3)).poll(marks(5, 2)).bad(&[Anomaly::MarkBack]);
    let stale = told();
    stale.send(A, 4, &[1]).poll(marks(4, 4)).bad(&[Anomaly::StaleRead]);
    // Two that are under way together may be answered in either order.
    let together = told();
    let (one, other) = (together.0.now(), together.0.now());
    together.0.done(1, one, Ok, Kind::Poll(marks(9, 9)));
    together.0.done(2, other, Ok, Kind::Poll(marks(8, 8)));
    together.good();
}

#[test]
fn aborted_and_uncommitted_records_are_not_for_committed_readers() {
    let good = told();
    good.in_txn(1, A, 0, &[1]).read(A, &[(0, 1)]).end(1, false, Ok);
    good.in_txn(2, A, 2, &[2]).end(2, true, Ok).poll(committed(A, &[(2, 2)]));
    good.last(A, &[(0, 1), (2, 2)], &[(2, 2)], 100).good();
    let aborted = told();
    aborted.in_txn(1, A, 0, &[1]).end(1, false, Ok).poll(committed(A, &[(0, 1)]));
    aborted.bad(&[Anomaly::AbortedRead]);
    let open = told();
    open.in_txn(1, A, 0, &[1]).poll(committed(A, &[(0, 1)])).bad(&[Anomaly::AbortedRead]);
    let early = told();
    early
        .in_txn(1, A, 0, &[1])
        .poll(committed(A, &[(0, 1)]))
        .end(1, true, Ok)
        .bad(&[Anomaly::UncommittedRead]);
    let refused = told();
    refused
        .in_txn(1, A, 0, &[1])
        .end(1, true, Fail)
        .poll(committed(A, &[(0, 1)]))
        .bad(&[Anomaly::AbortedRead]);
    told().end(1, true, Ok).end(1, false, Ok).bad(&[Anomaly::Contradiction]);
}

#[test]
fn torn_transactions() {
    let torn = |outcome, b: &[(i64, Value)]| {
        let told = told();
        told.in_txn(1, A, 0, &[1]).in_txn(1, B, 0, &[2]).end(1, true, outcome);
        told.last(A, &[(0, 1)], &[(0, 1)], 100).last(B, &[(0, 2)], b, 100);
        told
    };
    torn(Ok, &[(0, 2)]).good();
    torn(Unknown, &[(0, 2)]).good();
    torn(Ok, &[]).bad(&[Anomaly::TornTransaction, Anomaly::SkippedInPoll]);
    torn(Unknown, &[]).bad(&[Anomaly::TornTransaction, Anomaly::SkippedInPoll]);
    let lost = told();
    lost.in_txn(1, A, 0, &[1]).end(1, true, Ok).last(A, &[(0, 1)], &[], 100);
    lost.bad(&[Anomaly::LostWrite, Anomaly::SkippedInPoll]);
    let unknown = told();
    unknown.in_txn(1, A, 0, &[1]).end(1, true, Unknown).last(A, &[(0, 1)], &[], 100).good();
    let stuck = told();
    stuck.poll(Poll { last: true, committed: true, next: 3, high: 5, stable: 3, ..poll(A, &[]) });
    stuck.bad(&[Anomaly::Stuck]);
}

#[test]
fn a_fenced_producer_gets_nothing_done() {
    let send = |outcome, incarnation| {
        let told = told();
        told.by(1, 1, Ok, Kind::Init).by(1, 2, Ok, Kind::Init);
        told.by(1, incarnation, outcome, Kind::End { txn: 1, commit: true });
        told
    };
    send(Ok, 2).good();
    send(Fail, 1).good();
    send(Ok, 1).bad(&[Anomaly::Unfenced]);
    // Begun before the other was there.
    let told = told();
    let (begun, other) = (told.0.now(), told.0.now());
    let one = Producer { name: 1, incarnation: 1 };
    told.0.done_by(2, Some(Producer { name: 1, incarnation: 2 }), other, Ok, Kind::Init);
    told.0.done_by(1, Some(one), begun, Ok, Kind::End { txn: 1, commit: true });
    told.good();
}

#[test]
fn positions_of_groups() {
    told().committed(-1).commit(3, None, Ok).committed(3).commit(5, None, Unknown).committed(3).good();
    told().commit(3, None, Ok).commit(5, None, Unknown).committed(5).good();
    told().commit(3, None, Ok).committed(-1).bad(&[Anomaly::CommitLost]);
    told().commit(3, None, Ok).commit(5, None, Ok).committed(3).bad(&[Anomaly::CommitLost]);
    told().commit(3, None, Ok).commit(5, None, Fail).committed(5).bad(&[Anomaly::CommitAborted]);
    told().committed(4).bad(&[Anomaly::CommitGarbage]);
    told().commit(3, Some(1), Ok).end(1, true, Ok).committed(3).good();
    told().commit(3, Some(1), Ok).end(1, true, Unknown).committed(-1).committed(3).good();
    told().commit(3, Some(1), Ok).end(1, false, Ok).committed(3).bad(&[Anomaly::CommitAborted]);
    told().commit(3, Some(1), Ok).committed(3).end(1, true, Ok).bad(&[Anomaly::CommitAborted]);
    told().commit(3, Some(1), Ok).end(1, true, Ok).committed(-1).bad(&[Anomaly::CommitLost]);
    let rules = Rules { forward: vec!["g"], ..Rules::default() };
    let back = told();
    back.commit(5, None, Ok).committed(5).commit(3, None, Ok).committed(3);
    assert_eq!(back.found_by(&rules), [Anomaly::CommitBackward].into());
    back.good();
}

#[test]
fn results_are_there_exactly_once() {
    let rules = Rules { derived: Some(("in", "g")), ..Rules::default() };
    let result = |txn, base, value, of| {
        Kind::Send(Send {
            log: B,
            values: vec![value],
            txn: Some(txn),
            of: Some(of),
            once: true,
            durable: true,
            base: Some(base),
        })
    };
    let worked = |position: i64, results: &[(u64, Value)]| {
        let told = told();
        told.send(A, 0, &[1, 2]);
        let mut seen = Vec::new();
        for (at, (txn, of)) in results.iter().enumerate() {
            let (base, value) = (at as i64 * 2, 10 + at as u64);
            told.at(Ok, result(*txn, base, value, *of)).commit(position, Some(*txn), Ok).end(*txn, true, Ok);
            seen.push((base, value));
        }
        told.last(A, &[(0, 1), (1, 2)], &[(0, 1), (1, 2)], 100).last(B, &seen, &seen, 100);
        told.committed(position).found_by(&rules)
    };
    assert_eq!(worked(2, &[(1, 1), (2, 2)]), BTreeSet::new());
    assert_eq!(worked(2, &[(1, 1)]), [Anomaly::ResultMissing].into());
    assert_eq!(worked(2, &[(1, 1), (2, 1), (3, 2)]), [Anomaly::ResultTwice].into());
    assert_eq!(worked(1, &[(1, 1), (2, 2)]), [Anomaly::ResultTwice].into());
}

#[test]
fn circles_between_transactions() {
    // 1 and 2 read each other's records, each of which was committed before.
    let reads = told();
    reads.in_txn(1, A, 0, &[1]).in_txn(2, B, 0, &[2]).end(1, true, Unknown).end(2, true, Unknown);
    reads.poll(Poll { txn: Some(2), ..committed(A, &[(0, 1)]) });
    reads.poll(Poll { txn: Some(1), ..committed(B, &[(0, 2)]) });
    reads.bad(&[Anomaly::ReadCycle]);
    let line = told();
    line.in_txn(1, A, 0, &[1]).end(1, true, Ok).in_txn(2, B, 0, &[2]);
    line.poll(Poll { txn: Some(2), ..committed(A, &[(0, 1)]) }).end(2, true, Ok).good();
    // Writes that overtake each other are allowed.
    let writes = told();
    writes.in_txn(1, A, 0, &[1]).in_txn(2, A, 1, &[2]).in_txn(2, B, 0, &[3]).in_txn(1, B, 1, &[4]);
    writes.end(1, true, Ok).end(2, true, Ok);
    writes.bad(&[Anomaly::WriteCycle]);
    assert_eq!(check(&writes.0.history(), &Rules::default()), vec![]);
    // Both read the end before the other wrote behind it.
    let skew = told();
    skew.poll(Poll { txn: Some(1), ..committed(B, &[]) }).poll(Poll { txn: Some(2), ..committed(A, &[]) });
    skew.in_txn(1, A, 0, &[1]).in_txn(2, B, 0, &[2]).end(1, true, Ok).end(2, true, Ok);
    skew.bad(&[Anomaly::AntiCycle]);
}

#[test]
fn strongly_connected_components() {
    let graph = |edges: &[(u64, u64)]| {
        let mut graph = Graph::new();
        for (from, to) in edges {
            graph.entry(*from).or_default().insert((*to, Edge::WriteRead));
        }
        graph
    };
    let of = |edges: &[(u64, u64)]| {
        let mut found = components(&graph(edges), &[Edge::WriteRead]);
        found.sort();
        found
    };
    assert_eq!(of(&[(1, 2), (2, 3), (1, 3)]), Vec::<Vec<u64>>::new());
    assert_eq!(of(&[(1, 2), (2, 3), (3, 1), (3, 4)]), [[1, 2, 3]]);
    assert_eq!(of(&[(1, 2), (2, 1), (2, 3), (3, 4), (4, 3), (5, 1)]), [[1, 2], [3, 4]]);
    assert_eq!(of(&[(4, 1), (1, 2), (2, 5), (5, 4), (2, 3), (3, 2), (6, 6)]), [[1, 2, 3, 4, 5]]);
    assert_eq!(components(&graph(&[(1, 2), (2, 1)]), &[Edge::ReadWrite]), Vec::<Vec<u64>>::new());
}
