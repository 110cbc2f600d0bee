//! The leader epochs of a log and where each began; kept in Kafka's `leader-epoch-checkpoint` text, which it only replaces whole.

use std::fmt::Write;

/// The file's name within a partition's folder.
pub(super) const FILE: &str = "leader-epoch-checkpoint";

/// Epochs with their first offsets, both ascending.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Epochs {
    entries: Vec<(i32, i64)>,
}

impl Epochs {
    /// All entries, oldest first.
    pub(super) fn entries(&self) -> &[(i32, i64)] {
        &self.entries
    }

    /// Notes a batch of `epoch` at `offset`; whether that began a new epoch.
    pub(super) fn note(&mut self, epoch: i32, offset: i64) -> bool {
        if epoch < 0 || self.entries.last().is_some_and(|&(last, from)| epoch <= last || offset < from) {
            return false;
        }
        // An epoch that began at this offset and wrote nothing is replaced.
        if self.entries.last().is_some_and(|&(_, from)| from == offset) {
            self.entries.pop();
        }
        self.entries.push((epoch, offset));
        true
    }

    /// Forgets epochs that begin at or behind a new log end; whether any did.
    pub(super) fn cut_end(&mut self, end: i64) -> bool {
        let before = self.entries.len();
        self.entries.retain(|&(_, from)| from < end);
        before != self.entries.len()
    }

    /// Forgets epochs that ended at or before a new log start; the one it lies in begins there. Whether any changed.
    pub(super) fn cut_start(&mut self, start: i64) -> bool {
        let keep = self.entries.partition_point(|&(_, from)| from <= start).saturating_sub(1);
        self.entries.drain(..keep);
        match self.entries.first_mut() {
            Some((_, from)) if *from < start => {
                *from = start;
                true
            }
            _ => keep > 0,
        }
    }

    /// The largest epoch at or below `epoch` and where it ended (Kafka's `endOffsetFor`).
    pub(super) fn end_of(&self, epoch: i32, log_end: i64) -> Option<(i32, i64)> {
        let behind = self.entries.partition_point(|&(known, _)| known <= epoch);
        let (found, _) = self.entries.get(behind.checked_sub(1)?)?;
        let end = self.entries.get(behind).map_or(log_end, |&(_, from)| from);
        Some((*found, end))
    }

    /// The file's text: version 0, count, then "epoch offset" lines.
    pub(super) fn to_text(&self) -> String {
        let mut text = format!("0\n{}\n", self.entries.len());
        for (epoch, from) in &self.entries {
            let _ = writeln!(text, "{epoch} {from}");
        }
        text
    }

    /// Reads the text; `None` when it is not as it should be (then the batches say what the epochs are).
    pub(super) fn from_text(text: &[u8]) -> Option<Self> {
        let mut lines = std::str::from_utf8(text).ok()?.lines();
        if lines.next()? != "0" {
            return None;
        }
        let count: usize = lines.next()?.parse().ok()?;
        let mut epochs = Self::default();
        for line in lines {
            let (epoch, from) = line.split_once(' ')?;
            epochs.entries.push((epoch.parse().ok()?, from.parse().ok()?));
        }
        let ascending = epochs.entries.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1);
        (epochs.entries.len() == count && ascending).then_some(epochs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_are_kafkas_text() {
        let mut epochs = Epochs::default();
        assert!(epochs.note(0, 0));
        assert!(!epochs.note(0, 5));
        assert!(epochs.note(3, 10));
        assert_eq!(epochs.to_text(), "0\n2\n0 0\n3 10\n");
        assert_eq!(Epochs::from_text(b"0\n2\n0 0\n3 10\n"), Some(epochs));
        for wrong in ["", "1\n0\n", "0\n2\n0 0\n", "0\n2\n3 0\n0 1\n", "0\n1\nx 0\n"] {
            assert_eq!(Epochs::from_text(wrong.as_bytes()), None, "{wrong:?}");
        }
    }

    #[test]
    fn cuts_and_ends() {
        let mut epochs = Epochs { entries: vec![(0, 0), (2, 10), (5, 20)] };
        assert_eq!(epochs.end_of(1, 30), Some((0, 10)));
        assert_eq!(epochs.end_of(5, 30), Some((5, 30)));
        assert_eq!(epochs.end_of(-1, 30), None);
        assert!(epochs.cut_end(20));
        assert!(epochs.cut_start(12));
        assert_eq!(epochs.entries(), [(2, 12)]);
        assert!(!epochs.cut_start(12));
        assert!(epochs.note(3, 12), "an epoch that wrote nothing is replaced");
        assert_eq!(epochs.entries(), [(3, 12)]);
    }
}
