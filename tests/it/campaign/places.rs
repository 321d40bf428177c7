//! The state directory is moved away, its files are removed or damaged, or it is an older copy of
//! itself.

use std::fs;
use std::fs::File;
use std::os::unix::fs::FileExt;

use serde_json::Value;
use serde_json::json;
use tokenkeeper::error::code::Code;
use tokenkeeper::protocol::account::TokenAnswer;

use crate::daemon::forgiving;
use crate::daemon::with_mail;
use crate::keys::copied;
use crate::support::config::Config;
use crate::support::daemon::Daemon;
use crate::support::http::receive;
use crate::support::idp::Idp;

#[test]
fn nothing_is_spent_while_the_state_directory_is_gone_and_the_account_is_well_when_it_is_back() {
    let (idp, mut daemon) = with_mail(&forgiving());
    let [state, away] = ["state", "away"].map(|name| daemon.path(name));
    fs::rename(&state, &away).unwrap();
    let refused = receive(daemon.begin_refresh("mail")).unwrap();
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert!(refused.body.contains("the state directory was moved or removed"), "{}", refused.body);
    let view = daemon.account("mail");
    assert_eq!(view.refresh_error.unwrap().error_code, Code::StoreUnavailable);
    assert!(daemon.token("mail", "").is_ok(), "the token that is good is served");
    assert_eq!(idp.totals("mail").requests, 1, "nothing was spent");

    fs::rename(&away, &state).unwrap();
    daemon.order("mail", "retry");
    let well = daemon.until("mail", "well", |view| view.refresh_error.is_none());
    daemon.kill();
    daemon.begin();
    assert_eq!(daemon.account("mail").generation, well.generation);
    assert_eq!(idp.totals("mail").reuses, 0);
}

#[test]
fn a_database_that_is_removed_under_the_daemon_costs_nothing() {
    let (idp, mut daemon) = with_mail(&forgiving());
    for file in ["state.db", "state.db-wal"] {
        fs::remove_file(daemon.path("state").join(file)).unwrap();
    }
    let token = refreshed(&daemon);
    outlasts_a_kill(&token, &mut daemon, &idp);
}

#[test]
fn whatever_is_removed_from_the_state_directory_is_put_back_and_told() {
    let (idp, mut daemon) = with_mail(&forgiving());
    for entry in fs::read_dir(daemon.path("state")).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let token = refreshed(&daemon);
    let told = doctor(&daemon);
    assert!(told.contains("the daemon put them back"), "{told}");
    for file in ["store.lock", "store.key", "state.db"] {
        daemon.logs(&format!("{file} was removed"));
    }
    outlasts_a_kill(&token, &mut daemon, &idp);
}

#[test]
fn a_log_without_its_database_ends_the_start_and_nothing_is_lost_when_that_is_back() {
    let (idp, mut daemon) = with_mail(&forgiving());
    let token = daemon.token("mail", "").unwrap();
    daemon.kill();
    let [database, aside] = ["state/state.db", "aside"].map(|name| daemon.path(name));
    fs::rename(&database, &aside).unwrap();
    for _ in 0..2 {
        daemon.launch();
        assert_eq!(daemon.ended().code(), Some(78));
    }
    assert!(daemon.log().contains("Put the database back where it was"), "{}", daemon.log());

    fs::rename(&aside, &database).unwrap();
    daemon.begin();
    assert_eq!(daemon.token("mail", "").unwrap().token, token.token);
    assert_eq!(idp.totals("mail").reuses, 0);
}

#[test]
fn an_account_that_cannot_be_read_is_held_back_and_told_what_works() {
    let (idp, mut daemon) = with_mail(&forgiving());
    daemon.stop();
    let database = daemon.path("state/state.db");
    // The pages behind the header and its table.
    let pages = File::options().write(true).open(&database).unwrap();
    pages.write_all_at(&[0xa5; 3 * 4096], 2 * 4096).unwrap();
    daemon.begin();

    let view = daemon.account("mail");
    assert_eq!((view.state.as_str(), view.paused), ("frozen", false));
    let refused = daemon.token("mail", "").err().unwrap();
    assert_eq!(refused.error_code, Code::StoreUnavailable);
    assert!(refused.message.contains("move its database aside"), "{}", refused.message);
    let handed_in = daemon.tokenctl_given(&["import", "mail"], &idp.mint("mail"));
    assert_eq!(handed_in.status.code(), Some(75));
    let told = doctor(&daemon);
    assert!(told.contains("move state.db aside") && told.contains("why mail"), "{told}");

    daemon.stop();
    fs::rename(&database, daemon.path("aside")).unwrap();
    daemon.begin();
    assert!(doctor(&daemon).contains("the store was made anew at this start"));
    daemon.import("mail", &idp.mint("mail"));
    assert!(daemon.token("mail", "").is_ok());
}

#[test]
fn an_old_copy_of_the_state_heals_by_itself_where_the_provider_still_takes_what_it_holds() {
    let (idp, daemon) = rolled_back(&json!({ "grace_secs": null, "grace_scope": "any" }));
    let token = refreshed(&daemon);
    assert!(idp.accepts("mail", &token.token));
    assert_eq!(idp.totals("mail").reuses, 0);
}

/// It cannot be known from inside that the copy is old. What it costs is that one login, and what it
/// holds is kept and told as refused.
#[test]
fn an_old_copy_of_the_state_is_told_as_refused_where_it_is_and_a_new_login_mends_it() {
    let (idp, daemon) = rolled_back(&json!({ "grace_secs": 0 }));
    let refused = receive(daemon.begin_refresh("mail")).unwrap();
    assert_eq!(refused.status, 409, "{}", refused.body);
    let view = daemon.account("mail");
    assert_eq!(view.refresh_error.unwrap().error_code, Code::GrantRejected);
    assert_eq!(view.state, "suspect", "nothing is given up for one word");
    let token = daemon.token("mail", "").unwrap();
    assert!(token.refresh_error.is_some(), "what may be dead is not handed out as sound");
    assert_eq!(idp.totals("mail").reuses, 1);

    daemon.import("mail", &idp.mint("mail"));
    let token = daemon.token("mail", "").unwrap();
    assert!(token.refresh_error.is_none() && idp.accepts("mail", &token.token));
}

/// A daemon that was given back its state of two generations ago.
fn rolled_back(rotation: &Value) -> (Idp, Daemon) {
    let idp = Idp::start();
    let first = idp.put("mail", &json!({ "rotation": rotation }));
    let mut daemon = Daemon::start(&Config::default().account("mail", &idp.keys("mail")));
    daemon.import("mail", &first);
    daemon.stop();
    copied(&daemon.path("state"), &daemon.path("copy"));
    daemon.begin();
    for _ in 0..2 {
        assert_eq!(receive(daemon.begin_refresh("mail")).unwrap().status, 200);
    }
    daemon.stop();
    fs::remove_dir_all(daemon.path("state")).unwrap();
    copied(&daemon.path("copy"), &daemon.path("state"));
    daemon.begin();
    (idp, daemon)
}

/// The token that a refresh brings.
fn refreshed(daemon: &Daemon) -> TokenAnswer {
    let refreshed = receive(daemon.begin_refresh("mail")).unwrap();
    assert_eq!(refreshed.status, 200, "{}", refreshed.body);
    daemon.token("mail", "").unwrap()
}

/// The next process has the same token.
fn outlasts_a_kill(token: &TokenAnswer, daemon: &mut Daemon, idp: &Idp) {
    daemon.kill();
    daemon.begin();
    let again = daemon.token("mail", "").unwrap();
    assert_eq!((again.generation, &again.token), (token.generation, &token.token));
    assert_eq!(idp.totals("mail").reuses, 0);
}

fn doctor(daemon: &Daemon) -> String {
    String::from_utf8(daemon.tokenctl(&["doctor"]).stdout).unwrap()
}
