//! Several files at once on a few threads, with the results in the files' order; nobody runs ahead further than a few
//! files, so that memory is bounded by what is in hand.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// Pieces of one item's output that may wait to be taken.
const WAITING: usize = 4;
/// What stands for the next item when no more are to be begun; a few threads may still count up from it.
const ENDED: usize = usize::MAX / 2;
/// How often who waits is told that time passes.
const TICK: Duration = Duration::from_millis(100);

/// How many items were taken whole: who is to begin one waits until it is not far ahead of that.
struct Taken {
    count: Mutex<usize>,
    moved: Condvar,
}

impl Taken {
    fn held(&self) -> MutexGuard<'_, usize> {
        self.count.lock().unwrap_or_else(|held| held.into_inner())
    }

    fn set(&self, count: usize) {
        *self.held() = count;
        self.moved.notify_all();
    }

    fn wait_until(&self, least: usize) {
        let mut count = self.held();
        while *count < least {
            count = self.moved.wait(count).unwrap_or_else(|held| held.into_inner());
        }
    }
}

/// Lets everybody go who waits, however the taking ends.
struct Release<'t>(&'t Taken);

impl Drop for Release<'_> {
    fn drop(&mut self) {
        self.0.set(usize::MAX);
    }
}

/// How many threads there are to use.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(16)
}

/// Lets `work` produce pieces from each of `items` (its number and the item), on up to `threads` threads, and gives them
/// to `take` in the order of the items; `tick` is called meanwhile, about ten times a second. Items are begun in order.
/// Ends early when `take` says `false`; `work` then finds its sender closed.
pub fn ordered<T: Sync, P: Send>(
    items: &[T],
    threads: usize,
    work: impl Fn(usize, &T, &SyncSender<P>) + Sync,
    mut take: impl FnMut(usize, P) -> bool,
    mut tick: impl FnMut(),
) {
    let next = AtomicUsize::new(0);
    let (senders, receivers): (Vec<_>, Vec<_>) = items.iter().map(|_| sync_channel::<P>(WAITING)).unzip();
    let senders: Vec<Mutex<Option<SyncSender<P>>>> =
        senders.into_iter().map(|sender| Mutex::new(Some(sender))).collect();
    let threads = threads.clamp(1, items.len().max(1));
    let taken = Taken { count: Mutex::new(0), moved: Condvar::new() };
    std::thread::scope(|scope| {
        let release = Release(&taken);
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let (Some(item), Some(slot)) = (items.get(at), senders.get(at)) else { break };
                    taken.wait_until((at + 1).saturating_sub(2 * threads));
                    if next.load(Ordering::Relaxed) >= ENDED {
                        break;
                    }
                    let sender = slot.lock().unwrap_or_else(|held| held.into_inner()).take();
                    if let Some(sender) = sender {
                        work(at, item, &sender);
                    }
                }
            });
        }
        for (at, receiver) in receivers.into_iter().enumerate() {
            if !drain(&receiver, |piece| take(at, piece), &mut tick) {
                // Who waits to send finds its receiver gone; items not begun are not begun any more.
                next.store(ENDED, Ordering::Relaxed);
                break;
            }
            taken.set(at + 1);
        }
        drop(release);
    });
}

/// Takes pieces until there are no more; whether to go on.
fn drain<P>(receiver: &Receiver<P>, mut take: impl FnMut(P) -> bool, tick: &mut impl FnMut()) -> bool {
    loop {
        match receiver.recv_timeout(TICK) {
            Ok(piece) => {
                if !take(piece) {
                    return false;
                }
                tick();
            }
            Err(RecvTimeoutError::Timeout) => tick(),
            Err(RecvTimeoutError::Disconnected) => return true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_in_the_order_of_their_items() {
        let items: Vec<u64> = (0..50).collect();
        for threads in [1, 2, 7] {
            let mut seen = Vec::new();
            ordered(
                &items,
                threads,
                |_, item, sender| {
                    for part in 0..item % 7 {
                        sender.send((*item, part)).unwrap();
                    }
                },
                |at, piece| {
                    assert_eq!(at as u64, piece.0);
                    seen.push(piece);
                    true
                },
                || {},
            );
            let wanted: Vec<_> =
                items.iter().flat_map(|item| (0..item % 7).map(|part| (*item, part))).collect();
            assert_eq!(seen, wanted);
        }
    }

    #[test]
    fn nobody_runs_far_ahead() {
        let (items, threads) = (vec![(); 500], 3);
        let (done, furthest) = (AtomicUsize::new(0), AtomicUsize::new(0));
        ordered(
            &items,
            threads,
            |at, (), sender| {
                let ahead = at - done.load(Ordering::SeqCst).min(at);
                furthest.fetch_max(ahead, Ordering::SeqCst);
                sender.send(()).unwrap();
            },
            |at, ()| {
                done.store(at, Ordering::SeqCst);
                true
            },
            || {},
        );
        let furthest = furthest.into_inner();
        assert!(furthest <= 2 * threads + 1, "{furthest}");
    }

    #[test]
    fn who_takes_no_more_ends_it() {
        let items = vec![(); 100];
        let mut taken = 0;
        ordered(
            &items,
            3,
            |_, (), sender| while sender.send(()).is_ok() {},
            |_, ()| {
                taken += 1;
                taken < 10
            },
            || {},
        );
        assert_eq!(taken, 10);
    }
}
