//! `doctor`, `config check` and `reload`: the daemon as a whole.

use std::process::ExitCode;

use serde::Serialize;
use tokenkeeper::protocol::AccountList;
use tokenkeeper::protocol::AccountView;
use tokenkeeper::protocol::Finding;
use tokenkeeper::protocol::ReloadView;
use tokenkeeper::protocol::Severity;
use tokenkeeper::protocol::StatusView;

use super::Session;
use crate::client::Request;
use crate::fault::Fault;
use crate::print;
use crate::print::Form;
use crate::print::status::own_words;

/// The version that the daemon should have too.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Looks for problems; a daemon that does not answer is the first of them.
pub(super) fn doctor(session: &Session) -> Result<ExitCode, Fault> {
    /// With `--json`.
    #[derive(Serialize)]
    struct Examination<'a> {
        findings: &'a [Finding],
    }

    let findings = examine(session).unwrap_or_else(|fault| vec![no_answer(&fault)]);
    match session.output.form {
        Form::Json => session.output.json(&Examination { findings: &findings })?,
        Form::Text => {
            session.output.page(&print::daemon::doctor(&findings, session.output.style))?
        }
    }
    let sick = findings.iter().any(|finding| finding.severity == Severity::Problem);
    Ok(ExitCode::from(u8::from(sick)))
}

fn examine(session: &Session) -> Result<Vec<Finding>, Fault> {
    let (status, _) = session.daemon.fetch::<StatusView>(&Request::get("/v1/status"))?;
    let (list, _) = session.daemon.fetch::<AccountList>(&Request::get("/v1/accounts"))?;
    Ok(findings(status, &list.accounts))
}

fn no_answer(fault: &Fault) -> Finding {
    problem(None, fault.to_string(), "repair that first, then run tokenctl doctor again")
}

/// What the daemon found, and what shows from here.
fn findings(status: StatusView, accounts: &[AccountView]) -> Vec<Finding> {
    let mut findings = Vec::new();
    if status.version != VERSION {
        findings.push(Finding {
            severity: Severity::Weakness,
            account: None,
            message: format!("tokenctl is version {VERSION}, the daemon is {}", status.version),
            advice: "restart the daemon: systemctl restart tokenkeeper".into(),
        });
    }
    if !status.ready {
        let message = "the daemon is stopping".into();
        findings.push(problem(None, message, "see why: journalctl -u tokenkeeper -e"));
    }
    for view in accounts {
        let told = status.findings.iter().any(|it| it.account.as_ref() == Some(&view.account));
        if let Some(error) = view.refresh_error.as_ref().filter(|_| !told) {
            let message = format!("{}: {}", error.error_code.as_str(), own_words(error));
            let advice = format!("tokenctl why {}", view.account);
            findings.push(problem(Some(&view.account), message, &advice));
        }
    }
    if status.degraded && status.findings.is_empty() && findings.is_empty() {
        let message = "something is wrong that only administrators are shown".into();
        findings.push(problem(None, message, "sudo tokenctl doctor"));
    }
    findings.extend(status.findings);
    findings
}

fn problem(account: Option<&str>, message: String, advice: &str) -> Finding {
    Finding {
        severity: Severity::Problem,
        account: account.map(Into::into),
        message,
        advice: advice.into(),
    }
}

/// Has the daemon read the configuration, and says what a reload would do.
pub(super) fn check(session: &Session) -> Result<(), Fault> {
    plan(session, "/v1/config/check", "The configuration is good. A reload would do this:\n")
}

/// Applies the configuration.
pub(super) fn reload(session: &Session) -> Result<(), Fault> {
    plan(session, "/v1/reload", "Reloaded.\n")
}

fn plan(session: &Session, target: &str, heading: &str) -> Result<(), Fault> {
    let (view, reply) = session.daemon.fetch::<ReloadView>(&Request::post(target))?;
    match (session.output.form, session.output.notes) {
        (Form::Json, _) => session.output.reply(&reply),
        (Form::Text, print::Notes::Hidden) => Ok(()),
        (Form::Text, print::Notes::Shown) => {
            session.output.page(&format!("{heading}{}", print::daemon::reload(&view)))
        }
    }
}

#[cfg(test)]
mod tests {
    use tokenkeeper::error::Code;

    use super::*;
    use crate::print::sample::failing;
    use crate::print::sample::status;
    use crate::print::sample::view;

    #[test]
    fn a_healthy_daemon_of_our_version_has_no_findings() {
        assert_eq!(findings(healthy(), &[view("mail", "fresh")]), []);
    }

    #[test]
    fn another_version_is_a_weakness() {
        let found = findings(StatusView { version: "0.0.9".into(), ..healthy() }, &[]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].severity, Severity::Weakness);
    }

    #[test]
    fn a_failing_account_is_a_problem_told_once() {
        let account = failing("mail", "needs_login", Code::NeedsLogin, "log in");
        let found = findings(healthy(), std::slice::from_ref(&account));
        assert_eq!(found.iter().filter(|it| it.account.as_deref() == Some("mail")).count(), 1);

        let told = vec![problem(Some("mail"), "the daemon's own words".into(), "do")];
        let found = findings(StatusView { findings: told.clone(), ..healthy() }, &[account]);
        assert_eq!(found, told);
    }

    #[test]
    fn what_only_administrators_see_is_mentioned_to_the_others() {
        let found = findings(StatusView { degraded: true, ..healthy() }, &[]);
        assert_eq!(found[0].advice, "sudo tokenctl doctor");
    }

    fn healthy() -> StatusView {
        StatusView { version: VERSION.into(), degraded: false, ..status() }
    }
}
