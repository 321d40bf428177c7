//! The front as its peers see it: raw requests over a real socket, and what comes back.
//!
//! Behind it is no mock but the channels that a supervisor would hold: a test publishes
//! snapshots, answers orders and tells notices by hand. Time is paused and moves only when
//! everybody waits. See [`world`] for what there is.

mod access;
mod backup;
mod ends;
mod events;
mod limits;
mod login;
mod orders;
mod token;
mod units;
pub(super) mod world;
mod wrong;
