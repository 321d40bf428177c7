//! Why a command did not do what it was asked: one type for every verb.
//!
//! A fault is said on standard error, as `tokenctl: MESSAGE` or, with `--json`, as one
//! line of JSON in the shape of the daemon's own errors; standard output belongs to what
//! was asked for, since `$(tokenctl get mail)` must never capture an error. The exit
//! status of what the daemon refuses is [`Code::exit_status`](tokenkeeper::error::code::Code);
//! the rest follows sysexits.h.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use tokenkeeper::error::code::Code;
use tokenkeeper::error::code::Remedy;
use tokenkeeper::error::foreign::shown;
use tokenkeeper::protocol::error::ErrorBody;
use tokenkeeper::time::Timestamp;
use tokenkeeper::time::spoken;

use crate::client::Unreachable;
use crate::client::reply::Garbled;
use crate::file::FileError;
use crate::find::NoRuntimeDir;
use crate::find::Place;
use crate::hint::Hints;
use crate::input::InputError;
use crate::people::NobodyKnown;
use crate::print::Form;
use crate::sealed::SealedError;
use crate::usage::Mistake;
use crate::verb::key::NoProgram;

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The command line is wrong.
    #[error("{0}")]
    Usage(#[from] Mistake),
    /// A file or the standard input is not what the verb needs.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A backup that is none, or cannot be opened or written.
    #[error(transparent)]
    Sealed(#[from] SealedError),
    /// There is nobody to work on the store key.
    #[error(transparent)]
    NoProgram(#[from] NoProgram),
    /// A file of another program cannot be kept.
    #[error(transparent)]
    File(#[from] FileError),
    /// A user or group that the host does not know.
    #[error(transparent)]
    Nobody(#[from] NobodyKnown),
    /// `--user` without a session.
    #[error(transparent)]
    NoRuntimeDir(#[from] NoRuntimeDir),
    /// No daemon answers.
    #[error(transparent)]
    NoDaemon(#[from] Unreachable),
    /// Something answers that does not speak as the daemon does.
    #[error("{}: not an answer of tokenkeeperd: {why}", .socket.display())]
    NotTheDaemon {
        /// Where.
        socket: PathBuf,
        /// What is wrong with the answer.
        why: Garbled,
    },
    /// The connection ended before an answer began.
    #[error(
        "{}: the daemon went away before it answered; whether it did what was asked is not known. \
         If it does not come back, \"{}\" says why", .place.path.display(), .place.status_command()
    )]
    WentAway {
        /// Where.
        place: Place,
    },
    /// The daemon took the request and said nothing for too long.
    #[error(
        "{}: the daemon did not answer within {}; \
         \"{}\" says how it is", .place.path.display(), spoken(*.waited), .place.status_command()
    )]
    Silent {
        /// Where.
        place: Place,
        /// How long.
        waited: Duration,
    },
    /// The daemon refuses.
    #[error("{}", body.message)]
    Refused {
        /// What it said.
        body: Box<ErrorBody>,
        /// A name that the caller may have meant.
        nearest: Option<String>,
    },
    /// The daemon refuses with a code that this program does not know: it is newer.
    #[error("{message} ({code}; the daemon is newer than this tokenctl)")]
    RefusedAnew {
        /// What it said.
        message: String,
        /// Its code.
        code: String,
    },
    /// `wait` is over and there is no token.
    #[error("no token of {account} within {}{}", spoken(*.waited), last(.why.as_deref()))]
    WaitedInVain {
        /// The account.
        account: String,
        /// How long.
        waited: Duration,
        /// The last thing that stood in the way.
        why: Option<Box<Self>>,
    },
    /// The person thought better of it, or the program was told to end.
    #[error("the login was cancelled; nothing has changed")]
    Interrupted,
    /// The output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(io::Error),
}

fn last(why: Option<&Fault>) -> String {
    why.map(|fault| format!(": {fault}")).unwrap_or_default()
}

impl Fault {
    /// Whether no daemon answered, or not to the end: it may be on its way.
    pub(crate) const fn is_silence(&self) -> bool {
        match self {
            Self::NoDaemon(_)
            | Self::WentAway { .. }
            | Self::NotTheDaemon { .. }
            | Self::Silent { .. } => true,
            Self::Refused { .. }
            | Self::RefusedAnew { .. }
            | Self::Usage(_)
            | Self::Input(_)
            | Self::File(_)
            | Self::Sealed(_)
            | Self::NoProgram(_)
            | Self::Nobody(_)
            | Self::NoRuntimeDir(_)
            | Self::WaitedInVain { .. }
            | Self::Interrupted
            | Self::Output(_) => false,
        }
    }

    /// Exit status of the process.
    pub(crate) fn exit_status(&self) -> u8 {
        match self {
            // As [`Self::Interrupted`].
            Self::Input(InputError::Aborted) => 130,
            Self::Usage(_) | Self::Input(_) | Self::Nobody(_) | Self::NoRuntimeDir(_) => {
                Code::BadRequest.exit_status()
            }
            Self::Sealed(why) => why.exit_status(),
            // EX_OSERR of sysexits.h.
            Self::NoProgram(_) => 71,
            Self::File(error) if error.is_input() => Code::BadRequest.exit_status(),
            Self::NoDaemon(_) | Self::WentAway { .. } => 69,
            Self::NotTheDaemon { .. } | Self::RefusedAnew { .. } => Code::Internal.exit_status(),
            Self::Silent { .. } | Self::WaitedInVain { .. } => Code::RefreshPending.exit_status(),
            Self::Refused { body, .. } => body.error_code.exit_status(),
            // What the shell reports of a program that SIGINT ended.
            Self::Interrupted => 130,
            // What the shell reports of a filter that SIGPIPE ended.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => 141,
            Self::File(_) | Self::Output(_) => 74,
        }
    }

    /// What to write to standard error, the last newline included; nothing when the reader
    /// of the output has gone away.
    pub(crate) fn report(&self, form: Form, hints: &Hints, now: Timestamp) -> Option<String> {
        if matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe) {
            return None;
        }
        Some(match form {
            Form::Json => format!("{}\n", shown(&self.json(now))),
            // What is said of the command line names the pages of its help.
            Form::Text if matches!(self, Self::Usage(_)) => self.text(),
            Form::Text => hints.complete(&self.text()).into_owned(),
        })
    }

    fn text(&self) -> String {
        if let Self::Refused { body, .. } = self
            && body.error_code == Code::ConfigInvalid
        {
            // One line per error of the configuration, ready for an editor to jump to.
            return body.message.lines().map(|line| format!("{}\n", shown(line))).collect();
        }
        let mut text = format!("tokenctl: {}\n", shown(&self.to_string()));
        if let Self::Refused { nearest: Some(nearest), .. } = self {
            text.push_str(&format!("tokenctl: did you mean \"{}\"?\n", shown(nearest)));
        }
        text
    }

    fn json(&self, now: Timestamp) -> String {
        let rendered = match self {
            Self::Refused { body, .. } => serde_json::to_string(body),
            Self::Usage(_)
            | Self::Input(_)
            | Self::Sealed(_)
            | Self::NoProgram(_)
            | Self::File(_)
            | Self::Nobody(_)
            | Self::NoRuntimeDir(_)
            | Self::NoDaemon(_)
            | Self::WentAway { .. }
            | Self::NotTheDaemon { .. }
            | Self::Silent { .. }
            | Self::RefusedAnew { .. }
            | Self::WaitedInVain { .. }
            | Self::Interrupted
            | Self::Output(_) => serde_json::to_string(&self.local(now)),
        };
        // Structs of strings always have a JSON form.
        rendered.unwrap_or_default()
    }

    /// In the daemon's shape, what the daemon did not say itself.
    fn local(&self, now: Timestamp) -> LocalBody {
        let (error_code, remedy) = match self {
            Self::RefusedAnew { code, .. } => (code.as_str(), Remedy::Wait),
            Self::NoDaemon(_) | Self::WentAway { .. } => ("NO_DAEMON", Remedy::Wait),
            Self::NotTheDaemon { .. } | Self::Output(_) => (Code::Internal.as_str(), Remedy::Wait),
            Self::Silent { .. } | Self::WaitedInVain { .. } => {
                (Code::RefreshPending.as_str(), Remedy::Wait)
            }
            Self::NoProgram(_) => (Code::Internal.as_str(), Remedy::Reconfigure),
            Self::Usage(_)
            | Self::Input(_)
            | Self::Sealed(_)
            | Self::File(_)
            | Self::Nobody(_)
            | Self::NoRuntimeDir(_)
            | Self::Interrupted
            | Self::Refused { .. } => (Code::BadRequest.as_str(), Remedy::ChangeRequest),
        };
        LocalBody {
            error: "tokenctl",
            message: self.to_string(),
            error_code: error_code.into(),
            timestamp: now.to_string(),
            remedy: remedy.as_str(),
        }
    }
}

/// What [`ErrorBody`] is for the daemon. Its code may be one that the daemon has no use for.
#[derive(Serialize)]
struct LocalBody {
    error: &'static str,
    message: String,
    error_code: String,
    timestamp: String,
    remedy: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::find::Origin;
    use crate::find::Wish;

    #[test]
    fn a_closed_pipe_is_silent_and_not_a_success() {
        let fault = Fault::Output(io::ErrorKind::BrokenPipe.into());
        assert_eq!(fault.report(Form::Text, &Hints::default(), NOW), None);
        assert_eq!(fault.report(Form::Json, &Hints::default(), NOW), None);
        assert_eq!(fault.exit_status(), 141);
    }

    #[test]
    fn a_refusal_exits_as_its_code_says() {
        for code in Code::ALL {
            assert_eq!(refused(*code, "no").exit_status(), code.exit_status());
        }
    }

    #[test]
    fn a_refusal_is_told_with_the_name_that_was_perhaps_meant() {
        let mut fault = refused(Code::AccountUnknown, "there is no account \"mial\"");
        if let Fault::Refused { nearest, .. } = &mut fault {
            *nearest = Some("mail".into());
        }
        insta::assert_snapshot!(fault.report(Form::Text, &Hints::default(), NOW).unwrap(), @r#"
        tokenctl: there is no account "mial"
        tokenctl: did you mean "mail"?
        "#);
    }

    #[test]
    fn errors_of_the_configuration_are_printed_as_they_are() {
        let fault = refused(Code::ConfigInvalid, "a.toml:1:2: one\nb.toml:3:4: \u{1b}[2Jtwo");
        insta::assert_snapshot!(fault.report(Form::Text, &Hints::default(), NOW).unwrap(), @r"
        a.toml:1:2: one
        b.toml:3:4: \u{1b}[2Jtwo
        ");
    }

    #[test]
    fn json_errors_have_the_shape_of_the_daemons() {
        let fault = refused(Code::NeedsLogin, "log in");
        insta::assert_snapshot!(fault.report(Form::Json, &Hints::default(), NOW).unwrap(), @r#"{"error":"needs_login","message":"log in","error_code":"NEEDS_LOGIN","timestamp":"2023-11-14T22:13:20Z","account":"mail","remedy":"wait"}"#);
        let fault = Fault::NoRuntimeDir(NoRuntimeDir);
        insta::assert_snapshot!(fault.report(Form::Json, &Hints::default(), NOW).unwrap(), @r#"{"error":"tokenctl","message":"--user needs XDG_RUNTIME_DIR, and it is not set to a directory of yours; log in through systemd-logind, or say --socket PATH","error_code":"BAD_REQUEST","timestamp":"2023-11-14T22:13:20Z","remedy":"change_request"}"#);
    }

    #[test]
    fn people_are_told_commands_that_reach_the_daemon_that_refused() {
        let hints = Hints::new(&Wish::Socket("/s".into()));
        let fault = refused(Code::NeedsLogin, "account mail: type: tokenctl login mail");
        let told = fault.report(Form::Text, &hints, NOW).unwrap();
        assert_eq!(told, "tokenctl: account mail: type: tokenctl --socket /s login mail\n");
        let json = fault.report(Form::Json, &hints, NOW).unwrap();
        assert!(json.contains("type: tokenctl login mail\""), "{json}");
    }

    #[test]
    fn a_users_daemon_that_is_silent_is_looked_for_under_that_users_manager() {
        let told =
            |origin| Fault::WentAway { place: Place { path: "/s".into(), origin } }.to_string();
        assert!(told(Origin::User).ends_with("\"systemctl --user status tokenkeeper\" says why"));
        assert!(told(Origin::System).ends_with("\"systemctl status tokenkeeper\" says why"));
    }

    #[test]
    fn a_wait_in_vain_says_what_stood_in_the_way() {
        let fault = Fault::WaitedInVain {
            account: "mail".into(),
            waited: Duration::from_secs(60),
            why: Some(Box::new(refused(Code::ProviderUnreachable, "provider unreachable"))),
        };
        assert_eq!(fault.to_string(), "no token of mail within 1 min: provider unreachable");
        assert_eq!(fault.exit_status(), 75);
    }

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn refused(code: Code, message: &str) -> Fault {
        let body = ErrorBody {
            error: "needs_login".into(),
            message: message.into(),
            error_code: code,
            timestamp: NOW.to_string(),
            account: Some("mail".into()),
            retry_at: None,
            remedy: Remedy::Wait,
            provider_error: None,
        };
        Fault::Refused { body: Box::new(body), nearest: None }
    }
}
