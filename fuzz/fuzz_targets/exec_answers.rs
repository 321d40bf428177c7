//! Answers of programs.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tokenkeeper_fuzz::exec_answers::run(input));
