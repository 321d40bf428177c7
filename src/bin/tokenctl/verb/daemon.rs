//! `doctor`, `config check` and `reload`: the daemon as a whole.

use std::path::Path;
use std::process::ExitCode;

use tokenkeeper::error::code::Code;
use tokenkeeper::protocol::account::AccountList;
use tokenkeeper::protocol::account::AccountView;
use tokenkeeper::protocol::daemon::Finding;
use tokenkeeper::protocol::daemon::ReloadView;
use tokenkeeper::protocol::daemon::Severity;
use tokenkeeper::protocol::daemon::StatusView;
use tokenkeeper::protocol::daemon::WhoAmI;

use super::Session;
use crate::client::Request;
use crate::fault::Fault;
use crate::find::SYSTEM_SOCKET;
use crate::print;
use crate::print::Form;
use crate::print::doctor::Examination;
use crate::print::status::begin;
use crate::print::status::of_none;
use crate::print::status::own_words;

/// The version that the daemon should have too.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Looks for problems; a daemon that does not answer is the first of them.
pub(super) fn doctor(session: &Session) -> Result<ExitCode, Fault> {
    let seen = examine(session).unwrap_or_else(|fault| no_answer(&fault));
    match session.output.form {
        Form::Json => session.output.json(&seen)?,
        Form::Text => session.output.page(&print::doctor::page(&seen, session.output.style))?,
    }
    let sick = seen.findings.iter().any(is_problem);
    Ok(ExitCode::from(u8::from(sick)))
}

fn examine(session: &Session) -> Result<Examination, Fault> {
    let (status, _) = session.daemon.fetch::<StatusView>(&Request::get("/v1/status"))?;
    let (list, _) = session.daemon.fetch::<AccountList>(&Request::get("/v1/accounts"))?;
    let (me, _) = session.daemon.fetch::<WhoAmI>(&Request::get("/v1/whoami"))?;
    let notes = list.accounts.iter().filter(|view| !needs_attention(view)).filter_map(passing);
    let none = list.accounts.is_empty().then(|| of_none(&me).to_owned());
    let notes = notes.chain(none).collect();
    Ok(Examination { findings: findings(status, &list.accounts), notes, unseen: unseen(&me) })
}

fn no_answer(fault: &Fault) -> Examination {
    let finding = problem(None, fault.to_string(), advice_on(fault));
    Examination { findings: vec![finding], notes: Vec::new(), unseen: None }
}

/// systemd answers nobody while the service that it would hand the connection to does not start.
fn advice_on(fault: &Fault) -> &'static str {
    if let Fault::Silent { place, .. } | Fault::WentAway { place } = fault
        && place.path == Path::new(SYSTEM_SOCKET)
    {
        return "repair that first, then run tokenctl doctor again. If \"systemctl status tokenkeeper\" \
                shows 243/CREDENTIALS, the sealed store key or another credential does not open: \
                journalctl -u tokenkeeper -e says which, tokenkeeperd(8), \"The store key\", the way \
                back";
    }
    "repair that first, then run tokenctl doctor again"
}

/// What only an administrator of the daemon is shown, and who that can be.
fn unseen(me: &WhoAmI) -> Option<String> {
    let what = "Not looked at: the daemon's store, keys, rules and configuration, and accounts that \
                are not yours. An administrator of the daemon sees all of it: sudo tokenctl doctor";
    (!me.daemon_admin).then(|| what.to_owned())
}

/// Whether somebody should look after an account: the rule of the daemon's own findings.
fn needs_attention(view: &AccountView) -> bool {
    view.alarm || view.state == "vacant"
}

/// A failure that nobody has to see to: it is tried again, and that is in good time. What waits for
/// the disk waits for somebody, of which the disk's own finding tells.
fn passing(view: &AccountView) -> Option<String> {
    let error = view.refresh_error.as_ref()?;
    let (account, code) = (&view.account, error.error_code.as_str());
    let how = if error.error_code == Code::StoreUnavailable {
        "waits for the disk"
    } else {
        "fails and is no problem yet"
    };
    Some(format!("{account} {how}: {code}: {}", own_words(error)))
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
    if !status.ready && status.unsaved > 0 {
        let message =
            "the daemon is stopping, and waits for the disk, which has not taken every token";
        let advice = "make room on the disk of the state directory, or repair it, and do not kill \
                      the daemon";
        findings.push(problem(None, message.into(), advice));
    } else if !status.ready {
        let message = "the daemon is stopping".into();
        findings.push(problem(None, message, "see why: journalctl -u tokenkeeper -e"));
    }
    for view in accounts.iter().filter(|view| needs_attention(view)) {
        let mut told = status.findings.iter().filter(|it| is_problem(it));
        if told.any(|it| it.account.as_ref() == Some(&view.account)) {
            continue;
        }
        let (message, advice) = match &view.refresh_error {
            Some(error) => (
                format!("{}: {}", error.error_code.as_str(), own_words(error)),
                format!("tokenctl why {}", view.account),
            ),
            None => ("it has no credential yet".to_owned(), begin(view)),
        };
        findings.push(problem(Some(&view.account), message, &advice));
    }
    let explained = findings.iter().chain(&status.findings).any(is_problem);
    if status.degraded && !explained {
        let message = "something is wrong that only administrators are shown".into();
        findings.push(problem(None, message, "sudo tokenctl doctor"));
    }
    findings.extend(status.findings);
    findings
}

fn is_problem(finding: &Finding) -> bool {
    finding.severity == Severity::Problem
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
        (_, print::Notes::Hidden) => Ok(()),
        (Form::Json, print::Notes::Shown) => session.output.reply(&reply),
        (Form::Text, print::Notes::Shown) => {
            session.output.page(&format!("{heading}{}", print::daemon::reload(&view)))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::find::Origin;
    use crate::find::Place;
    use crate::print::sample::failing;
    use crate::print::sample::status;
    use crate::print::sample::view;
    use crate::print::sample::whoami;

    #[test]
    fn a_healthy_daemon_of_our_version_has_no_findings() {
        assert_eq!(findings(healthy(), &[view("mail", "fresh")]), []);
    }

    #[test]
    fn a_service_that_takes_connections_and_does_not_start_may_lack_a_credential() {
        let silent = |socket: &str| {
            let place = Place { path: socket.into(), origin: Origin::Option };
            let fault = Fault::Silent { place, waited: Duration::from_secs(15) };
            no_answer(&fault).findings.remove(0).advice
        };
        assert!(silent(SYSTEM_SOCKET).contains("243/CREDENTIALS"));
        assert!(!silent("/run/user/1000/tokenkeeper/api.sock").contains("243"), "it has none");
    }

    #[test]
    fn another_version_is_a_weakness() {
        let found = findings(StatusView { version: "0.0.9".into(), ..healthy() }, &[]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].severity, Severity::Weakness);
    }

    #[test]
    fn a_stop_that_waits_for_the_disk_is_told_with_what_ends_the_wait() {
        let told = |unsaved| {
            let stopping = StatusView { ready: false, unsaved, ..healthy() };
            findings(stopping, &[]).remove(0)
        };
        assert!(told(0).advice.starts_with("see why: journalctl"));
        assert!(told(1).message.contains("waits for the disk"));
        assert!(told(1).advice.ends_with("do not kill the daemon"));
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
    fn a_failure_that_is_no_alarm_is_noted_and_is_no_problem() {
        let alarm = failing("mail", "waiting", Code::ProviderUnreachable, "no route");
        let passes = AccountView { alarm: false, ready: true, ttl: 900, ..alarm.clone() };
        assert_eq!(findings(healthy(), std::slice::from_ref(&passes)), []);
        assert_eq!(
            passing(&passes).unwrap(),
            "mail fails and is no problem yet: PROVIDER_UNREACHABLE: no route"
        );
        assert_eq!(findings(healthy(), &[alarm]).len(), 1);
        let full = failing("mail", "waiting", Code::StoreUnavailable, "no space left");
        assert_eq!(
            passing(&full).unwrap(),
            "mail waits for the disk: STORE_UNAVAILABLE: no space left"
        );
        assert_eq!(passing(&view("mail", "fresh")), None);
    }

    #[test]
    fn an_account_without_a_credential_is_a_problem_for_everyone_who_sees_it() {
        let found = findings(healthy(), &[view("new", "vacant")]);
        assert_eq!((found.len(), found[0].advice.as_str()), (1, "tokenctl login new"));
    }

    #[test]
    fn who_is_no_administrator_is_told_what_was_not_looked_at() {
        assert_eq!(unseen(&whoami(true)), None);
        insta::assert_snapshot!(unseen(&whoami(false)).unwrap(), @"Not looked at: the daemon's store, keys, rules and configuration, and accounts that are not yours. An administrator of the daemon sees all of it: sudo tokenctl doctor");
    }

    #[test]
    fn what_only_administrators_see_is_mentioned_to_the_others() {
        let newer = StatusView { version: "9.9.9".into(), degraded: true, ..healthy() };
        for status in [StatusView { degraded: true, ..healthy() }, newer] {
            let found = findings(status, &[]);
            assert_eq!(found.last().unwrap().advice, "sudo tokenctl doctor");
        }
    }

    fn healthy() -> StatusView {
        StatusView { version: VERSION.into(), degraded: false, ..status() }
    }
}
