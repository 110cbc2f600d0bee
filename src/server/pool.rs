//! Large receive buffers, shared by all workers; must never keep more than a few while nobody waits for room.
//!
//! The allocator keeps memory apart for each thread: what one worker freed, another could not use, and a flood of
//! half-sent requests would take its room twice. One mutex guards the list, for a walk over a few dozen entries.

use std::sync::{Mutex, PoisonError};

use bytes::BytesMut;

/// What is kept while nobody waits, in bytes.
const KEPT: usize = 3 << 20;

#[derive(Debug, Default)]
pub(super) struct Pool {
    buffers: Mutex<Vec<BytesMut>>,
}

impl Pool {
    /// An empty buffer with room for `least` bytes: the smallest there is, or a new one of `new` bytes.
    pub(super) fn take(&self, least: usize, new: usize) -> BytesMut {
        let mut buffers = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        let fits =
            |(at, buffer): (usize, &BytesMut)| (buffer.capacity() >= least).then(|| (buffer.capacity(), at));
        match buffers.iter().enumerate().rev().filter_map(fits).min() {
            Some((_, at)) => buffers.swap_remove(at),
            None => {
                drop(buffers);
                BytesMut::with_capacity(new)
            }
        }
    }

    /// Takes a buffer back, unless its memory is still in use elsewhere, or there are enough; `all` keeps it anyway,
    /// because somebody waits for one.
    pub(super) fn give(&self, mut buffer: BytesMut, all: bool) {
        buffer.clear();
        // Brings the whole allocation back behind the handle, when no frame shares it any more.
        let _ = buffer.try_reclaim(buffer.capacity() + 1);
        if buffer.capacity() <= super::FREE {
            return;
        }
        let mut buffers = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kept = buffers.iter().map(BytesMut::capacity).sum::<usize>() + buffer.capacity();
        buffers.push(buffer);
        let mut surplus = Vec::new();
        while !all && kept > KEPT {
            let Some(at) =
                buffers.iter().enumerate().max_by_key(|(_, buffer)| buffer.capacity()).map(|(at, _)| at)
            else {
                break;
            };
            let buffer = buffers.swap_remove(at);
            kept -= buffer.capacity();
            surplus.push(buffer);
        }
        drop(buffers);
        drop(surplus); // outside the lock: freeing a large buffer is a system call
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(pool: &Pool) -> Vec<usize> {
        let mut sizes: Vec<_> = pool.buffers.lock().unwrap().iter().map(BytesMut::capacity).collect();
        sizes.sort_unstable();
        sizes
    }

    #[test]
    fn a_few_are_kept_and_the_smallest_that_fits_is_lent() {
        let pool = Pool::default();
        for size in [8 << 10, 1 << 20, 64 << 10, 1 << 20, 4 << 20, 512 << 10] {
            pool.give(BytesMut::with_capacity(size), false);
        }
        assert_eq!(sizes(&pool), [64 << 10, 512 << 10, 1 << 20, 1 << 20]);
        assert_eq!(pool.take(100 << 10, 0).capacity(), 512 << 10);
        assert_eq!(pool.take(2 << 20, 3 << 20).capacity(), 3 << 20);
        for _ in 0..10 {
            pool.give(BytesMut::with_capacity(1 << 20), true);
        }
        assert_eq!(sizes(&pool).len(), 13);
        pool.give(BytesMut::with_capacity(1 << 20), false);
        assert!(sizes(&pool).iter().sum::<usize>() <= KEPT);
    }

    #[test]
    fn a_buffer_a_frame_came_from_is_whole_again() {
        let pool = Pool::default();
        let mut buffer = BytesMut::with_capacity(128 << 10);
        buffer.resize(100 << 10, 7);
        let frame = buffer.split_to(100 << 10).freeze();
        drop(frame);
        pool.give(buffer, false);
        assert_eq!(sizes(&pool), [128 << 10]);
        let mut buffer = pool.take(1, 1);
        buffer.resize(100 << 10, 7);
        let _frame = buffer.split_to(100 << 10).freeze();
        pool.give(buffer, false);
        assert!(sizes(&pool).iter().all(|size| *size < 30 << 10), "what a frame holds is not lent again");
    }
}
