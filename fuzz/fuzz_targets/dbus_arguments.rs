//! Calls over the message bus.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tokenkeeper_fuzz::dbus_arguments::run(input));
