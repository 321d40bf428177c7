//! Heads of responses: dates and patience.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tokenkeeper_fuzz::response_heads::run(input));
