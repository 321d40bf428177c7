//! The real programs: the daemon and `tokenctl` against providers that misbehave on request, against
//! providers that others wrote, and in their package under systemd. The design calls these layers 2
//! to 4.
//!
//! # Reading order
//!
//! 1. [`support`]: the daemon, the scripted provider and the relay as values.
//! 2. `daemon`: what an operator and a program see of an ordinary day.
//!    `exec`: the same with programs of an operator's in the place of a provider.
//!    `owner`: logins that other programs keep in files.
//!    `hooks`: programs of an operator's that are told what happens.
//!    `raising`: one failure as everyone tells it.
//!    `journal`: what is said in the log, and a log that nobody reads.
//!    `credential`: what the service manager is given for units.
//!    `keys`: the store key in the hands of whoever keeps the host.
//! 3. `corpus`, `waiters`, `crash`: one kind of trouble each, at many accounts at once.
//!    `campaign`: one blow at a time, at every system call; power cuts; state that is gone or old.
//! 4. `services`: Quilt, Navien and Kasa Monitor, with their quirks, and what each says of every
//!    failure.
//! 5. `providers`: against other people's servers. `host`: as a package, under systemd.
//!    `faults`: what programs see while something around the daemon is out of order.
//!    `machine`: the same under a kernel of its own, whose clocks are set and which sleeps.
//!    `fuzzing`: what is read from outside, as no program would write it.
//!    `badinput`: the command line. `hostile`: peers that mean harm.
//!    `leaks`: what is secret, looked for wherever it could show up. `soak`: a long life in a hurry.
//! 6. `architecture`, `units`, `completions`, `packages`: rules about the source text, the manual, the
//!    units, what shells complete and what is packaged.
//!
//! # Invariants
//!
//! * Nothing sleeps: a test waits for a condition that a program reports, with a deadline that is
//!   generous and fails loudly, and time passes by short token lifetimes. The three tests whose subject
//!   is time itself let it pass by a wait for nothing.
//! * Every process belongs to the test that started it and ends with it, by its id.
//! * Everything lies in a temporary directory of the test, mode 0700, so tests run side by side.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "tests start programs, read what they wrote, and fail by panicking"
)]

mod architecture;
mod badinput;
mod bus;
mod campaign;
mod completions;
mod corpus;
mod crash;
mod credential;
mod daemon;
mod exec;
mod faults;
mod fuzzing;
mod hooks;
mod host;
mod hostile;
mod journal;
mod keys;
mod leaks;
mod machine;
mod owner;
mod packages;
mod providers;
mod raising;
mod services;
mod soak;
mod support;
mod units;
mod waiters;
