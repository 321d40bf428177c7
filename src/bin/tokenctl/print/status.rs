//! The page of `status`: the daemon, then a row per account.

use std::fmt::Write as _;
use std::time::Duration;

use tokenkeeper::error::code::Remedy;
use tokenkeeper::error::foreign::shown;
use tokenkeeper::protocol::account::AccountView;
use tokenkeeper::protocol::daemon::StatusView;
use tokenkeeper::protocol::daemon::WhoAmI;
use tokenkeeper::protocol::error::ErrorBody;
use tokenkeeper::time::Timestamp;
use tokenkeeper::time::spoken;

use crate::find::Place;
use crate::print::Hue;
use crate::print::Style;
use crate::print::bar;
use crate::print::bar::bar;
use crate::print::time::ago;
use crate::print::time::until;

/// The daemon, and how many accounts are in which state.
pub(crate) fn daemon(place: &Place, status: &StatusView, now: Timestamp, style: Style) -> String {
    let mut page = format!(
        "tokenkeeperd {}, pid {}, up {}, at {} ({})\n",
        shown(&status.version),
        status.pid,
        spoken(Duration::from_secs(status.uptime)),
        shown(&place.path.to_string_lossy()),
        place.origin.as_str(),
    );
    let states = states(status);
    let of = if states.is_empty() { String::new() } else { format!(": {}", states.join(", ")) };
    page.push_str(&format!("{}{of}", counted(status.accounts, "account")));
    if status.failing > 0 {
        page.push_str("; ");
        let hue = if status.degraded { Hue::Bad } else { Hue::Middling };
        page.push_str(&style.in_hue(hue, &format!("{} failing", status.failing)));
    }
    if let Some(next) = until(status.next_at.as_deref(), now) {
        let whose = status.next_account.as_deref().map(shown).unwrap_or("an account".into());
        page.push_str(&format!("; next is {whose} {next}"));
    }
    page.push('\n');
    for (is_so, sentence) in [
        (!status.ready && status.unsaved == 0, "The daemon is stopping."),
        (!status.ready && status.unsaved > 0, STOP_WAITS),
        (!status.live, "The daemon did not examine itself in time; it may be busy with a reload."),
    ] {
        if is_so {
            page.push_str(&style.in_hue(Hue::Bad, sentence));
            page.push('\n');
        }
    }
    if status.degraded {
        page.push_str(&style.in_hue(Hue::Middling, "Something needs attention: tokenctl doctor"));
        page.push('\n');
    }
    page
}

/// Said of a daemon that cannot end yet; which accounts it is about stands below.
const STOP_WAITS: &str = "The daemon is stopping, and waits for the disk, which has not taken every \
                          token. Make room on it or repair it, and do not kill the daemon.";

/// How many accounts are in which state. A pause is a state of its own for people.
fn states(status: &StatusView) -> Vec<String> {
    let mut counts = status.states.clone();
    if let Some(frozen) = counts.get_mut("frozen") {
        *frozen = frozen.saturating_sub(status.paused);
    }
    counts.insert("paused".into(), status.paused.saturating_sub(status.released));
    counts.insert("given up".into(), status.released);
    let some = counts.iter().filter(|(_, count)| **count > 0);
    some.map(|(state, count)| format!("{count} {}", words(state))).collect()
}

/// What is said where there is no account to look at: none at all, for who would see it.
pub(crate) fn of_none(me: &WhoAmI) -> &'static str {
    match (me.daemon_admin, me.rights.is_empty()) {
        (true, _) => FIRST_STEPS,
        (false, true) => NOT_YOURS,
        (false, false) => UNSEEN,
    }
}

/// What somebody reads who has just installed it.
const FIRST_STEPS: &str = "there is no account yet: tokenkeeper.toml(5) says how to write one into \
                           config.toml; \"tokenctl reload\" takes it into use, and \"tokenctl login \
                           NAME\" logs it in";

/// What somebody reads whom no account lets in.
const NOT_YOURS: &str = "there is no account that you may use; \"tokenctl whoami\" shows you";

/// What somebody reads who may refresh or report, and not read.
const UNSEEN: &str = "there is no account that you may see, since you have the right read on none; \
                      \"tokenctl whoami\" shows what you may do";

/// A row per account under a heading, and below each what is wrong with it.
pub(crate) fn accounts(accounts: &[AccountView], now: Timestamp, style: Style) -> String {
    let rows = accounts.iter().map(|view| Row::new(view, now)).collect::<Vec<_>>();
    let widest = |cell: fn(&Row) -> &str, heading: &str| {
        rows.iter().map(|row| cell(row).chars().count()).chain([heading.len()]).max().unwrap_or(0)
    };
    let name = widest(|row| &row.name, "ACCOUNT");
    let state = widest(|row| &row.state, "STATE");
    let left = widest(|row| &row.left, "LEFT");

    let heading = format!(
        "{:name$}  {:state$}  {:lifetime$}  {:left$}  NEXT",
        "ACCOUNT",
        "STATE",
        "LIFETIME",
        "LEFT",
        lifetime = bar::WIDTH,
    );
    let mut page = format!("{}\n", style.in_hue(Hue::Heading, &heading));
    for (row, view) in rows.iter().zip(accounts) {
        let painted = style.in_hue(hue(view), &format!("{:state$}", row.state));
        let remaining =
            bar(Duration::from_secs(view.ttl), Duration::from_secs(view.lifetime), style.glyphs);
        let line =
            format!("{:name$}  {painted}  {remaining}  {:left$}  {}", row.name, row.left, row.next);
        // Writing into a String cannot fail.
        let _written = writeln!(page, "{}", line.trim_end());
        if let Some(at) = view.login_ends_at.as_deref().filter(|_| view.login_ends_soon) {
            page.push_str(&end_of_login(view, at, now));
        }
        if let Some(slot) = view.lacks_secret.as_deref().map(shown) {
            page.push_str(&format!("  {slot} is not stored; type: {}\n", begin(view)));
        }
        if let Some(error) = &view.refresh_error {
            page.push_str(&trouble(view, error, now, style));
        }
    }
    page
}

/// The cells of an account that are text.
struct Row {
    name: String,
    state: String,
    left: String,
    next: String,
}

impl Row {
    fn new(view: &AccountView, now: Timestamp) -> Self {
        let left = match view.ttl {
            0 => "none".into(),
            ttl => spoken(Duration::from_secs(ttl)),
        };
        let mut next = match until(view.next_at.as_deref(), now) {
            Some(when) => format!("{} {when}", what_comes(view)),
            None => match view.state.as_str() {
                "vacant" | "needs_login" => "a person has to act".into(),
                _ if view.released => "import takes it back".into(),
                _ if view.paused => "resume ends the pause".into(),
                _ => String::new(),
            },
        };
        if view.unsaved {
            next.push_str(" (not on disk yet)");
        }
        let state = match (view.released, view.paused) {
            (true, _) => "given up".into(),
            (false, true) => "paused".into(),
            (false, false) => words(&view.state),
        };
        Self { name: shown(&view.account).into_owned(), state, left, next }
    }
}

/// What happens by itself at `next_at`.
pub(crate) fn what_comes(view: &AccountView) -> &'static str {
    match view.state.as_str() {
        "waiting" => "retry",
        "in_doubt" => "replay",
        "saving" => "write",
        "suspect" | "needs_login" | "vacant" | "frozen" => "probe",
        _ => "refresh",
    }
}

/// What a person can type about a raised error, unless the message says it already.
pub(crate) fn advice(view: &AccountView, error: &ErrorBody) -> Option<String> {
    if error.message.contains("tokenctl ") {
        return None;
    }
    match error.remedy {
        Remedy::SignIn => Some(enter(view)),
        Remedy::Reconfigure => {
            let account = shown(&view.account);
            Some(format!("tokenctl doctor, and tokenctl retry {account} after the repair"))
        }
        Remedy::Wait | Remedy::ChangeRequest => None,
    }
}

/// What brings an account a credential.
pub(crate) fn enter(view: &AccountView) -> String {
    format!("tokenctl {} {}", shown(&view.entry), shown(&view.account))
}

/// What a vacant account is begun with: a login where no secret is missing for less than that.
pub(crate) fn begin(view: &AccountView) -> String {
    match view.lacks_secret.as_deref().map(shown) {
        Some(slot) => format!("tokenctl secret set {slot}; or: {}", enter(view)),
        None => enter(view),
    }
}

/// What ends a pause.
pub(crate) fn resume(account: &str) -> String {
    format!("tokenctl resume {account}")
}

/// The message without the account that it begins with, for where that stands already.
pub(crate) fn own_words(error: &ErrorBody) -> &str {
    let account = error.account.as_deref().unwrap_or_default();
    let rest = error.message.strip_prefix("account ").and_then(|it| it.strip_prefix(account));
    rest.and_then(|it| it.strip_prefix(": ")).unwrap_or(&error.message)
}

/// A word of the wire as people write it.
pub(crate) fn words(word: &str) -> String {
    shown(&word.replace('_', " ")).into_owned()
}

/// The login is near its end, whatever becomes of the tokens.
fn end_of_login(view: &AccountView, at: &str, now: Timestamp) -> String {
    let account = shown(&view.account);
    let when = match until(Some(at), now) {
        Some(when) if when != "now" => format!("ends {when}"),
        _ => format!("ended at {}", shown(at)),
    };
    format!("  its login {when}; to log in again: tokenctl login {account}\n")
}

fn trouble(view: &AccountView, error: &ErrorBody, now: Timestamp, style: Style) -> String {
    let code = style.in_hue(Hue::Bad, error.error_code.as_str());
    let mut text = format!("  {code}");
    if view.attempt > 0 {
        text.push_str(&format!(" ({}", counted(view.attempt.into(), "attempt")));
        if let Some(since) = ago(view.failing_since.as_deref(), now) {
            text.push_str(&format!(", the first {since}"));
        }
        text.push(')');
    }
    // The message comes last: it may end in a command to be copied.
    text.push_str(&format!(": {}\n", shown(own_words(error))));
    let account = shown(&view.account);
    let command = match (view.released, view.paused) {
        (true, _) => None,
        (false, true) => Some(resume(&account)),
        (false, false) => advice(view, error),
    };
    if let Some(command) = command {
        text.push_str(&format!("  try: {command}\n"));
    }
    text
}

fn hue(view: &AccountView) -> Hue {
    match view.state.as_str() {
        "fresh" if view.refresh_error.is_none() => Hue::Good,
        "vacant" | "needs_login" | "frozen" => Hue::Bad,
        _ if view.ready => Hue::Middling,
        _ => Hue::Bad,
    }
}

/// `1 account`, `2 accounts`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tokenkeeper::error::code::Code;

    use super::*;
    use crate::find::Origin;
    use crate::print::Glyphs;
    use crate::print::Paint;
    use crate::print::sample::NOW;
    use crate::print::sample::PLAIN;
    use crate::print::sample::every_kind;
    use crate::print::sample::failing;
    use crate::print::sample::status;
    use crate::print::sample::view;
    use crate::print::sample::whoami;

    #[test]
    fn the_daemon_is_told_in_a_few_lines() {
        let place = Place { path: "/run/tokenkeeper/api.sock".into(), origin: Origin::System };
        insta::assert_snapshot!(daemon(&place, &status(), NOW, PLAIN), @"
        tokenkeeperd 0.1.0, pid 812, up 3 h 12 min, at /run/tokenkeeper/api.sock (the system's daemon)
        3 accounts: 1 fresh, 1 needs login, 1 waiting; 2 failing; next is ci in 40 s
        Something needs attention: tokenctl doctor
        ");
    }

    #[test]
    fn only_who_sees_every_account_is_told_that_there_is_none() {
        assert!(of_none(&whoami(true)).starts_with("there is no account yet"));
        let stranger = WhoAmI { rights: BTreeMap::new(), ..whoami(false) };
        assert!(of_none(&stranger).starts_with("there is no account that you may use"));
        let refresher = [("mail".to_owned(), vec!["refresh".to_owned()])].into();
        let refresher = WhoAmI { rights: refresher, ..stranger };
        assert!(of_none(&refresher).starts_with("there is no account that you may see"));
    }

    #[test]
    fn a_pause_is_counted_as_a_pause_and_a_handover_as_neither() {
        #[rustfmt::skip]
        let cases = [
            (3, 1, 0, "3 accounts: 2 frozen, 1 paused"),
            (3, 3, 0, "3 accounts: 3 paused"),
            (3, 0, 0, "3 accounts: 3 frozen"),
            (3, 2, 1, "3 accounts: 1 frozen, 1 given up, 1 paused"),
        ];
        for (frozen, paused, released, expected) in cases {
            let states = [("frozen".to_owned(), frozen)].into();
            let status = StatusView { states, paused, released, ..status() };
            let place = Place { path: "/s".into(), origin: Origin::Option };
            let page = daemon(&place, &status, NOW, PLAIN);
            assert!(page.contains(&format!("{expected};")), "{page}");
        }
    }

    #[test]
    fn a_daemon_that_stops_or_is_busy_is_told_as_that() {
        let place = Place { path: "/s".into(), origin: Origin::Option };
        #[rustfmt::skip]
        let cases = [
            // name     live   ready  unsaved  is said
            ("serving",  true,  true,  0,       None),
            ("unsaved",  true,  true,  1,       None),
            ("stopping", true,  false, 0,       Some("The daemon is stopping.\n")),
            ("waiting",  true,  false, 1,       Some(STOP_WAITS)),
            ("busy",     false, true,  0,       Some("The daemon did not examine itself in time; it may be busy with a reload.\n")),
        ];
        for (name, live, ready, unsaved, said) in cases {
            let page = daemon(&place, &StatusView { live, ready, unsaved, ..status() }, NOW, PLAIN);
            let lines = page.lines().filter(|line| line.starts_with("The daemon"));
            let expected = said.map(str::trim_end).into_iter().collect::<Vec<_>>();
            assert_eq!(lines.collect::<Vec<_>>(), expected, "{name}: {page}");
        }
    }

    #[test]
    fn rows_are_aligned_and_errors_stand_below_their_account() {
        insta::assert_snapshot!(accounts(&every_kind(), NOW, PLAIN), @"
        ACCOUNT                STATE        LIFETIME    LEFT         NEXT
        boiler                 in doubt     ..........  none         replay in 40 s
          IN_DOUBT (3 attempts, the first 12 min ago): the provider's reply was lost. It is tried again without your doing.
        ci                     waiting      ##........  15 min       retry in 40 s
          PROVIDER_UNAVAILABLE (3 attempts, the first 12 min ago): provider unavailable: HTTP 503. It is tried again without your doing.
        films                  exchanging   ######....  38 min 20 s
        git                    frozen       ..........  none         probe in 48 min
          CLIENT_REJECTED (3 attempts, the first 12 min ago): the provider refuses this client: invalid_client
          try: tokenctl doctor, and tokenctl retry git after the repair
        heatpump-of-the-house  needs login  ..........  none         a person has to act
          NEEDS_LOGIN (3 attempts, the first 12 min ago): refresh token refused: invalid_grant (Token has been revoked.). Type: tokenctl login heatpump-of-the-house
        mail                   fresh        ######....  38 min 20 s  refresh in 22 min 40 s
        new                    vacant       ..........  none         a person has to act
        photos                 saving       ######....  38 min 20 s  write in 2 s (not on disk yet)
          STORE_UNAVAILABLE: the store cannot be written: no space left for the store; its refresh token is only in memory, so do not kill the daemon. See whether the state directory is in its place, and look at its disk: for space, for errors, and whether it is mounted read-only.
        plugs                  paused       ######....  38 min 20 s  resume ends the pause
        ");
    }

    #[test]
    fn a_pause_after_a_failure_says_how_to_resume_and_not_how_to_retry() {
        let mut view = failing("git", "frozen", Code::ClientRejected, "the client is refused");
        view.paused = true;
        insta::assert_snapshot!(accounts(&[view], NOW, PLAIN), @"
        ACCOUNT  STATE   LIFETIME    LEFT  NEXT
        git      paused  ..........  none  resume ends the pause
          CLIENT_REJECTED (3 attempts, the first 12 min ago): the client is refused
          try: tokenctl resume git
        ");
    }

    #[test]
    fn a_secret_that_is_missing_for_a_sign_in_is_named_with_what_to_type() {
        let mut view = view("plugs", "vacant");
        view.lacks_secret = Some("plugs.totp".into());
        let page = accounts(&[view], NOW, PLAIN);
        let line = "\n  plugs.totp is not stored; type: tokenctl secret set plugs.totp; or: \
                    tokenctl login plugs\n";
        assert!(page.ends_with(line), "{page}");
    }

    #[test]
    fn an_account_that_was_handed_over_is_not_merely_paused() {
        let mut view = view("git", "frozen");
        (view.paused, view.released, view.next_at) = (true, true, None);
        let page = accounts(&[view], NOW, PLAIN);
        assert!(page.contains("given up") && page.contains("import takes it back"), "{page}");
        assert!(!page.contains("resume"), "{page}");
    }

    #[test]
    fn colours_do_not_move_the_columns() {
        let colour = Style { paint: Paint::Colour, glyphs: Glyphs::Unicode };
        let painted = accounts(&every_kind(), NOW, colour);
        let bare = ["31", "32", "33", "1", "0"]
            .iter()
            .fold(painted, |text, code| text.replace(&format!("\u{1b}[{code}m"), ""));
        let plain = accounts(&every_kind(), NOW, Style { paint: Paint::Plain, ..colour });
        assert_eq!(bare, plain);
    }

    #[test]
    fn hostile_text_stays_text() {
        let mut view = view("mail", "fresh");
        view.state = "fr\u{1b}[31mesh".into();
        view.account = "m\u{1b}]0;x\u{7}".into();
        let page = accounts(&[view], NOW, PLAIN);
        assert!(!page.contains('\u{1b}') && !page.contains('\u{7}'), "{page:?}");
    }
}
