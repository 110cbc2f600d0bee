//! Histories of many concurrent clients through kills, power cuts and broken disks, and the checker that judges them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod check;
mod history;
