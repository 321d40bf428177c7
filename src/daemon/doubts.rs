//! What would not work of a configuration that is good: the warnings of `tokenkeeperd --check`, of
//! `tokenctl config check` and of a reload, which are the same ones.
//!
//! What is looked for on the host is in [`super::absent`]. A file may lie on a network that is gone,
//! so a daemon that runs has it looked for on a thread of its own, and for a while only.

use std::path::Path;
use std::time::Duration;

use super::absent;
use super::absent::Absent;
use super::lineup::Stranger;
use super::weak::useless_rules;
use crate::apart::Apart;
use crate::config::Config;
use crate::unit::Proof;

/// Where files and programs are looked for.
static LOOKING: Apart = Apart::new("look", 1);

/// Longest that a reload waits for that: local disks answer in milliseconds.
const LONGEST: Duration = Duration::from_secs(2);

/// What is known without the file system: what the configuration's reader doubts, names that mean
/// nobody here, and rules that this kernel is too old for.
pub(super) fn of(config: &Config, strangers: &[Stranger], proof: Proof) -> Vec<String> {
    let read = config.warnings.iter().map(ToString::to_string);
    let strangers = strangers.iter().map(ToString::to_string);
    read.chain(strangers).chain(useless_rules(config, proof).map(|rule| rule.to_string())).collect()
}

/// What the file system shows to a daemon of the user `own`.
pub(super) fn on_disk(config: &Config, own: u32) -> Vec<String> {
    in_words(&absent::look(absent::named(config), own))
}

/// The same, for a daemon that must not hang.
pub(super) async fn on_disk_in_time(config: &Config, own: u32) -> Vec<String> {
    let named = absent::named(config);
    match LOOKING.run(Path::new("/"), LONGEST, move || absent::look(named, own)).await {
        Ok(absent) => in_words(&absent),
        Err(undone) => {
            vec![format!("whether everything is there that it names is not known: {undone}")]
        }
    }
}

fn in_words(absent: &[Absent]) -> Vec<String> {
    absent.iter().map(ToString::to_string).collect()
}
