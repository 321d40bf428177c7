//! What each verb does: ask the daemon, print the answer.

mod adopt;
mod backup;
mod change;
mod daemon;
mod email;
mod export;
mod follow;
mod get;
mod keep;
pub(crate) mod key;
mod leave;
mod left;
mod login;
mod restore;
mod show;
mod wait;
mod watch;

use std::process::ExitCode;
use std::time::Duration;

use tokenkeeper::error::code::Code;
use tokenkeeper::name::AccountId;
use tokenkeeper::protocol::account::AccountList;
use tokenkeeper::section::Mode;
use tokenkeeper::spelling::nearest;

use crate::args::Verb;
use crate::args::admin::ConfigVerb;
use crate::args::admin::SecretVerb;
use crate::client::Daemon;
use crate::client::Request;
use crate::fault::Fault;
use crate::print::Output;

/// What a verb works with.
pub(crate) struct Session {
    /// Whom to ask.
    pub(crate) daemon: Daemon,
    /// Where to print.
    pub(crate) output: Output,
    /// Whose daemon it is, for what is done beside it.
    pub(crate) mode: Mode,
}

impl Session {
    /// Does what `verb` says.
    ///
    /// # Errors
    ///
    /// Whatever kept it from being done.
    pub(crate) fn run(&self, verb: &Verb) -> Result<ExitCode, Fault> {
        // A purge is of an account that is not configured, and those are not listed.
        let account = verb.account().filter(|_| !matches!(verb, Verb::Purge(_)));
        self.dispatch(verb).map_err(|fault| self.with_nearest(fault, account))
    }

    fn dispatch(&self, verb: &Verb) -> Result<ExitCode, Fault> {
        match verb {
            Verb::Get(args) => get::get(self, args)?,
            Verb::Wait(args) => wait::wait(self, args)?,
            Verb::Refresh(args) => change::refresh(self, &args.account)?,
            Verb::Report(args) => change::report(self, args)?,
            Verb::List => show::list(self)?,
            Verb::Status { account } => show::status(self, account.as_ref())?,
            Verb::Why(args) => show::why(self, &args.account)?,
            Verb::Watch { accounts } => watch::watch(self, accounts)?,
            Verb::Follow(args) => follow::follow(self, args)?,
            Verb::Export(args) => export::export(self, args)?,
            Verb::Adopt(args) => adopt::adopt(self, args)?,
            Verb::Handover(args) => export::hand_over(self, args)?,
            Verb::Whoami => show::whoami(self)?,
            Verb::Access(args) => show::access(self, args)?,
            Verb::Login(args) => login::login(self, args)?,
            Verb::Logout(args) => leave::logout(self, args)?,
            Verb::Sessions(args) => leave::sessions(self, args)?,
            Verb::Import(args) => change::import(self, args)?,
            Verb::Secret { verb: SecretVerb::Set { slot, file, literal } } => {
                change::set_secret(self, slot, file.as_deref(), literal.as_deref())?;
            }
            Verb::Secret { verb: SecretVerb::Forget { slot } } => {
                change::forget_secret(self, slot)?;
            }
            Verb::Pause(args) => change::order(self, &args.account, "pause")?,
            Verb::Resume(args) => change::order(self, &args.account, "resume")?,
            Verb::Retry(args) => change::order(self, &args.account, "retry")?,
            Verb::Purge(args) => change::order(self, &args.account, "purge")?,
            Verb::Backup(args) => backup::backup(self, args)?,
            Verb::Restore(args) => return restore::restore(self, args),
            Verb::Init(args) => return Err(key::hand_over(self, "--init", args).into()),
            Verb::Rekey(args) => return Err(key::hand_over(self, "--rekey", args).into()),
            Verb::Doctor => return daemon::doctor(self),
            Verb::Config { verb: ConfigVerb::Check } => daemon::check(self)?,
            Verb::Reload => daemon::reload(self)?,
        }
        Ok(ExitCode::SUCCESS)
    }

    /// A refusal of an account's name gains the name that was perhaps meant, out of those
    /// that the caller may see anyway.
    fn with_nearest(&self, fault: Fault, account: Option<&AccountId>) -> Fault {
        let Fault::Refused { body, nearest: None } = fault else { return fault };
        let about_a_name =
            matches!(body.error_code, Code::AccountUnknown | Code::InsufficientPermissions);
        let nearest = account.filter(|_| about_a_name).and_then(|account| self.nearest_to(account));
        Fault::Refused { body, nearest }
    }

    fn nearest_to(&self, account: &AccountId) -> Option<String> {
        let (list, _) = self.daemon.fetch::<AccountList>(&Request::get("/v1/accounts")).ok()?;
        let names = list.accounts.iter().map(|view| view.account.as_str());
        // A name that is there was no slip: what was refused is the right.
        nearest(account.as_str(), names).filter(|name| *name != account.as_str()).map(str::to_owned)
    }
}

/// Where an account's requests go.
fn of(account: &AccountId, what: &str) -> String {
    format!("/v1/accounts/{account}{what}")
}

/// Lets some time pass before a daemon that is not there is tried again.
#[allow(
    clippy::disallowed_methods,
    reason = "there is no event to wait for: the socket's directory may not be there either"
)]
fn breathe(at_most: Duration) {
    const PAUSE: Duration = Duration::from_millis(250);
    std::thread::sleep(PAUSE.min(at_most));
}
