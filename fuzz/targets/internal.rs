//! libFuzzer's entry to `tests/fuzzed/internal.rs`; nothing is asserted here.
#![no_main]

#[path = "../../tests/fuzzed/internal.rs"]
mod internal;
#[path = "../../tests/fuzzed/memory.rs"]
mod memory;

libfuzzer_sys::fuzz_target!(|data: &[u8]| internal::run(data));
