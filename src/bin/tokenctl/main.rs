//! `tokenctl`: arguments, one request, the answer printed, an exit status.
//!
//! Reading order: `args` (what can be asked), `verb` (what each verb does), `client` (one
//! request over the socket), `restoring` (what becomes of each account of a backup, decided),
//! `sealed` (backups as files), `print` (what people see), `hint` (what they are told to type),
//! `fault` (why it did not work and with which exit status). A login needs more of a person than any other verb: `person` (the
//! terminal), `typing` (a line on it) and `browser` (which comes back by itself).
//! Files of other programs: `format` (what is in them), `file` (how they lie on the disk) and
//! `wake` (what is waited for beside the daemon). What shells ask on a Tab: `complete`.
//!
//! # Invariants
//!
//! * Standard output carries what was asked for and nothing else; faults go to standard error.
//! * No secret is an argument, and none is printed but by `get` and `export`.
//! * No runtime, no thread and no store: `tokenctl get` is as fast as a process can be. `init` and
//!   `rekey`, which need a store, are handed over to `tokenkeeperd`.

mod args;
mod browser;
mod client;
mod complete;
mod fault;
mod file;
mod find;
mod format;
mod help;
mod hint;
mod input;
mod people;
mod person;
mod print;
mod restoring;
mod sealed;
mod typing;
mod usage;
mod verb;
mod wake;

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::io::IsTerminal as _;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use tokenkeeper::clock;
use tokenkeeper::name::AccountId;
use tokenkeeper::protocol::account::AccountList;

use self::args::Cli;
use self::args::global::Global;
use self::client::Daemon;
use self::client::Request;
use self::complete::Next;
use self::complete::Question;
use self::fault::Fault;
use self::find::Surroundings;
use self::hint::Hints;
use self::print::Form;
use self::print::Notes;
use self::print::Output;
use self::print::Screen;
use self::print::Style;
use self::usage::Mistake;
use self::verb::Session;

fn main() -> ExitCode {
    let arguments = env::args_os().skip(1).collect::<Vec<_>>();
    if let Some(question) = complete::asked(&arguments) {
        return complete(&question);
    }
    let (form, hints, outcome) = match args::parse(&arguments) {
        Ok(cli) => (form(&cli.global), Hints::new(&cli.global.wish()), run(&cli)),
        Err(error) => {
            (asked_form(&arguments), Hints::default(), help_or_mistake(&error, &arguments))
        }
    };
    match outcome {
        Ok(status) => status,
        Err(fault) => {
            if let Some(report) = fault.report(form, &hints, clock::now().wall) {
                // Nobody is left to be told if standard error is closed.
                let _told = io::stderr().write_all(report.as_bytes());
            }
            fault.exit_status().into()
        }
    }
}

/// Tells a shell what may stand next. Whatever fails is as if there were nothing: a message would
/// stand in the middle of what somebody types.
fn complete(question: &Question) -> ExitCode {
    let next = question.next();
    let accounts = match next {
        Next::Account(_) => accounts(&question.list()).unwrap_or_default(),
        Next::Words(_) | Next::File => Vec::new(),
    };
    let _closed = io::stdout().write_all(question.answer(next, &accounts).as_bytes());
    ExitCode::SUCCESS
}

/// The accounts of the daemon that a command line asks.
fn accounts(arguments: &[OsString]) -> Option<Vec<String>> {
    let cli = args::parse(arguments).ok()?;
    let daemon = Daemon::new(find::places(&cli.global.wish(), &surroundings()).ok()?);
    let (list, _) = daemon.fetch::<AccountList>(&Request::get("/v1/accounts")).ok()?;
    // Only what is a name is typed into a shell.
    let names = list.accounts.into_iter().map(|view| view.account);
    Some(names.filter(|name| AccountId::parse(name).is_ok()).collect())
}

fn run(cli: &Cli) -> Result<ExitCode, Fault> {
    let places = find::places(&cli.global.wish(), &surroundings())?;
    let session = Session {
        daemon: Daemon::new(places),
        output: output(&cli.global),
        mode: cli.global.wish().mode(),
    };
    session.run(&cli.verb)
}

/// A page that was asked for is a success; anything else that clap has to say is not.
fn help_or_mistake(error: &clap::Error, arguments: &[OsString]) -> Result<ExitCode, Fault> {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        let page = error.render().to_string();
        io::stdout().write_all(page.as_bytes()).map_err(Fault::Output)?;
        return Ok(ExitCode::SUCCESS);
    }
    Err(Mistake::new(error, arguments).into())
}

const fn form(global: &Global) -> Form {
    if global.json { Form::Json } else { Form::Text }
}

/// How to report that the arguments cannot be read, as far as they can be.
fn asked_form(arguments: &[OsString]) -> Form {
    if arguments.iter().any(|argument| argument == "--json") { Form::Json } else { Form::Text }
}

fn output(global: &Global) -> Output {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .filter_map(env::var_os)
        .find(|locale| !locale.is_empty());
    let no_color = env::var_os("NO_COLOR");
    let screen = Screen {
        terminal: io::stdout().is_terminal(),
        no_color: no_color.as_deref(),
        locale: locale.as_deref(),
    };
    Output {
        form: form(global),
        style: Style::new(global.color, &screen),
        notes: if global.quiet { Notes::Hidden } else { Notes::Shown },
        hints: Hints::new(&global.wish()),
    }
}

fn surroundings() -> Surroundings {
    let runtime_dir = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    Surroundings {
        socket: env::var_os("TOKENKEEPER_SOCKET"),
        runtime_dir: runtime_dir.filter(|path| path.is_absolute() && is_ours(path)),
    }
}

fn is_ours(directory: &Path) -> bool {
    let us = rustix::process::geteuid().as_raw();
    fs::metadata(directory).is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == us)
}
