//! The built package under a real systemd: layer 4 of the design.
//!
//! `tests/run host` makes the trees and the package and says where they are in the environment;
//! without that these tests are skipped, which CI forbids. Each test boots a machine of its own
//! from each tree, installs the package in it, and ends it.
//!
//! # Reading order
//!
//! 1. [`machine`]: a booted container as a value. [`scene`]: the package in it, an account and its
//!    provider.
//! 2. `install`: from the fresh package to the first token, and all of it away again.
//! 3. `config`: what `systemctl` says of a wrong configuration.
//! 4. `gap`: restarts, upgrades and kills under load.
//! 5. `bus`: the system's message bus, its policy, its way to start the daemon, and polkit.
//! 6. `journal`: what the host's journal has of the daemon.
//!    `life`: the whole life of an account in it, and one failure wherever it is to be seen.
//! 7. `key`: the store key as a sealed credential.
//! 8. `sandbox`: that the unit is closed, and that all that the daemon needs works inside it.
//! 9. `user`: the service of one user, under that user's own service manager. `session`: in that user's
//!    sessions, on that user's own bus. [`pat`]: the user.
//! 10. `hooks`: hooks that are units, event files, and what follows a followed file.
//! 11. `unsaved`: what a disk that takes nothing costs over kills and restarts.
//! 12. `who`: users, groups and units, at every door, as one table. `recycled`: a peer whose number
//!     another process has by now.
//! 13. `credential`: `LoadCredential=` of units, and those who would like to be systemd.
//! 14. `faults`: what is seen while something around the daemon is out of order, row by row.
//! 15. `packages`: what is in the built packages. `rpm`: the other one of them in a machine.
//!
//! # Invariants
//!
//! * The machine has a network of its own in which there is nothing but loopback. The thread of a
//!   test joins it, so that the scripted provider of the other layers serves here as it does there.
//! * Nothing in a tree changes: what a machine writes is gone with it.

mod bus;
mod config;
mod credential;
mod faults;
mod gap;
mod hooks;
mod install;
mod journal;
mod key;
mod life;
mod machine;
mod packages;
mod pat;
mod recycled;
mod rpm;
mod sandbox;
mod scene;
mod session;
mod unsaved;
mod user;
mod who;

use std::env;
use std::panic::resume_unwind;
use std::path::Path;
use std::path::PathBuf;
use std::thread;

use crate::support::skipped;

use self::machine::Machine;

/// Runs a test in a machine of each tree, one after the other.
fn on_each(test: impl Fn(&Machine, &Path) + Sync) {
    let Some((trees, package)) = built() else {
        skipped("no package and no trees: tests/run host makes them");
        return;
    };
    for tree in &trees {
        // A thread of its own, because it stays in the machine's network.
        let run = || {
            let machine = Machine::boot(tree);
            machine.join_network();
            test(&machine, &package);
        };
        let ended = thread::scope(|scope| scope.spawn(run).join());
        if let Err(panic) = ended {
            eprintln!("that was in {}", tree.display());
            resume_unwind(panic);
        }
    }
}

/// What `tests/run` made: trees, with a colon between two, and the package.
fn built() -> Option<(Vec<PathBuf>, PathBuf)> {
    let trees = env::var_os("TOKENKEEPER_TEST_TREES")?;
    let package = env::var_os("TOKENKEEPER_TEST_PACKAGE")?;
    Some((env::split_paths(&trees).collect(), package.into()))
}
