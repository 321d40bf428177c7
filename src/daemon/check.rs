//! `tokenkeeperd --check`: the configuration, and what it meets on this host, in words.
//!
//! What would end a start ends this with the same error; what would merely not work is a
//! warning, marked as one, before the plan.

use std::fmt::Write as _;

use super::Failure;
use super::Options;
use super::Places;
use super::doubts;
use super::lineup;
use super::state;
use super::state::Flaw;
use super::state::Found;
use crate::attest;
use crate::config::words::plan_in_words;
use crate::names;

/// What a check found.
pub struct Checked {
    /// What the configuration would do, in words, and what would not work.
    pub words: String,
    /// Whether a daemon would start with it, whoever runs it.
    pub starts: bool,
}

/// Reads and checks the configuration, and says in words what it would do.
///
/// # Errors
///
/// Everything that is wrong with it.
pub fn check(options: &Options) -> Result<Checked, Failure> {
    let places = Places::find(options)?;
    let config = places.read()?;
    let proof = attest::proof_of_kernel().map_err(|error| Failure::System("sockets", error))?;
    let mut warnings = doubts::of(&config, &lineup::strangers(&config), proof);
    let found = state::look(&config.daemon.state);
    // Root looks at it for the daemon's user, whom the state directory tells.
    let own = match found {
        Ok(Found::OwnedBy(owner)) => owner,
        Ok(Found::Nothing) | Err(_) => rustix::process::geteuid().as_raw(),
    };
    warnings.extend(doubts::on_disk(&config, own));
    // Whose directory it has to be, and who may make it, is known to the daemon's user alone.
    let starts = !matches!(found, Err(Flaw::Mode { .. } | Flaw::NotADirectory(_)));
    let directory = match found {
        Ok(Found::Nothing) => "is made at the first start".to_owned(),
        Ok(Found::OwnedBy(owner)) => format!("is good for a daemon of {}", names::of_user(owner)),
        Err(flaw) => {
            warnings.push(flaw.to_string());
            "keeps the daemon from starting: see the warning".to_owned()
        }
    };

    let mut text = String::new();
    // Writing into a String cannot fail.
    for warning in &warnings {
        let _written = writeln!(text, "warning: {warning}");
    }
    let path = state::directory(&config.daemon.state).display();
    let _written = writeln!(text, "the state directory {path}\n  {directory}");
    text.push_str(&plan_in_words(&config));
    let _written = writeln!(
        text,
        "{}: {}, {}, {}",
        places.config.display(),
        if starts { "good" } else { "good, but the daemon would not start" },
        counted(config.accounts.len(), "account"),
        counted(warnings.len(), "warning"),
    );
    Ok(Checked { words: text, starts })
}

fn counted(count: usize, what: &str) -> String {
    match count {
        0 => format!("no {what}s"),
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}
