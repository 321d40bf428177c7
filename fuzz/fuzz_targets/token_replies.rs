//! Answers of providers.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tokenkeeper_fuzz::token_replies::run(input));
