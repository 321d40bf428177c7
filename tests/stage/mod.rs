//! A daemon and a scripted provider as child processes, for the demo and the benchmarks.
//!
//! Reading order: [`process`] (what starts, and how it surely ends), [`idp`] and [`daemon`]
//! (the two programs), [`trouble`] (what can go wrong).
//!
//! # Invariants
//!
//! * A process that was started is ended by its id and waited for, on every way out.
//! * Nothing is waited for by time alone: a line, a datagram or the end of the process comes
//!   first, and a limit only turns a silence into an error.

pub(crate) mod daemon;
pub(crate) mod idp;
pub(crate) mod process;
pub(crate) mod trouble;
