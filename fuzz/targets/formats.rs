//! libFuzzer's entry to `tests/fuzzed/formats.rs`; nothing is asserted here.
#![no_main]

#[path = "../../tests/fuzzed/formats.rs"]
mod formats;
#[path = "../../tests/fuzzed/memory.rs"]
mod memory;

libfuzzer_sys::fuzz_target!(|data: &[u8]| formats::run(data));
