//! Walks one segment file batch by batch with every CRC, and goes on behind damage; it never trusts a length or an offset alone.
//!
//! The base offset and the leader epoch of a batch lie outside of its CRC. Offsets are held against the order of the
//! batches around: where two disagree, the one that the third contradicts is the damaged one.

use std::ops::Range;
use std::path::Path;

use super::window::{BELIEVED, Source, Window};
use super::{InspectError, Meter};
use crate::inspect::finding::Cause;
use crate::record::{Batch, BatchHeader, HEADER_LEN};
use crate::storage::scan::{Legacy, legacy, legacy_size, plausible, possible};

/// How far the batch that confirms an offset is looked for behind bytes that are none.
const CONFIRM_WITHIN: u64 = 8 << 20;
/// Bytes of candidates' CRCs that a search may cost, as a multiple of the file: past it the rest counts as damaged.
const SEARCH_FACTOR: u64 = 16;
/// And what it may cost in any case.
const SEARCH_LEAST: u64 = 1 << 30;
/// How often a file that grows is looked at again when its last batch is half there.
const LOOK_AGAIN: u32 = 3;
/// How many batches are asked whether a file has the name of another.
const FIRST_BATCHES: usize = 8;
/// Where the CRC's range begins in a batch.
const CRC_FROM: u64 = 21;
/// Where the magic byte lies in a batch.
const MAGIC_AT: usize = 16;

/// What is known of a file before it is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// The base offset that its name says.
    pub base: Option<i64>,
    /// The base offset of the next segment.
    pub next: Option<i64>,
    /// A daemon may be writing to it: a half batch at its end is none of damage.
    pub growing: bool,
}

/// Bytes that are no batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Where they lie.
    pub position: Range<u64>,
    /// The offsets that they may have held: from the one due to the next that is there. Empty where that is not known
    /// (the end of the log) or none is missing.
    pub offsets: Range<i64>,
    /// Whether they reach to the end of the file.
    pub to_end: bool,
    /// What is wrong at their start.
    pub cause: Cause,
    /// The header at their start, where it can be one.
    pub header: Option<BatchHeader>,
}

/// What the walk comes to.
#[derive(Debug)]
pub enum Piece<'w> {
    /// A whole batch with a good CRC at a position.
    Batch(u64, Batch<'w>),
    /// Damage.
    Damage(Damage),
    /// Messages of format 0 or 1 with good CRCs: position, the last one, how many.
    Legacy(Range<u64>, Legacy, u64),
    /// The last batch, still being written: position and bytes there are.
    Growing(u64, u64),
}

/// What lies at a position.
enum Look {
    Good(BatchHeader),
    Legacy(Legacy),
    Bad(Cause, Option<BatchHeader>),
    End,
}

/// A step without the bytes.
enum Step {
    Batch(u64, BatchHeader),
    Damage(Damage),
    Legacy(Range<u64>, Legacy, u64),
    Growing(u64, u64),
    End,
}

/// One walk.
pub struct Scan {
    window: Window,
    at: u64,
    expected: i64,
    /// Offsets lie in this range; the end is `i64::MAX` where it is not known.
    bounds: Range<i64>,
    limits: Limits,
    begun: bool,
    misnamed: Option<i64>,
    budget: u64,
    looks: u32,
    metered: u64,
}

impl std::fmt::Debug for Scan {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "scan of {} at {}", self.window.path().display(), self.at)
    }
}

impl Scan {
    /// A walk from the start; `path` is for messages only.
    pub fn new(source: Source, path: &Path, limits: Limits) -> Scan {
        let window = Window::new(source, path);
        let base = limits.base.unwrap_or(0);
        let budget = window.size().unwrap_or(SEARCH_LEAST).saturating_mul(SEARCH_FACTOR).max(SEARCH_LEAST);
        Scan {
            window,
            at: 0,
            expected: base,
            bounds: bounds(base, limits.next),
            limits,
            begun: false,
            misnamed: None,
            budget,
            looks: LOOK_AGAIN,
            metered: 0,
        }
    }

    /// Begins at a batch that lies at `position` and whose first offset is `offset`.
    pub fn start_at(&mut self, position: u64, offset: i64) {
        (self.at, self.expected, self.begun) = (position, offset, true);
    }

    /// Where the next step looks, in bytes.
    pub fn position(&self) -> u64 {
        self.at
    }

    /// The offset that is due next.
    pub fn expected(&self) -> i64 {
        self.expected
    }

    /// The file's size as known now; `None` for a stream.
    pub fn size(&self) -> Option<u64> {
        self.window.size()
    }

    /// The first offset found, where the file's name says another one: known after the first step.
    pub fn misnamed(&self) -> Option<i64> {
        self.misnamed
    }

    /// Adds what was walked since the last call to `meter`.
    pub fn measure(&mut self, meter: &Meter) {
        meter.add(self.at.saturating_sub(self.metered));
        self.metered = self.at;
    }

    /// The next batch or damage; `None` at the end.
    ///
    /// # Errors
    /// `Io`.
    #[expect(clippy::should_implement_trait, reason = "lends what it holds, which an iterator can not")]
    pub fn next(&mut self) -> Result<Option<Piece<'_>>, InspectError> {
        if !self.begun {
            self.begun = true;
            self.hold_against_name()?;
        }
        match self.step()? {
            Step::Batch(at, header) => {
                // Looking ahead may have moved the window.
                let bytes = self.window.get(at, header.size())?;
                Ok(Batch::exactly(bytes).ok().map(|batch| Piece::Batch(at, batch)))
            }
            Step::Damage(damage) => Ok(Some(Piece::Damage(damage))),
            Step::Legacy(position, last, count) => Ok(Some(Piece::Legacy(position, last, count))),
            Step::Growing(at, bytes) => Ok(Some(Piece::Growing(at, bytes))),
            Step::End => Ok(None),
        }
    }

    fn step(&mut self) -> Result<Step, InspectError> {
        loop {
            let (cause, header) = match self.look(self.at)? {
                Look::Good(header) => {
                    let at = self.at;
                    self.at += header.size() as u64;
                    self.expected = header.next_offset();
                    return Ok(Step::Batch(at, header));
                }
                Look::Legacy(first) => return self.legacy_run(first),
                Look::End => return Ok(Step::End),
                Look::Bad(cause, header) => (cause, header),
            };
            let found = self.resync(header.as_ref())?;
            if found.is_none() && self.limits.growing {
                if self.looks > 0 {
                    self.looks -= 1;
                    self.window.grow()?;
                    continue;
                }
                if cause.is_unfinished() {
                    return self.growing();
                }
            }
            return self.damage(cause, header, found);
        }
    }

    fn growing(&mut self) -> Result<Step, InspectError> {
        let (from, to) = (self.at, self.end_of_source()?);
        self.at = to;
        Ok(Step::Growing(from, to - from))
    }

    fn damage(
        &mut self,
        cause: Cause,
        header: Option<BatchHeader>,
        found: Option<(u64, BatchHeader)>,
    ) -> Result<Step, InspectError> {
        let from = self.at;
        let to = match found {
            Some((at, _)) => at,
            None => self.end_of_source()?,
        };
        let behind = match (found, self.limits.next) {
            (Some((_, next)), _) => next.base_offset,
            (None, Some(next)) if self.misnamed.is_none() => next.max(self.expected),
            _ => self.expected,
        };
        let offsets = self.expected..behind;
        self.at = to;
        self.expected = behind;
        Ok(Step::Damage(Damage { position: from..to, offsets, to_end: found.is_none(), cause, header }))
    }

    fn end_of_source(&mut self) -> Result<u64, InspectError> {
        if let Some(size) = self.window.size() {
            return Ok(size.max(self.at));
        }
        // What a search went over is gone, and counts.
        let mut at = self.at.max(self.window.held_to());
        loop {
            match self.window.get(at, 1 << 20)?.len() {
                0 => return Ok(at),
                len => at += len as u64,
            }
        }
    }

    fn legacy_run(&mut self, first: Legacy) -> Result<Step, InspectError> {
        let from = self.at;
        let (mut last, mut count) = (first, 0u64);
        loop {
            self.at += last.size as u64;
            self.expected = self.expected.max(last.offset.saturating_add(1));
            count += 1;
            match self.look(self.at)? {
                Look::Legacy(next) if next.magic == last.magic => last = next,
                _ => return Ok(Step::Legacy(from..self.at, last, count)),
            }
        }
    }

    /// What lies at `at`, offsets held against those due.
    fn look(&mut self, at: u64) -> Result<Look, InspectError> {
        let bytes = self.window.get(at, HEADER_LEN)?;
        if bytes.is_empty() {
            return Ok(Look::End);
        }
        let usual = plausible(bytes).is_some();
        let Some(header) = possible(bytes) else {
            let cause = Cause::of_no_header(bytes);
            if let Some(size) = legacy_size(bytes)
                && size <= BELIEVED
                && let Some(found) = legacy(self.window.get(at, size)?)
            {
                return Ok(Look::Legacy(found));
            }
            return Ok(Look::Bad(cause, None));
        };
        if let Some(cause) = self.unsound(at, &header)? {
            if usual {
                return Ok(Look::Bad(cause, Some(header)));
            }
            // Without its CRC an unusual header is none, and its length is not believed.
            let unfinished = self.limits.growing && cause.is_unfinished();
            return Ok(Look::Bad(if unfinished { cause } else { Cause::Header }, None));
        }
        // The offset that is due needs no more proof, not even that of the next file's name.
        if header.base_offset == self.expected
            || self.fits(&header, self.expected) && self.agrees(at, &header)?
        {
            return Ok(Look::Good(header));
        }
        let (found, due) = (header.base_offset, self.expected);
        Ok(Look::Bad(Cause::Order { found, due }, Some(header)))
    }

    /// Why the batch at `at` is not whole, or its CRC wrong; `None` where it is good.
    fn unsound(&mut self, at: u64, header: &BatchHeader) -> Result<Option<Cause>, InspectError> {
        let size = header.size();
        let needed = size as u64;
        if let Some(end) = self.window.size()
            && end.saturating_sub(at) < needed
        {
            return Ok(Some(Cause::Truncated { needed, found: end.saturating_sub(at) }));
        }
        let computed = if size > BELIEVED && !self.window.is_stream() {
            self.window.crc(at + CRC_FROM, at + needed)?
        } else {
            let bytes = self.window.get(at, size)?;
            match Batch::exactly(bytes) {
                Ok(batch) => Some(batch.computed_crc()),
                Err(_) => return Ok(Some(Cause::Truncated { needed, found: bytes.len() as u64 })),
            }
        };
        Ok(match computed {
            Some(computed) if computed == header.crc => None,
            Some(computed) => Some(Cause::Crc { stored: header.crc, computed }),
            // The file became shorter meanwhile.
            None => Some(Cause::Truncated { needed, found: 0 }),
        })
    }

    fn fits(&self, header: &BatchHeader, least: i64) -> bool {
        header.base_offset >= least.max(self.bounds.start) && header.next_offset() <= self.bounds.end
    }

    /// Whether an offset later than the one due is right, as what follows says.
    fn agrees(&mut self, at: u64, header: &BatchHeader) -> Result<bool, InspectError> {
        let floor = self.expected;
        let Some((at, next)) = self.following(at + header.size() as u64, floor)? else { return Ok(true) };
        if next.base_offset >= header.next_offset() {
            return Ok(true);
        }
        // One of the two is wrong: the one that what comes after them contradicts.
        let Some((_, third)) = self.following(at + next.size() as u64, floor)? else { return Ok(false) };
        Ok(third.base_offset != next.next_offset() && third.base_offset >= header.next_offset())
    }

    /// The next batch with a good CRC from `at` on whose offset is at least `floor`: there, or not far behind.
    fn following(&mut self, at: u64, floor: i64) -> Result<Option<(u64, BatchHeader)>, InspectError> {
        if self.window.is_stream() {
            // What lies between would be lost; only what is held beyond is looked at.
            let from = self.at;
            let ahead = usize::try_from(at.saturating_sub(from)).unwrap_or(usize::MAX);
            let bytes = self.window.get(from, ahead.saturating_add(HEADER_LEN))?;
            let header = bytes.get(ahead..).and_then(plausible);
            return Ok(header.filter(|header| self.fits(header, floor)).map(|header| (at, header)));
        }
        if let Some(header) = self.good(at, floor)? {
            return Ok(Some((at, header)));
        }
        let end = at.saturating_add(CONFIRM_WITHIN);
        self.search(at + 1, end, floor, false)
    }

    /// The header of a whole batch with a good CRC at `at` whose offset is at least `floor`.
    fn good(&mut self, at: u64, floor: i64) -> Result<Option<BatchHeader>, InspectError> {
        let Some(header) = possible(self.window.get(at, HEADER_LEN)?) else { return Ok(None) };
        if !self.fits(&header, floor) {
            return Ok(None);
        }
        if self.window.size().is_none_or(|end| end.saturating_sub(at) >= header.size() as u64) {
            self.budget = self.budget.saturating_sub(header.size() as u64);
        }
        Ok(if self.unsound(at, &header)?.is_none() { Some(header) } else { None })
    }

    /// The first good batch behind what is bad at the present place. Where the bad one's length can be believed it is
    /// looked for there first, so that a batch inside of a record's value is not taken for one of the log.
    fn resync(&mut self, header: Option<&BatchHeader>) -> Result<Option<(u64, BatchHeader)>, InspectError> {
        let floor = self.expected;
        if let Some(header) = header
            && !self.window.is_stream()
        {
            let behind = self.at + header.size() as u64;
            if let Some(next) = self.good(behind, floor)?
                && (next.base_offset == floor || self.agrees(behind, &next)?)
            {
                return Ok(Some((behind, next)));
            }
        }
        self.search(self.at + 1, u64::MAX, floor, true)
    }

    /// Looks at every byte from `from` on for the start of a good batch; with `confirmed` one that what follows agrees with.
    fn search(
        &mut self,
        from: u64,
        end: u64,
        floor: i64,
        confirmed: bool,
    ) -> Result<Option<(u64, BatchHeader)>, InspectError> {
        let mut at = from;
        while at < end && self.budget > 0 {
            let bytes = self.window.get(at, 1 << 20)?;
            if bytes.len() < HEADER_LEN {
                return Ok(None);
            }
            let last = bytes.len() - HEADER_LEN;
            let bounds = self.bounds.start.max(floor)..self.bounds.end;
            let places = bytes.get(MAGIC_AT..=last + MAGIC_AT).unwrap_or_default();
            let skip = memchr::memchr_iter(2, places).find(|&skip| {
                let header = bytes.get(skip..).and_then(plausible);
                header.is_some_and(|header| bounds.contains(&header.base_offset))
            });
            let Some(skip) = skip else {
                at += last as u64 + 1;
                continue;
            };
            at += skip as u64;
            if let Some(header) = self.good(at, floor)?
                && (!confirmed || header.base_offset == floor || self.agrees_from(at, &header)?)
            {
                return Ok(Some((at, header)));
            }
            at += 1;
        }
        Ok(None)
    }

    /// [`Scan::agrees`] while searching; a stream has no second look.
    fn agrees_from(&mut self, at: u64, header: &BatchHeader) -> Result<bool, InspectError> {
        if self.window.is_stream() { Ok(true) } else { self.agrees(at, header) }
    }

    /// Whether the file holds what its name says: its first two batches both lie outside of it where it was renamed.
    fn hold_against_name(&mut self) -> Result<(), InspectError> {
        let Some(base) = self.limits.base else { return self.name_by_first() };
        let (named, next) = (self.bounds.clone(), self.limits.next);
        let outside = |header: &BatchHeader| {
            header.base_offset < base || next.is_some_and(|next| header.base_offset >= next)
        };
        match possible(self.window.get(0, HEADER_LEN)?) {
            // The common case costs nothing.
            Some(first) if !outside(&first) => return Ok(()),
            _ if self.window.is_stream() => return Ok(()),
            _ => {}
        }
        self.bounds = 0..i64::MAX;
        let mut at = self.first_of(0)?;
        let mut foreign = None;
        // Two that follow each other outside of it; a single one may have a changed offset. One inside of it is proof.
        for _ in 0..FIRST_BATCHES {
            let Some((position, one)) = at.filter(|(_, one)| outside(one)) else { break };
            at = self.first_of(position + one.size() as u64)?;
            let follows = |next: &BatchHeader| outside(next) && next.base_offset >= one.next_offset();
            if at.as_ref().is_some_and(|(_, next)| follows(next)) {
                foreign = Some(one.base_offset);
                break;
            }
        }
        self.bounds = named;
        if let Some(first) = foreign {
            self.misnamed = Some(first);
            self.expected = first;
            self.bounds = bounds(first, None);
        }
        Ok(())
    }

    fn first_of(&mut self, at: u64) -> Result<Option<(u64, BatchHeader)>, InspectError> {
        match self.good(at, 0)? {
            Some(header) => Ok(Some((at, header))),
            None => self.search(at + 1, at.saturating_add(CONFIRM_WITHIN), 0, false),
        }
    }

    /// A file without a telling name begins where its first batch does.
    fn name_by_first(&mut self) -> Result<(), InspectError> {
        if let Some(first) = possible(self.window.get(0, HEADER_LEN)?)
            && self.unsound(0, &first)?.is_none()
        {
            self.expected = first.base_offset;
            self.bounds = bounds(first.base_offset, None);
        }
        Ok(())
    }
}

fn bounds(base: i64, next: Option<i64>) -> Range<i64> {
    // Indexes hold offsets relative to the base in 31 bits.
    base..next.unwrap_or(i64::MAX).min(base.saturating_add(i64::from(i32::MAX) + 1))
}
