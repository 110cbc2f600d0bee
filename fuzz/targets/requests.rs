//! libFuzzer's entry to `tests/fuzzed/requests.rs`; nothing is asserted here.
#![no_main]
#![allow(dead_code)]

#[macro_use]
#[path = "../../tests/oracle/apis.rs"]
mod apis;
#[path = "../../tests/fuzzed/memory.rs"]
mod memory;
#[path = "../../tests/fuzzed/requests.rs"]
mod requests;

libfuzzer_sys::fuzz_target!(|data: &[u8]| requests::run(data));
