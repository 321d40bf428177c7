//! The names by which the service manager asks for credentials.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tokenkeeper_fuzz::credential_names::run(input));
