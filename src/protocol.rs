//! What goes over the Unix socket, as the daemon writes it and `tokenctl` reads it.
//!
//! The document of record is the OpenAPI text at `/v1/openapi.json`, generated from
//! these types. Spans are whole seconds and say so in their names; times are RFC 3339
//! in UTC. Fields are only ever added.
//!
//! Reading order: `account` (a token, and how its account stands), `error`, `login`, `event`,
//! `daemon` (what is no account's).

pub mod account;
pub mod daemon;
pub mod error;
pub mod event;
pub mod login;
