//! libFuzzer's entry to `tests/fuzzed/folder.rs`; nothing is asserted here.
#![no_main]
#![allow(dead_code)]

#[path = "../../tests/fuzzed/edits.rs"]
mod edits;
#[path = "../../tests/fuzzed/folder.rs"]
mod folder;
#[path = "../../tests/fuzzed/memory.rs"]
mod memory;
#[path = "../../tests/segments/rig.rs"]
mod rig;

libfuzzer_sys::fuzz_target!(|data: &[u8]| folder::run(data));
