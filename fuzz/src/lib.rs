//! What is read from outside, fed with bytes that mean no good.
//!
//! Each target is a function of bytes that panics where tokenkeeper does not keep a promise. The
//! programs of `fuzz_targets` hand it what libFuzzer makes up; the test `fuzzing` of the project
//! hands it every file of `corpus`, and what a small mutator makes of those, so that neither
//! needs the other and both do the same.
//!
//! # Reading order
//!
//! 1. [`TARGETS`], which names them all, and one of them, as [`configuration`].
//! 2. [`input`]: how the bytes of a file are read, which a person can write.
//! 3. [`hygiene`]: what holds of every text that is shown.
//! 4. [`conversation`]: a provider's side of an exchange, a login or a deed.
//!
//! # Invariants
//!
//! * A target is deterministic as far as its subject is: it reads no clock and no chance of its own.
//! * A target that returns has seen every promise kept. None prints.
//! * The inputs are text wherever that is possible, so that a find can be read and a seed written.

pub mod configuration;
pub mod conversation;
pub mod credential_names;
pub mod dbus_arguments;
pub mod exec_answers;
pub mod http_requests;
pub mod hygiene;
pub mod input;
pub mod jwt_claims;
pub mod response_heads;
pub mod stored_records;
pub mod token_replies;

/// Every target by its name, which is that of its folder in `corpus`; sorted.
#[allow(clippy::type_complexity, reason = "said once; an alias would only hide it")]
pub const TARGETS: &[(&str, fn(&[u8]))] = &[
    ("configuration", configuration::run),
    ("credential_names", credential_names::run),
    ("dbus_arguments", dbus_arguments::run),
    ("exec_answers", exec_answers::run),
    ("http_requests", http_requests::run),
    ("jwt_claims", jwt_claims::run),
    ("response_heads", response_heads::run),
    ("stored_records", stored_records::run),
    ("token_replies", token_replies::run),
];
