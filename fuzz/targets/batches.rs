//! libFuzzer's entry to `tests/fuzzed/batches.rs`; nothing is asserted here.
#![no_main]

#[path = "../../tests/fuzzed/batches.rs"]
mod batches;
#[path = "../../tests/fuzzed/memory.rs"]
mod memory;

libfuzzer_sys::fuzz_target!(|data: &[u8]| batches::run(data));
