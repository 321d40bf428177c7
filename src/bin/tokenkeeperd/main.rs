//! The daemon: arguments, then [`tokenkeeper::daemon`], then an exit status. And the work on the
//! key of its store, [`key`], for which no daemon may run.

mod key;
mod usage;

use std::alloc::System;
use std::io;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use tokenkeeper::clock;
use tokenkeeper::daemon;
use tokenkeeper::daemon::Options;
use tokenkeeper::log::Log;
use zeroizing_alloc::ZeroAlloc;

use self::key::args::KeyArgs;
use self::key::args::Work;
use self::usage::Mistake;

/// Wipes what is given back. Libraries copy secrets into buffers of their own, where nobody else
/// could: connections, headers, the growing texts of a parser.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

/// Keeps the tokens of all configured accounts fresh, and hands them to local programs.
///
/// It reads /etc/tokenkeeper/config.toml and config.d/*.toml beside it, refreshes every
/// account before its token expires, and answers on /run/tokenkeeper/api.sock; tokenctl is
/// the program that asks there. SIGHUP reads the configuration again, SIGTERM ends it
/// once nothing is under way that could be lost.
#[derive(Parser)]
#[command(
    name = "tokenkeeperd",
    version,
    after_help = "Exit status: 0 after a signal, the configuration is good (--check), or the key lies where \
                  it belongs (--init, --rekey); 2 wrong command line, or no store (--rekey); 71 the system \
                  or systemd-creds refused something; 74 the disk failed; 75 another daemon owns the store \
                  or the socket; 77 not root, nor the store's owner (--init, --rekey); 78 the configuration, \
                  the state directory or the store key is wrong."
)]
struct Arguments {
    /// Read FILE instead of the usual configuration, and *.toml in the directory that is called
    /// like FILE with the ending .d (beside /srv/tk.toml that is /srv/tk.d; it need not exist)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Check the configuration, say in words what it would do, and end
    #[arg(long, group = "order")]
    check: bool,
    /// Run for one user, with that user's directories
    #[arg(long)]
    user: bool,
    #[command(flatten)]
    key: KeyArgs,
}

/// The system refused something; sysexits.h.
const OS_ERROR: u8 = 71;

#[expect(clippy::print_stderr, reason = "this is where the process talks to whoever called it")]
fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(page) if is_page(&page) => {
            return said(&page.render().to_string());
        }
        Err(error) => {
            eprintln!("tokenkeeperd: {}", Mistake::from(&error));
            return ExitCode::from(usage::EXIT_STATUS);
        }
    };
    let options = Options { config: arguments.config, user: arguments.user };
    if let Some(work) = arguments.key.work() {
        return work_on_key(work, &options, &arguments.key);
    }
    if arguments.check {
        return match daemon::check::check(&options) {
            Ok(checked) => {
                let status = said(&checked.words);
                if checked.starts { status } else { ExitCode::from(WOULD_NOT_START) }
            }
            Err(failure) => {
                eprintln!("tokenkeeperd: {failure}");
                ExitCode::from(failure.exit_status())
            }
        };
    }
    match Log::start() {
        Ok(log) => keep(&options, &log),
        Err(error) => {
            eprintln!("tokenkeeperd: log thread: {error}");
            ExitCode::from(OS_ERROR)
        }
    }
}

#[expect(clippy::print_stderr, reason = "this is where the process talks to whoever called it")]
fn work_on_key(work: Work, options: &Options, args: &KeyArgs) -> ExitCode {
    match key::run(work, options, args) {
        Ok(told) => said(&told),
        Err(error) => {
            let report = if args.json { error.json(clock::now().wall) } else { error.text() };
            eprintln!("{report}");
            ExitCode::from(error.exit_status())
        }
    }
}

/// Runs until a signal ends it. From here on nothing but the log writes to standard error,
/// which may be read slowly or not at all.
fn keep(options: &Options, log: &Log) -> ExitCode {
    match daemon::run(options, log) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            log.refuse(&failure.to_string());
            ExitCode::from(failure.exit_status())
        }
    }
}

/// Of a check that finds what would end a start: `EX_CONFIG`, as the start would say.
const WOULD_NOT_START: u8 = 78;

/// Prints what was asked for. A reader that has seen enough is no reason to speak of.
fn said(text: &str) -> ExitCode {
    /// What the shell reports of a filter that SIGPIPE ended.
    const BROKEN_PIPE: u8 = 141;
    const CANNOT_WRITE: u8 = 74;

    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::from(BROKEN_PIPE),
        Err(_) => ExitCode::from(CANNOT_WRITE),
    }
}

/// A page that was asked for is no mistake.
fn is_page(error: &clap::Error) -> bool {
    matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion)
}
