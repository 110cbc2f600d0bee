//! libFuzzer's entry to `tests/fuzzed/auth.rs`; nothing is asserted here.
#![no_main]

#[path = "../../tests/fuzzed/auth.rs"]
mod auth;

libfuzzer_sys::fuzz_target!(|data: &[u8]| auth::run(data));
