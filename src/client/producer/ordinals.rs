//! Which records of the caller's a batch holds, as runs, so that a refused record can be named; never a list of all.

/// The how manieth record each of a batch's records was. Records without keys are one run.
#[derive(Debug, Clone, Default)]
pub(super) struct Ordinals {
    /// Place in the batch and ordinal where a run begins.
    runs: Vec<(u32, u64)>,
    /// The ordinal that would go on with the last run.
    next: u64,
}

impl Ordinals {
    /// The record at `place` (one after the other) is the caller's number `ordinal`.
    #[inline]
    pub(super) fn add(&mut self, place: u32, ordinal: u64) {
        if self.runs.is_empty() || self.next != ordinal {
            self.runs.push((place, ordinal));
        }
        self.next = ordinal + 1;
    }

    /// The caller's number of the record at `place`.
    pub(super) fn of(&self, place: u32) -> u64 {
        let run = self.runs.iter().rev().find(|&&(from, _)| from <= place);
        run.map_or(0, |&(from, ordinal)| ordinal + u64::from(place - from))
    }

    /// Keeps the records before `place`; gives back the others, counted from 0 again.
    pub(super) fn split_off(&mut self, place: u32) -> Self {
        let mut tail = Self { runs: vec![(0, self.of(place))], next: self.next };
        let later = self.runs.iter().filter(|&&(from, _)| from > place);
        tail.runs.extend(later.map(|&(from, ordinal)| (from - place, ordinal)));
        self.runs.retain(|&(from, _)| from < place);
        self.next = place.checked_sub(1).map_or(0, |last| self.of(last) + 1);
        tail
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_answer_for_every_place_also_after_a_split() {
        let list = [3u64, 4, 5, 9, 12, 13, 14];
        let mut runs = Ordinals::default();
        for (place, &ordinal) in (0..).zip(&list) {
            runs.add(place, ordinal);
        }
        assert_eq!(runs.runs.len(), 3);
        for cut in 1..list.len() {
            let mut head = runs.clone();
            let tail = head.split_off(cut as u32);
            for (place, &ordinal) in list.iter().enumerate() {
                let found = if place < cut { head.of(place as u32) } else { tail.of((place - cut) as u32) };
                assert_eq!(found, ordinal, "cut at {cut}, place {place}");
            }
        }
    }
}
