//! The daemon: arguments, then [`tokenkeeper::daemon`], then an exit status.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use tokenkeeper::daemon;
use tokenkeeper::daemon::Options;

/// Keeps the tokens of all configured accounts fresh, and hands them to local programs.
///
/// It reads /etc/tokenkeeper/config.toml and config.d/*.toml beside it, refreshes every
/// account before its token expires, and answers on /run/tokenkeeper/api.sock; tokenctl is
/// the program that asks there. SIGHUP reads the configuration again, SIGTERM ends it
/// once nothing is under way that could be lost.
#[derive(Parser)]
#[command(
    version,
    after_help = "Exit status: 0 after a signal, 71 the system refused something, 74 the disk failed, 75 \
                  another daemon owns the store or the socket, 78 the configuration or the store key is wrong."
)]
struct Arguments {
    /// Configuration to read instead of the usual one; drop-ins are read from FILE's name ending in .d
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Check the configuration, say in words what it would do, and end
    #[arg(long)]
    check: bool,
    /// Run for one user, with that user's directories
    #[arg(long)]
    user: bool,
}

#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is where the process talks to whoever called it"
)]
fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let options = Options { config: arguments.config, user: arguments.user };
    let ended = if arguments.check {
        daemon::check(&options).map(|words| print!("{words}"))
    } else {
        daemon::run(&options)
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("tokenkeeperd: {failure}");
            ExitCode::from(failure.exit_status())
        }
    }
}
