//! Receive buffers that a worker lends to its connections while a request is on its way; must never cross threads.

use std::cell::RefCell;

use bytes::BytesMut;

/// Buffers kept for the next request, for each worker.
const KEPT: usize = 2;
/// Larger ones are given back to the allocator, in bytes.
const LARGEST: usize = 2 << 20;

thread_local! {
    static BUFFERS: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer with room for `least` bytes, if one is at hand.
pub(super) fn take(least: usize) -> Option<BytesMut> {
    BUFFERS.with_borrow_mut(|kept| {
        let at = kept.iter().rposition(|buffer| buffer.capacity() >= least)?;
        Some(kept.swap_remove(at))
    })
}

/// Takes a buffer back. One whose memory is still in use elsewhere is only let go of.
pub(super) fn give(mut buffer: BytesMut) {
    buffer.clear();
    // Brings the whole allocation back behind the handle, when no frame shares it any more.
    if !buffer.try_reclaim(buffer.capacity() + 1) && buffer.capacity() < super::FREE {
        return;
    }
    if buffer.capacity() > LARGEST {
        return;
    }
    BUFFERS.with_borrow_mut(|kept| {
        if kept.len() < KEPT {
            return kept.push(buffer);
        }
        if let Some(least) = kept.iter_mut().min_by_key(|buffer| buffer.capacity())
            && least.capacity() < buffer.capacity()
        {
            *least = buffer;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_come_back() {
        for size in [8 << 10, 3 << 20, 1 << 20, 64 << 10, 8 << 10] {
            give(BytesMut::with_capacity(size));
        }
        assert!(take(2 << 20).is_none(), "the one of 3 MiB was not kept");
        assert!(take(1 << 20).is_some() && take(1 << 20).is_none());
        assert!(take(1).is_some_and(|buffer| buffer.capacity() >= 64 << 10));
        assert!(take(0).is_none());
    }

    #[test]
    fn a_buffer_a_frame_came_from_is_whole_again() {
        let mut buffer = BytesMut::with_capacity(128 << 10);
        buffer.resize(100 << 10, 7);
        let frame = buffer.split_to(100 << 10).freeze();
        drop(frame);
        give(buffer);
        assert!(take(128 << 10).is_some());
    }
}
