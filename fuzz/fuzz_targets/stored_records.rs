//! What lies on disk, unsealed.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tokenkeeper_fuzz::stored_records::run(input));
