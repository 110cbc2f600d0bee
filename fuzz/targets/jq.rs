//! libFuzzer's entry to `tests/fuzzed/jq.rs`; nothing is asserted here.
#![no_main]

#[path = "../../tests/jq/filters.rs"]
mod filters;
#[path = "../../tests/fuzzed/jq.rs"]
mod jq;
#[path = "../../tests/fuzzed/memory.rs"]
mod memory;

libfuzzer_sys::fuzz_target!(|data: &[u8]| jq::run(data));
