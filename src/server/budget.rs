//! The room that unfinished requests of all connections share; must never grant more than there is.
//!
//! One mutex guards the free bytes and who waits; it is held for a few map operations. Who waits for the least is
//! served first; a request larger than the whole budget asks for all of it, and so is read when it is alone.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;

use super::pool::Pool;

#[derive(Debug)]
pub(super) struct Budget {
    total: usize,
    /// How many wait; a copy outside the lock, for the stall rule.
    waiting: AtomicUsize,
    state: Mutex<State>,
    /// The memory behind the room.
    pool: Pool,
}

#[derive(Debug)]
struct State {
    free: usize,
    next: u64,
    waiters: BTreeMap<Place, Waker>,
}

/// Order of service: fewest bytes, then who came first.
type Place = (usize, u64);

impl Budget {
    pub(super) fn new(total: usize) -> Arc<Self> {
        let state = Mutex::new(State { free: total, next: 0, waiters: BTreeMap::new() });
        Arc::new(Self { total, waiting: AtomicUsize::new(0), state, pool: Pool::default() })
    }

    /// Whether some request waits for room.
    pub(super) fn contended(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// An empty buffer with room for `least` bytes, or a new one of `new`.
    pub(super) fn lend(&self, least: usize, new: usize) -> BytesMut {
        self.pool.take(least, new)
    }

    /// Takes a buffer back.
    pub(super) fn give_back(&self, buffer: BytesMut) {
        self.pool.give(buffer, self.contended());
    }

    /// Asks for room; what is not free at once is waited for with [`Claim::poll`].
    pub(super) fn claim(self: &Arc<Self>, bytes: usize) -> Claim {
        let bytes = bytes.min(self.total);
        let mut state = self.lock();
        let place = (bytes, state.next);
        state.next += 1;
        if bytes <= state.free {
            state.free -= bytes;
        } else {
            state.waiters.insert(place, Waker::noop().clone());
            self.waiting.store(state.waiters.len(), Ordering::Relaxed);
        }
        drop(state);
        Claim { budget: Arc::clone(self), place }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Room that is held or waited for, until dropped.
#[derive(Debug)]
pub(super) struct Claim {
    budget: Arc<Budget>,
    place: Place,
}

impl Claim {
    /// Ready once the room is held.
    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self.budget.lock().waiters.get_mut(&self.place) {
            Some(waker) => {
                waker.clone_from(cx.waker());
                Poll::Pending
            }
            None => Poll::Ready(()),
        }
    }

    /// Whether the room is held already.
    pub(super) fn held(&self) -> bool {
        !self.budget.lock().waiters.contains_key(&self.place)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut state = self.budget.lock();
        if state.waiters.remove(&self.place).is_none() {
            state.free += self.place.0;
        }
        let mut served = Vec::new();
        while let Some(next) = state.waiters.first_entry() {
            let bytes = next.key().0;
            if bytes > state.free {
                break;
            }
            if let Some((_, waker)) = state.waiters.pop_first() {
                served.push(waker);
            }
            state.free -= bytes;
        }
        self.budget.waiting.store(state.waiters.len(), Ordering::Relaxed);
        drop(state);
        served.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;
    use std::task::Wake;

    #[derive(Default)]
    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn the_smallest_is_served_first_and_the_largest_alone() {
        let budget = Budget::new(100);
        let first = budget.claim(60);
        let second = budget.claim(40);
        assert!(first.held() && second.held() && !budget.contended());
        let giant = budget.claim(1000);
        let large = budget.claim(50);
        let small = budget.claim(10);
        assert!(budget.contended());
        let wakes = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let mut cx = Context::from_waker(&waker);
        for waiting in [&giant, &large, &small] {
            assert!(waiting.poll(&mut cx).is_pending() && !waiting.held());
        }
        drop(second);
        assert!(small.held() && !large.held(), "10 before 50, and 50 of 30 is not there");
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
        drop(first);
        assert!(large.poll(&mut cx).is_ready() && giant.poll(&mut cx).is_pending());
        drop((small, large));
        assert!(giant.held() && !budget.contended());
        assert!(!budget.claim(1).held(), "the giant has everything");
        drop(giant);
        assert_eq!(budget.lock().free, 100);
    }

    #[test]
    fn who_gives_up_waiting_takes_nothing() {
        let budget = Budget::new(10);
        let held = budget.claim(10);
        drop(budget.claim(5));
        assert!(!budget.contended());
        drop(held);
        assert_eq!(budget.lock().free, 10);
    }
}
