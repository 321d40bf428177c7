//! Requests on the socket.
#![no_main]

use std::sync::Arc;

use signal_hook::consts::SIGPIPE;

libfuzzer_sys::fuzz_target!(
    init: {
        // What a program of Rust's is given by its runtime, and one of libFuzzer's is not: a peer that
        // hangs up ends a write and not the process.
        signal_hook::flag::register(SIGPIPE, Arc::default()).expect("a handler of its own");
    },
    |input: &[u8]| tokenkeeper_fuzz::http_requests::run(input)
);
