//! `restore`: the accounts of a backup, handed in one after the other.
//!
//! The first one is the canary: until it is proven, no other is touched. Each account is
//! told of as soon as it is done. Nothing that lives here is replaced before the credential is
//! proven, its secrets neither, and what goes wrong after that is told beside what was done.
//!
//! Nothing is kept between two runs: what a run that was interrupted has done, the next one
//! finds taken over already, or newer here than in the backup, and leaves alone.

use std::fmt;
use std::process::ExitCode;

use tokenkeeper::backup::Kept;
use tokenkeeper::error::code::Code;
use tokenkeeper::keeper::Over;
use tokenkeeper::name::AccountId;
use tokenkeeper::protocol::account::AccountList;
use tokenkeeper::protocol::account::DoneAnswer;
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
use crate::restoring::Left;
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

    let run = Run { session, overrule, status: 0 };
    for (kept, left) in &plan.left {
        let mut parts = vec![left.to_string()];
        if left.takes_secrets() && !args.dry_run {
            // Its credential is not handed in; its secrets have no age.
            let over = if *left == Left::Same { run.over() } else { Over::Nothing };
            let put = run.put_all(kept, over)?;
            parts.extend(put.iter().map(|(slot, put)| format!("{slot} {put}")));
        }
        tell(session, kept, Outcome::LeftAlone, parts.join("; "))?;
    }
    if args.dry_run {
        foretell(session, &plan)?;
        return Ok(ExitCode::SUCCESS);
    }
    run.through(&plan)
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

/// How far an account came whose credential, if it has one, is taken over.
struct Reached {
    outcome: Outcome,
    notes: Vec<String>,
    /// What stood in the way afterwards.
    trouble: Option<Fault>,
}

impl Run<'_> {
    fn through(mut self, plan: &Plan<'_>) -> Result<ExitCode, Fault> {
        let mut rest = plan.proven.iter().chain(&plan.secrets);
        let mut is_canary = true;
        while let Some(kept) = rest.next() {
            let reached = self.hand_in(kept);
            let proven = reached.is_ok();
            let trouble = match reached {
                Ok(reached) => self.done(kept, reached)?,
                Err(fault) => Some(self.failed(kept, fault)?),
            };
            // Whatever no refusal is, the next account would meet as well.
            let of_this_account =
                trouble.as_ref().is_none_or(|fault| matches!(fault, Fault::Refused { .. }));
            if (is_canary && !proven) || !of_this_account {
                self.stop(kept, rest.copied())?;
                break;
            }
            is_canary = false;
        }
        Ok(ExitCode::from(self.status))
    }

    /// Hands one account in: the secrets that are missing here, which its exchange may need,
    /// and its credential. Only what lives here by then takes the place of something else.
    fn hand_in(&self, kept: &Kept) -> Result<Reached, Fault> {
        let over = self.over();
        let Some(token) = &kept.refresh_token else {
            let notes = self.put_all(kept, over)?;
            return Ok(self.followed(kept, Outcome::Secrets, notes, Over::Nothing));
        };
        let notes = self.put_all(kept, Over::Nothing)?;
        let request = import_request(&kept.account, token.expose());
        self.session.daemon.fetch::<DoneAnswer>(&request)?;
        Ok(self.followed(kept, Outcome::Restored, notes, over))
    }

    /// What its secrets may take the place of, once its credential is proven.
    const fn over(&self) -> Over {
        match self.overrule {
            Overrule::No => Over::Nothing,
            Overrule::Yes => Over::Anything,
        }
    }

    /// What is left to do for an account that is taken over. Nothing of it undoes that.
    fn followed(
        &self,
        kept: &Kept,
        outcome: Outcome,
        mut notes: Vec<(String, Put)>,
        over: Over,
    ) -> Reached {
        let mut trouble = None;
        if over == Over::Anything {
            for (slot, put) in notes.iter_mut().filter(|(_, put)| *put == Put::ThereAlready) {
                match kept.secrets.get(slot).map(|secret| self.put(kept, slot, secret, over)) {
                    Some(Ok(replaced)) => *put = replaced,
                    Some(Err(fault)) => {
                        *put = Put::NotTaken(fault.to_string());
                        trouble.get_or_insert(fault);
                    }
                    None => {}
                }
            }
        }
        let mut notes = notes.iter().map(|(slot, put)| format!("{slot} {put}")).collect::<Vec<_>>();
        if kept.hold == Hold::Paused {
            let request = Request::post(of(&kept.account, "/pause"));
            match self.session.daemon.fetch::<DoneAnswer>(&request) {
                Ok(_) => notes.push("paused, as it was".to_owned()),
                Err(fault) => {
                    let account = &kept.account;
                    notes.push(format!(
                        "not paused as it was: {fault}; type: tokenctl pause {account}"
                    ));
                    trouble.get_or_insert(fault);
                }
            }
        }
        Reached { outcome, notes, trouble }
    }

    /// Puts the account's secrets into their slots, and says what became of each.
    fn put_all(&self, kept: &Kept, over: Over) -> Result<Vec<(String, Put)>, Fault> {
        let put = |(slot, secret): (&String, &Secret)| {
            self.put(kept, slot, secret, over).map(|put| (slot.clone(), put))
        };
        kept.secrets.iter().map(put).collect()
    }

    /// Puts a secret into its slot. A slot that the account does not have here is no obstacle:
    /// its configuration may take the secret from elsewhere.
    fn put(&self, kept: &Kept, slot: &str, secret: &Secret, over: Over) -> Result<Put, Fault> {
        let place = Slot { account: kept.account.clone(), name: slot.to_owned() };
        let request = secret_request(&place, Some(secret.expose()), over);
        match self.session.daemon.fetch::<DoneAnswer>(&request) {
            Ok((DoneAnswer { changed: true, .. }, _)) => Ok(Put::Sealed),
            Ok(_) => Ok(Put::ThereAlready),
            Err(Fault::Refused { body, .. }) if body.error_code == Code::BadRequest => {
                Ok(Put::NotTaken(body.message))
            }
            Err(fault) => Err(fault),
        }
    }

    /// Tells of an account that was taken over, and hands back what stood in the way since.
    fn done(&mut self, kept: &Kept, reached: Reached) -> Result<Option<Fault>, Fault> {
        let Reached { outcome, notes, trouble } = reached;
        if let Some(fault) = &trouble {
            self.count(fault);
        }
        let error_code = trouble.as_ref().and_then(code);
        let account = kept.account.as_str();
        let message = notes.join("; ");
        print(self.session, &Told { account, outcome, error_code, message })?;
        Ok(trouble)
    }

    fn failed(&mut self, kept: &Kept, fault: Fault) -> Result<Fault, Fault> {
        self.count(&fault);
        let account = kept.account.as_str();
        let message = fault.to_string();
        let error_code = code(&fault);
        print(self.session, &Told { account, outcome: Outcome::Failed, error_code, message })?;
        Ok(fault)
    }

    fn count(&mut self, fault: &Fault) {
        if self.status == 0 {
            self.status = fault.exit_status();
        }
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

/// What became of a secret.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Put {
    Sealed,
    ThereAlready,
    /// It was not taken, and why.
    NotTaken(String),
}

impl fmt::Display for Put {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sealed => f.write_str("sealed"),
            Self::ThereAlready => f.write_str("is there already"),
            Self::NotTaken(why) => write!(f, "not taken: {why}"),
        }
    }
}

fn code(fault: &Fault) -> Option<&str> {
    if let Fault::Refused { body, .. } = fault { Some(body.error_code.as_str()) } else { None }
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

#[cfg(test)]
mod tests;
