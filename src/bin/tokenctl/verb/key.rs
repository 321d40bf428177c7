//! `init` and `rekey`: handed to `tokenkeeperd`, which can open a store. No daemon is asked.
//!
//! # Invariants
//!
//! * `PATH` is not asked for the program: root would run what somebody else put there. It is
//!   beside this one, or where the package puts it.
//! * This process becomes that program: what it prints, its exit status and the signals it gets
//!   are its own.

use std::env;
use std::ffi::OsStr;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;

use tokenkeeper::section::Mode;

use super::Session;
use crate::args::key::KeyArgs;
use crate::print::Form;
use crate::print::Notes;

/// Where the package puts it.
const PACKAGED: &str = "/usr/bin/tokenkeeperd";

/// The program that works on the store key cannot be run.
#[derive(Debug, thiserror::Error)]
#[error("{}, which works on the store key, cannot be run: {error}", .program.display())]
pub(crate) struct NoProgram {
    program: PathBuf,
    error: io::Error,
}

/// Becomes the program that works on the store key, with `order` and what it says. Returns if
/// that cannot be.
#[allow(
    clippy::disallowed_methods,
    reason = "this process becomes the program, and so there is nothing to outlive or to await"
)]
pub(super) fn hand_over(session: &Session, order: &str, args: &KeyArgs) -> NoProgram {
    let own = env::current_exe().ok();
    let program = beside(own.as_deref());
    let mut command = Command::new(&program);
    command.arg(order).args(options(session.mode, session.output.form, args));
    if session.output.notes == Notes::Hidden {
        command.stdout(Stdio::null());
    }
    let error = command.exec();
    NoProgram { program, error }
}

/// The daemon's program, for this one at `own`.
fn beside(own: Option<&Path>) -> PathBuf {
    let beside = own.map(|own| own.with_file_name("tokenkeeperd"));
    beside.filter(|program| program.is_file()).unwrap_or_else(|| PACKAGED.into())
}

/// What was typed, as options of that program. Values stand behind "=", where one that begins with
/// "-" is no option.
fn options(mode: Mode, form: Form, args: &KeyArgs) -> Vec<OsString> {
    let KeyArgs { config, recipients, recovery, dry_run } = args;
    let flags =
        [(mode == Mode::User, "--user"), (form == Form::Json, "--json"), (*dry_run, "--dry-run")];
    let flags = flags.into_iter().filter(|(set, _)| *set).map(|(_, flag)| flag.into());
    let config = config.iter().map(|file| valued("--config=", file.as_os_str()));
    let recipients = recipients.iter().map(|text| valued("--recovery-recipient=", text.as_ref()));
    let recovery = recovery.iter().map(|file| valued("--recovery-output=", file.as_os_str()));
    flags.chain(config).chain(recipients).chain(recovery).collect()
}

fn valued(name: &str, value: &OsStr) -> OsString {
    let mut option = OsString::from(name);
    option.push(value);
    option
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_the_one_beside_or_that_of_the_package_and_no_other() {
        let home = tempfile::tempdir().unwrap();
        let own = home.path().join("tokenctl");
        let daemon = home.path().join("tokenkeeperd");
        assert_eq!(beside(Some(&own)), Path::new(PACKAGED));
        std::fs::create_dir(&daemon).unwrap();
        assert_eq!(beside(Some(&own)), Path::new(PACKAGED));
        std::fs::remove_dir(&daemon).unwrap();
        std::fs::File::create(&daemon).unwrap();
        assert_eq!(beside(Some(&own)), daemon);
        assert_eq!(beside(None), Path::new(PACKAGED));
    }

    #[test]
    fn everything_that_was_typed_is_handed_over() {
        let bare = KeyArgs { config: None, recipients: vec![], recovery: None, dry_run: false };
        assert_eq!(options(Mode::System, Form::Text, &bare), Vec::<OsString>::new());
        let full = KeyArgs {
            config: Some("-c.toml".into()),
            recipients: vec!["age1one".into(), "-two".into()],
            recovery: Some("key.age".into()),
            dry_run: true,
        };
        let expected = [
            "--user",
            "--json",
            "--dry-run",
            "--config=-c.toml",
            "--recovery-recipient=age1one",
            "--recovery-recipient=-two",
            "--recovery-output=key.age",
        ];
        assert_eq!(options(Mode::User, Form::Json, &full), expected.map(OsString::from));
    }
}
