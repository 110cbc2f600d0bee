//! Segment files on a disk in memory, damaged in every way: what the inspector says of them, and what a repair makes of them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod compacted;
mod damage;
mod exact;
mod mending;
mod reading_only;
mod rig;
mod seeking;
