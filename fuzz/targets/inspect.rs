//! libFuzzer's entry to `tests/fuzzed/inspect.rs`; nothing is asserted here.
#![no_main]
#![allow(dead_code)]

#[path = "../../tests/fuzzed/edits.rs"]
mod edits;
#[path = "../../tests/fuzzed/inspect.rs"]
mod inspect;
#[path = "../../tests/fuzzed/memory.rs"]
mod memory;
#[path = "../../tests/segments/rig.rs"]
mod rig;

libfuzzer_sys::fuzz_target!(|data: &[u8]| inspect::run(data));
