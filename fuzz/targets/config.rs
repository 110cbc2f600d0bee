//! libFuzzer's entry to `tests/fuzzed/config.rs`; nothing is asserted here.
#![no_main]

#[path = "../../tests/fuzzed/config.rs"]
mod config;

libfuzzer_sys::fuzz_target!(|data: &[u8]| config::run(data));
