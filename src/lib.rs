//! Keeps OAuth 2.0 access tokens fresh and hands them to local programs.
//!
//! One daemon, `tokenkeeperd`, owns every refresh token of the host. It refreshes each
//! account *before* its access token expires and answers local programs over a Unix
//! socket. It never prompts: when an account cannot be refreshed, the failure is raised to
//! everyone concerned, with a stable [`error::code::Code`].
//!
//! This library is the inside of the daemon and of `tokenctl`, not a published interface:
//! that is the socket, whose words are in [`protocol`].
//!
//! # Reading order
//!
//! 1. [`lifecycle`]: what one account goes through. Start here.
//! 2. [`schedule`], [`budget`], [`pacing`]: when something is due, and how much is too much.
//! 3. [`provider`]: how a refresh is phrased for one identity provider.
//! 4. [`supervisor`]: the one loop that carries all of that out; [`logins`]: what people do.
//! 5. [`hook`] and [`hooks`]: what of all that is told to programs of the administrator's.
//! 6. [`snapshot`] and [`keeper`]: what is published, and who reads it.
//! 7. [`store`]: what is on disk, and when.
//! 8. [`daemon`]: how it all hangs together.
//!
//! # Invariants
//!
//! * Modules have an order, from the inside out, and use only what comes before them; the
//!   decisions name no clock, socket, file, random source or runtime. A test holds both.
//! * A refresh token that could be lost is announced durably before it is sent, and a
//!   rotated one is durable before the tokens that came with it are published.
//! * A token is never handed out at or after its expiry by either clock.
//! * There is no interactive fallback. Its absence is a type: see [`lifecycle::words::Command`].
//! * A [`token::Secret`] cannot be formatted or serialized.
//!
//! # Vocabulary
//!
//! Terms follow [RFC 6749]: *access token*, *refresh token*, *token endpoint*, *grant*,
//! *scope*. An *account* is one configured refresh token lineage; a *refresh* is the
//! operation, an *exchange* one attempt at the provider; to *rotate* is to replace the
//! refresh token; a *peer* is the local process that asks; to *raise* is to report a
//! failure at once, to everyone concerned, and to fall back to nothing.
//!
//! [RFC 6749]: https://www.rfc-editor.org/rfc/rfc6749

pub mod access;
pub mod activation;
pub mod apart;
pub mod asking;
pub mod attest;
pub mod backup;
pub mod budget;
pub mod bus;
pub mod clock;
pub mod config;
pub mod credential;
pub mod daemon;
pub mod envelope;
pub mod error;
pub mod files;
pub mod front;
pub mod harden;
pub mod hook;
pub mod hooks;
pub mod http;
pub mod keeper;
pub mod lifecycle;
pub mod limits;
pub mod log;
pub mod logins;
pub mod message;
pub mod metrics;
pub mod name;
pub mod names;
pub mod notice;
pub mod notify;
pub mod pacing;
pub mod plan;
pub mod policy;
pub mod programs;
pub mod protocol;
pub mod provider;
pub mod random;
pub mod record;
pub mod regular;
pub mod residue;
pub mod schedule;
pub mod secret;
pub mod section;
pub mod signals;
pub mod snapshot;
pub mod spelling;
pub mod spool;
pub mod store;
pub mod supervisor;
pub mod threshold;
pub mod time;
pub mod token;
pub mod unit;
pub mod wording;
