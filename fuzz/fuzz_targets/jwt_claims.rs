//! Claims of tokens.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tokenkeeper_fuzz::jwt_claims::run(input));
