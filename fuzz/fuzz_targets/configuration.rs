//! A configuration.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tokenkeeper_fuzz::configuration::run(input));
