//! Keeps OAuth 2.0 access tokens fresh and hands them to local programs.
pub mod access;
pub mod clock;
pub mod error;
pub mod keeper;
pub mod name;
pub mod notice;
pub mod plan;
pub mod protocol;
pub mod provider;
pub mod record;
pub mod schedule;
pub mod section;
pub mod snapshot;
pub mod time;
pub mod token;
