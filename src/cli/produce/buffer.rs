//! The input buffer: filled by reads, emptied by records; moves only what is left of an unfinished record.

/// Room that a read is given at least.
const READ: usize = 1 << 20;

/// Bytes read and not yet taken.
#[derive(Debug)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// Bytes from `start` on that hold no delimiter.
    searched: usize,
}

impl Buffer {
    pub(super) fn new() -> Buffer {
        Buffer { bytes: Vec::new(), start: 0, end: 0, searched: 0 }
    }

    /// Where the next read goes, at least [`READ`] bytes less what is left of an unfinished record, never fewer
    /// than half of it.
    pub(super) fn space(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.bytes.len() - self.end < READ / 2 {
            self.bytes.resize((self.bytes.len() * 2).max(READ), 0);
        }
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }

    pub(super) fn filled(&mut self, len: usize) {
        self.end = (self.end + len).min(self.bytes.len());
    }

    pub(super) fn data(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    pub(super) fn len(&self) -> usize {
        self.end - self.start
    }

    /// Bytes at the front of [`Buffer::data`] that need no second search.
    pub(super) fn searched(&self) -> usize {
        self.searched
    }

    pub(super) fn take(&mut self, len: usize) {
        self.start = (self.start + len).min(self.end);
        self.searched = self.searched.saturating_sub(len);
    }

    /// Notes that nothing but the last `keep` bytes can be the beginning of a delimiter.
    pub(super) fn all_searched_but(&mut self, keep: usize) {
        self.searched = self.len().saturating_sub(keep);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(buffer: &mut Buffer, bytes: &[u8]) {
        buffer.space()[..bytes.len()].copy_from_slice(bytes);
        buffer.filled(bytes.len());
    }

    #[test]
    fn what_is_left_stays_in_front_of_what_comes() {
        let mut buffer = Buffer::new();
        fill(&mut buffer, b"one\ntw");
        buffer.take(4);
        buffer.all_searched_but(0);
        assert_eq!((buffer.data(), buffer.searched()), (&b"tw"[..], 2));
        fill(&mut buffer, b"o\n");
        assert_eq!((buffer.data(), buffer.searched()), (&b"two\n"[..], 2));
        buffer.take(4);
        assert_eq!((buffer.len(), buffer.searched()), (0, 0));
    }

    #[test]
    fn there_is_always_room_and_no_more_than_twice_what_is_held() {
        let mut buffer = Buffer::new();
        for _ in 0..20 {
            assert!(buffer.space().len() >= READ / 2);
            buffer.filled(READ / 2);
        }
        assert!(buffer.bytes.len() <= 2 * buffer.len().max(READ));
    }
}
