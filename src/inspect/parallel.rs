//! Several files at once on a few threads, with the results in the files' order; memory is bounded by what is in hand.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

/// Pieces of one item's output that may wait to be taken.
const WAITING: usize = 4;
/// How often who waits is told that time passes.
const TICK: Duration = Duration::from_millis(100);

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
    let senders: Vec<std::sync::Mutex<Option<SyncSender<P>>>> =
        senders.into_iter().map(|sender| std::sync::Mutex::new(Some(sender))).collect();
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, items.len().max(1)) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let (Some(item), Some(slot)) = (items.get(at), senders.get(at)) else { break };
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
                next.store(items.len(), Ordering::Relaxed);
                break;
            }
        }
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
