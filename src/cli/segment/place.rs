//! Places and times of the command line as offsets of a partition's files.

use crate::cli::consume::plan::range;
use crate::cli::context::Context;
use crate::cli::exit::Failure;
use crate::cli::{output, times};
use crate::client::consumer::Position;
use crate::inspect::read::Bound;
use crate::inspect::{InspectError, Partition, machine, seek};
use crate::model::time::{Clock, SystemClock};

/// Where to begin and where to end, as the flags say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Places {
    from: Position,
    to: Option<Position>,
}

impl Places {
    /// Reads the flags `-o`, `--since` and `--until`.
    pub(super) fn parse(
        offset: Option<&str>,
        since: Option<&str>,
        until: Option<&str>,
        command: &'static str,
    ) -> Result<Places, Failure> {
        let now = SystemClock::default().wall_ms();
        let wrong = |flag: &str, why: String| {
            Failure::usage(format!("{flag}: {why}"), format!("see: klog segment {command} --help"))
        };
        let (mut from, mut to) = match offset {
            Some(text) => range(text, now).map_err(|why| wrong("-o", why))?,
            None => (Position::Start, None),
        };
        if let Some(text) = since {
            from = Position::Time(times::parse(text, now).map_err(|why| wrong("--since", why))?);
        }
        if let Some(text) = until {
            if to.is_some() {
                return Err(wrong("--until", "-o gives an end already".to_owned()));
            }
            to = Some(Position::Time(times::parse(text, now).map_err(|why| wrong("--until", why))?));
        }
        Ok(Places { from, to })
    }

    /// As offsets of `partition`; says so where no index helped to find them.
    pub(super) fn resolve(&self, context: &Context, partition: &Partition) -> Result<(i64, i64), Failure> {
        let from = self.offset(context, partition, self.from)?;
        let to = self.to.map(|to| self.offset(context, partition, to)).transpose()?;
        Ok((from, to.unwrap_or(i64::MAX)))
    }

    fn offset(&self, context: &Context, partition: &Partition, at: Position) -> Result<i64, Failure> {
        let ends = || -> Result<(i64, i64), InspectError> {
            Ok(seek::ends(machine().as_ref(), partition)?.unwrap_or((0, 0)))
        };
        Ok(match at {
            Position::Start => 0,
            Position::Offset(offset) => offset,
            Position::End => ends()?.1,
            Position::AfterStart(count) => ends()?.0.saturating_add(count),
            Position::BeforeEnd(count) => {
                let (start, end) = ends()?;
                end.saturating_sub(count).max(start)
            }
            Position::Time(time) => match seek::first_since(machine().as_ref(), partition, time)? {
                Some((offset, by_index)) => {
                    if !by_index {
                        output::notice(context, &no_index(partition));
                    }
                    offset
                }
                None => i64::MAX,
            },
        })
    }

    /// As bounds of a stream, of which neither start nor end are known before it is read.
    pub(super) fn of_stream(&self) -> Result<(Bound, Bound), Failure> {
        let bound = |at: Position| match at {
            Position::Start => Ok(Bound::Offset(0)),
            Position::Offset(offset) => Ok(Bound::Offset(offset)),
            Position::Time(time) => Ok(Bound::Time(time)),
            _ => {
                Err(InspectError::Stream { what: "a place counted from start or end", path: "stdin".into() })
            }
        };
        let to = match self.to {
            None | Some(Position::End) => Bound::Offset(i64::MAX),
            Some(to) => bound(to)?,
        };
        Ok((bound(self.from)?, to))
    }
}

/// What is said where a seek had to go from header to header.
pub(super) fn no_index(partition: &Partition) -> String {
    format!("{} has no index for this: its batches are read one after the other", partition.name)
}
