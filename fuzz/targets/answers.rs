//! libFuzzer's entry to `tests/fuzzed/answers.rs`; nothing is asserted here.
#![no_main]
#![allow(dead_code)]

#[macro_use]
#[path = "../../tests/oracle/apis.rs"]
mod apis;
#[path = "../../tests/fuzzed/answers.rs"]
mod answers;
#[path = "../../tests/fuzzed/memory.rs"]
mod memory;
#[path = "../../tests/fuzzed/requests.rs"]
mod requests;

libfuzzer_sys::fuzz_target!(|data: &[u8]| answers::run(data));
