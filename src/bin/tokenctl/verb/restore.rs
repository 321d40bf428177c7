//! `restore`: the accounts of a backup, handed in one after the other.
//!
//! The first one is the canary: until it is proven, no other is touched. Each account is
//! told of as soon as it is done, and nothing is kept between two runs: what a run that was
//! interrupted has done, the next one finds newer here than in the backup and leaves alone.

use std::process::ExitCode;

use tokenkeeper::backup::Kept;
use tokenkeeper::keeper::Over;
use tokenkeeper::name::AccountId;
use tokenkeeper::protocol::AccountList;
use tokenkeeper::protocol::DoneAnswer;
use tokenkeeper::record::Hold;
use tokenkeeper::token::Secret;

use super::Session;
use super::change::import_request;
use super::change::secret_request;
use super::of;
use crate::args::admin::RestoreArgs;
use crate::args::value::Slot;
use crate::client::Request;
use crate::fault::Fault;
use crate::input;
use crate::print::Form;
use crate::print::backup::Outcome;
use crate::print::backup::Told;
use crate::print::backup::line;
use crate::restoring::Overrule;
use crate::restoring::Plan;
use crate::restoring::plan;
use crate::sealed;
use crate::sealed::SealedError;

/// Restores accounts.
pub(super) fn restore(session: &Session, args: &RestoreArgs) -> Result<ExitCode, Fault> {
    let given = input::secret(Some(&args.identity), "Identity")?;
    if let Some(exposed) = &given.warning {
        session.output.warn(&exposed.to_string());
    }
    let backup = sealed::open(&args.file, &args.identity, &given.secret)?;
    let known = |account: &AccountId| backup.accounts.iter().any(|kept| kept.account == *account);
    if let Some(absent) = args.accounts.iter().find(|account| !known(account)) {
        let (path, account) = (args.file.clone(), absent.to_string());
        return Err(SealedError::Absent { path, account }.into());
    }
    let (list, _) = session.daemon.fetch::<AccountList>(&Request::get("/v1/accounts"))?;
    let overrule = if args.force { Overrule::Yes } else { Overrule::No };
    let plan = plan(&backup, &args.accounts, &list.accounts, overrule);

    for (kept, left) in &plan.left {
        tell(session, kept, Outcome::LeftAlone, left.to_string())?;
    }
    if args.dry_run {
        foretell(session, &plan)?;
        return Ok(ExitCode::SUCCESS);
    }
    Run { session, overrule, status: 0 }.through(&plan)
}

/// Says what a real run would do.
fn foretell(session: &Session, plan: &Plan<'_>) -> Result<(), Fault> {
    for (index, kept) in plan.proven.iter().chain(&plan.secrets).enumerate() {
        let mut parts = Vec::new();
        if kept.refresh_token.is_some() {
            parts
                .push(if index == 0 { "proven first" } else { "proven by one refresh" }.to_owned());
        }
        if !kept.secrets.is_empty() {
            parts.push(format!("its {}", slots(kept)));
        }
        tell(session, kept, Outcome::Planned, parts.join("; "))?;
    }
    Ok(())
}

/// One run through the accounts of a plan.
struct Run<'a> {
    session: &'a Session,
    overrule: Overrule,
    /// Exit status of the first failure.
    status: u8,
}

impl Run<'_> {
    fn through(mut self, plan: &Plan<'_>) -> Result<ExitCode, Fault> {
        let mut rest = plan.proven.iter().chain(&plan.secrets);
        let mut is_canary = true;
        while let Some(kept) = rest.next() {
            if let Err(fault) = self.hand_in(kept) {
                self.failed(kept, &fault)?;
                // Whatever no refusal is, the next account would meet as well.
                let of_this_account = matches!(fault, Fault::Refused { .. });
                if is_canary || !of_this_account {
                    self.stop(kept, rest.copied())?;
                    break;
                }
            }
            is_canary = false;
        }
        Ok(ExitCode::from(self.status))
    }

    /// Hands one account in: its secrets, which its exchange may need, and its credential.
    fn hand_in(&self, kept: &Kept) -> Result<(), Fault> {
        let mut notes = Vec::new();
        for (slot, secret) in &kept.secrets {
            notes.push(self.put(kept, slot, secret)?);
        }
        let outcome = match &kept.refresh_token {
            Some(token) => {
                let request = import_request(&kept.account, token.expose());
                self.session.daemon.fetch::<DoneAnswer>(&request)?;
                Outcome::Restored
            }
            None => Outcome::Secrets,
        };
        if kept.hold == Hold::Paused {
            let request = Request::post(of(&kept.account, "/pause"));
            self.session.daemon.fetch::<DoneAnswer>(&request)?;
            notes.push("paused, as it was".to_owned());
        }
        tell(self.session, kept, outcome, notes.join("; "))
    }

    /// Puts a secret into its slot, and says what became of it. A slot that the account does
    /// not have here is no obstacle: its configuration may take the secret from elsewhere.
    fn put(&self, kept: &Kept, slot: &str, secret: &Secret) -> Result<String, Fault> {
        let over = match self.overrule {
            Overrule::No => Over::Nothing,
            Overrule::Yes => Over::Anything,
        };
        let place = Slot { account: kept.account.clone(), name: slot.to_owned() };
        let request = secret_request(&place, Some(secret.expose()), over);
        match self.session.daemon.fetch::<DoneAnswer>(&request) {
            Ok((DoneAnswer { changed: true, .. }, _)) => Ok(format!("{slot} sealed")),
            Ok(_) => Ok(format!("{slot} is there already")),
            Err(Fault::Refused { body, .. }) => Ok(format!("{slot} not taken: {}", body.message)),
            Err(fault) => Err(fault),
        }
    }

    fn failed(&mut self, kept: &Kept, fault: &Fault) -> Result<(), Fault> {
        if self.status == 0 {
            self.status = fault.exit_status();
        }
        let error_code = if let Fault::Refused { body, .. } = fault {
            Some(body.error_code.as_str())
        } else {
            None
        };
        let message = fault.to_string();
        let account = kept.account.as_str();
        print(self.session, &Told { account, outcome: Outcome::Failed, error_code, message })
    }

    /// Tells of the accounts that are not touched, since `failed` was not restored.
    fn stop<'k>(&self, failed: &Kept, rest: impl Iterator<Item = &'k Kept>) -> Result<(), Fault> {
        for kept in rest {
            let message = format!("{} was to be proven before it", failed.account);
            tell(self.session, kept, Outcome::Untouched, message)?;
        }
        Ok(())
    }
}

fn slots(kept: &Kept) -> String {
    kept.secrets.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn tell(session: &Session, kept: &Kept, outcome: Outcome, message: String) -> Result<(), Fault> {
    let account = kept.account.as_str();
    print(session, &Told { account, outcome, error_code: None, message })
}

/// One account, one line: what was done is told even if the next one never ends.
fn print(session: &Session, told: &Told<'_>) -> Result<(), Fault> {
    match session.output.form {
        Form::Json => session.output.json(told),
        Form::Text => session.output.page(&line(told)),
    }
}
