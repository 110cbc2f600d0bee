//! What holds whatever is asked in whatever order.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Asked {
    /// A new incarnation, or one that recovers with what it was given last, or the time before.
    Init(usize, Option<usize>),
    Add(usize, usize, usize),
    End(usize, usize, bool, i16),
    Complete(usize),
    Fence(usize),
    Spend(usize),
    Pass(i64),
}

const IDS: [&str; 2] = ["t", "u"];
const TOPICS: [&str; 2] = ["a", "b"];

fn asked() -> impl Strategy<Value = Asked> {
    let version = prop_oneof![Just(0i16), Just(2i16)];
    prop_oneof![
        (0..2usize, prop::option::of(0..2usize)).prop_map(|(id, known)| Asked::Init(id, known)),
        (0..2usize, 0..2usize, 0..2usize).prop_map(|(id, back, topic)| Asked::Add(id, back, topic)),
        (0..2usize, 0..2usize, any::<bool>(), version)
            .prop_map(|(id, back, commit, version)| Asked::End(id, back, commit, version)),
        (0..2usize).prop_map(Asked::Complete),
        (0..2usize).prop_map(Asked::Fence),
        (0..2usize).prop_map(Asked::Spend),
        (0..70_000i64).prop_map(Asked::Pass),
    ]
}

/// Producers that were given out to one id, in order.
type Given = Vec<Producer>;

/// What of the producers it knows a client says: the last, or the one before.
fn of(given: &Given, back: usize) -> Option<Producer> {
    given.len().checked_sub(back + 1).map(|at| given[at])
}

fn note(given: &mut Given, next: Producer) -> Result<(), TestCaseError> {
    if let Some(last) = given.last().filter(|last| **last != next) {
        prop_assert!(
            next.id > last.id || (next.id == last.id && next.epoch > last.epoch),
            "{last:?} was followed by {next:?}"
        );
        prop_assert!(next.epoch < MAX_EPOCH, "the last epoch is nobody's");
    }
    given.push(next);
    Ok(())
}

fn step(world: &mut World, given: &mut [Given; 2], asked: Asked) -> Result<(), TestCaseError> {
    match asked {
        Asked::Init(at, known) => {
            let expected = known.and_then(|back| of(&given[at], back));
            if let Ok(Init::Given(next)) = world.init(IDS[at], expected) {
                let again = expected.is_some() && given[at].last() == Some(&next);
                prop_assert!(again || given[at].last() != Some(&next), "each gets its own epoch");
                note(&mut given[at], next)?;
            }
        }
        Asked::Add(at, back, topic) => {
            let Some(producer) = of(&given[at], back) else { return Ok(()) };
            let done = world.add(IDS[at], producer, &[TOPICS[topic]]);
            let newest = given[at].last() == Some(&producer);
            prop_assert!(done.is_err() || newest, "an older producer got a partition in");
        }
        Asked::End(at, back, commit, version) => {
            let Some(producer) = of(&given[at], back) else { return Ok(()) };
            let ongoing = world.core.all.get(IDS[at]).is_some_and(|kept| kept.status == Status::Ongoing);
            if let Ok(next) = world.end(IDS[at], producer, commit, version) {
                prop_assert!(!ongoing || given[at].last() == Some(&producer), "an older producer ended it");
                if version == 2 {
                    note(&mut given[at], next)?;
                }
            }
        }
        Asked::Complete(at) => {
            if world.core.is_prepared(IDS[at]) {
                world.complete(IDS[at]);
            }
        }
        Asked::Fence(at) => {
            let id: Arc<str> = IDS[at].into();
            let _ = world.decide(|core, fresh, at| core.fence(&id, fresh, at));
        }
        Asked::Spend(at) => {
            let idle = |kept: &&Transaction| matches!(kept.status, Status::Empty | Status::CompleteAbort);
            if world.core.all.get(IDS[at]).filter(idle).is_some() {
                world.edit(IDS[at], |kept| kept.producer.epoch = kept.producer.epoch.max(MAX_EPOCH - 3));
            }
        }
        Asked::Pass(ms) => world.pass(ms),
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn epochs_rise_and_a_decided_end_never_changes(
        level in prop_oneof![Just(0i16), Just(2i16)],
        all in prop::collection::vec(asked(), 1..60),
    ) {
        let mut world = World::new();
        world.level = level;
        let mut given = [Given::new(), Given::new()];
        for asked in all {
            let before: Vec<_> = IDS.map(|id| world.core.all.get(id).cloned()).into();
            let old = world.log.len();
            step(&mut world, &mut given, asked)?;
            for (id, before) in IDS.iter().zip(before) {
                let Some(before) = before.filter(|before| before.status.is_prepared()) else { continue };
                let now = &world.core.all[*id];
                let wanted = match before.status {
                    Status::PrepareCommit => Status::CompleteCommit,
                    _ => Status::CompleteAbort,
                };
                prop_assert!(*now == before || now.status == wanted, "{before:?} became {now:?}");
            }
            prop_assert!(world.log.len() <= old + 1, "one request, one record");
        }
    }

    #[test]
    fn the_log_tells_the_state(
        level in prop_oneof![Just(0i16), Just(2i16)],
        all in prop::collection::vec(asked(), 1..60),
    ) {
        let mut world = World::new();
        world.level = level;
        let mut given = [Given::new(), Given::new()];
        for asked in all {
            step(&mut world, &mut given, asked)?;
        }
        let mut read: HashMap<Arc<str>, Transaction> = HashMap::new();
        for record in &world.log {
            let (key, value) = record.encode(level).unwrap();
            let back = TxnRecord::decode(key, value).unwrap().unwrap();
            read.insert(back.id, back.value.unwrap());
        }
        for (id, kept) in &world.core.all {
            let mut kept = kept.clone();
            kept.last_epoch = -1;
            let mut read = read[id].clone();
            if level == 0 {
                // The old format leaves these out.
                for one in [&mut kept, &mut read] {
                    (one.previous_id, one.next_id, one.client_version) = (-1, -1, 0);
                }
            }
            prop_assert_eq!(&read, &kept);
        }
    }
}

#[test]
fn who_was_fenced_by_the_first_version_is_not_given_the_epoch_that_shut_it_out() {
    let mut world = World::new();
    world.level = 0;
    let mut given: [Given; 2] = Default::default();
    let all = [
        Asked::Init(0, None),
        Asked::Spend(0),
        Asked::Init(0, None),
        Asked::Init(0, None),
        Asked::Add(0, 0, 0),
        Asked::Fence(0),
        Asked::Complete(0),
        Asked::End(0, 0, false, 2),
    ];
    for asked in all {
        step(&mut world, &mut given, asked).unwrap();
    }
}
