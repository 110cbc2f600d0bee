//! Random operations against a plain model: a set of offsets, and which of them are safe.

use std::collections::BTreeSet;
use std::sync::Arc;

use klog::storage::sim::SimDisk;
use klog::storage::{LogSettings, StorageError};
use proptest::prelude::*;

use crate::support::*;

#[derive(Debug, Clone)]
enum Operation {
    Append(u8),
    Sync,
    Checkpoint,
    Retain(u16),
    AdvanceStart(u8),
    Read { from: u8, max_bytes: u16, upto: u8 },
    Time(u8),
    Full(bool),
    Clean,
    Kill,
    PowerCut,
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        8 => (1..6u8).prop_map(Operation::Append),
        4 => Just(Operation::Sync),
        2 => Just(Operation::Checkpoint),
        1 => (0..400u16).prop_map(Operation::Retain),
        1 => any::<u8>().prop_map(Operation::AdvanceStart),
        4 => (any::<u8>(), any::<u16>(), any::<u8>())
            .prop_map(|(from, max_bytes, upto)| Operation::Read { from, max_bytes: max_bytes % 900, upto }),
        2 => any::<u8>().prop_map(Operation::Time),
        1 => any::<bool>().prop_map(Operation::Full),
        1 => Just(Operation::Clean),
        1 => Just(Operation::Kill),
        1 => Just(Operation::PowerCut),
    ]
}

struct Run {
    disk: Arc<SimDisk>,
    node: Node,
    settings: LogSettings,
    held: BTreeSet<i64>,
    durable: i64,
    advanced: i64,
}

impl Run {
    fn check(&self) {
        let log = &self.node.log;
        let (offsets, _) = read_all(log, log.log_end());
        assert!(offsets.iter().eq(self.held.iter()), "read {offsets:?}, expected {:?}", self.held);
        assert!(log.log_start() >= self.advanced && log.durable_end() >= self.durable);
        assert!(log.log_start() <= log.log_end() && log.durable_end() <= log.log_end());
    }

    fn reopen(&mut self) {
        self.disk.set_capacity(None);
        self.node = try_open(&self.disk, self.settings.clone()).unwrap();
        let log = &self.node.log;
        // The first use loads it, and only then is the log start sure.
        let _ = log.size().unwrap();
        let (offsets, _) = read_all(log, log.log_end());
        let found: BTreeSet<i64> = offsets.into_iter().collect();
        for offset in self.held.range(log.log_start()..self.durable.max(log.log_start())) {
            assert!(found.contains(offset), "durable offset {offset} is lost");
        }
        assert!(log.log_start() >= self.advanced, "deleted records are back");
        self.held = found;
        self.durable = log.log_end();
    }

    fn apply(&mut self, operation: &Operation) {
        let log = Arc::clone(&self.node.log);
        let (start, end) = (log.log_start(), log.log_end());
        let within = |share: u8| start + (end - start) * i64::from(share) / 255;
        match operation {
            Operation::Append(count) => match append_values(&log, i64::from(*count)) {
                Ok(done) => {
                    assert_eq!(done.base_offset, end);
                    self.held.extend(done.base_offset..=done.last_offset);
                }
                Err(StorageError::Full { .. }) => assert_eq!(log.log_end(), end),
                Err(other) => panic!("{other}"),
            },
            Operation::Sync => match log.sync() {
                Ok(durable) => {
                    assert_eq!(durable, end);
                    self.durable = durable;
                }
                Err(other) => panic!("{other}"),
            },
            Operation::Checkpoint => {
                self.disk.set_capacity(None);
                log.checkpoint().unwrap();
                self.node.folder.checkpoint().unwrap();
                self.durable = end;
            }
            Operation::Retain(after) => {
                self.disk.set_capacity(None);
                log.retain(NOW + 1000 + i64::from(*after), log.durable_end()).unwrap();
                self.held = self.held.split_off(&log.log_start());
            }
            Operation::AdvanceStart(share) => {
                self.disk.set_capacity(None);
                log.advance_start(within(*share)).unwrap();
                self.advanced = self.advanced.max(within(*share));
                self.held = self.held.split_off(&log.log_start());
            }
            Operation::Read { from, max_bytes, upto } => {
                self.read(within(*from), usize::from(*max_bytes), within(*upto))
            }
            Operation::Time(share) => {
                let wanted = within(*share);
                let found = log.lookup_time(NOW + wanted, end).unwrap().map(|found| found.offset);
                assert_eq!(found, self.held.range(wanted..).next().copied());
            }
            Operation::Full(full) => {
                let room = self.disk.used() + 100;
                self.disk.set_capacity(full.then_some(room));
            }
            Operation::Clean => {
                self.disk.set_capacity(None);
                log.close().unwrap();
                self.node.folder.close_clean().unwrap();
                self.durable = end;
                self.disk.kill();
                self.reopen();
                assert!(self.node.folder.was_clean() && self.node.log.recovered().is_none());
            }
            Operation::Kill => {
                let before = self.held.clone();
                self.disk.kill();
                self.reopen();
                assert_eq!(self.held, before, "a kill lost what was written");
            }
            Operation::PowerCut => {
                self.disk.restart();
                self.reopen();
            }
        }
    }

    fn read(&self, from: i64, max_bytes: usize, upto: i64) {
        let plan = match self.node.log.plan(from, max_bytes, upto, false) {
            Err(StorageError::Damaged { range, .. }) => {
                assert!(self.held.range(range).next().is_none());
                return;
            }
            plan => plan.unwrap(),
        };
        assert!(plan.len <= max_bytes);
        let mut bytes = Vec::new();
        plan.read(&mut bytes).unwrap();
        let mut rest = bytes.as_slice();
        while let Some((batch, after)) = klog::record::Batch::split_first(rest).unwrap() {
            assert!(batch.crc_ok() && batch.last_offset() < upto);
            rest = after;
        }
        assert!(rest.is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn the_log_does_what_the_model_does(seed: u64, operations in prop::collection::vec(operation(), 1..60)) {
        let disk = SimDisk::new(seed);
        let settings = LogSettings { retention_ms: 1000, ..settings() };
        let node = try_open(&disk, settings.clone()).unwrap();
        let mut run = Run { disk, node, settings, held: BTreeSet::new(), durable: 0, advanced: 0 };
        for operation in &operations {
            run.apply(operation);
            run.check();
        }
    }
}
