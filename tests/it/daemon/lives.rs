//! What survives the end of the process, however it comes.

use serde_json::json;

use super::forgiving;
use super::with_mail;
use crate::support::http::receive;

#[test]
fn a_token_is_served_after_a_restart_without_an_exchange() {
    let (idp, mut daemon) = with_mail(&json!({ "rotation": {} }));
    let before = daemon.token("mail", "").unwrap();

    daemon.stop();
    daemon.begin();

    let after = daemon.token("mail", "").unwrap();
    assert_eq!((after.token, after.generation), (before.token, before.generation));
    assert_eq!(after.expires_at, before.expires_at);
    assert_eq!(idp.totals("mail").requests, 1);
}

#[test]
fn a_kill_in_mid_exchange_costs_one_replay_and_nothing_else() {
    let (idp, mut daemon) = with_mail(&forgiving());
    idp.hold("mail", true);
    let _caller = daemon.begin_refresh("mail");
    idp.wait("mail", "held=1");

    daemon.kill();
    idp.release("mail");
    daemon.begin();

    let view = daemon.until("mail", "refreshed", |view| view.generation == 2);
    assert_eq!(view.state, "fresh");
    assert!(idp.accepts("mail", &daemon.token("mail", "").unwrap().token));
    let totals = idp.totals("mail");
    assert_eq!((totals.requests, totals.replays, totals.reuses), (3, 1, 0));
    daemon.logs("the daemon ended while an exchange was under way");
}

#[test]
fn a_kill_before_the_provider_decided_costs_one_more_request() {
    let (idp, mut daemon) = with_mail(&forgiving());
    idp.hold("mail", false);
    let _caller = daemon.begin_refresh("mail");
    idp.wait("mail", "held=1");

    daemon.kill();
    daemon.begin();
    idp.wait("mail", "held=2");
    idp.release("mail");

    let view = daemon.until("mail", "refreshed", |view| view.generation == 2);
    assert_eq!(view.state, "fresh");
    assert_eq!(idp.totals("mail").reuses, 0);
}

#[test]
fn a_stop_in_mid_exchange_saves_what_it_brings() {
    let (idp, mut daemon) = with_mail(&forgiving());
    idp.hold("mail", true);
    let _caller = daemon.begin_refresh("mail");
    idp.wait("mail", "held=1");

    daemon.signal(rustix::process::Signal::TERM);
    daemon.tells("STOPPING=1");
    daemon.logs("the stop waits for what is under way with 1 account");
    idp.release("mail");
    let status = daemon.ended();
    assert!(status.success(), "{status}");
    daemon.begin();

    let token = daemon.token("mail", "").unwrap();
    assert_eq!(token.generation, 2);
    assert!(idp.accepts("mail", &token.token));
    let totals = idp.totals("mail");
    assert_eq!((totals.requests, totals.replays), (2, 0));
}

#[test]
fn a_lost_reply_is_replayed_inside_the_grace_without_a_restart() {
    let (idp, daemon) = with_mail(&forgiving());
    idp.next("mail", &json!([{ "fault": "lost", "after_commit": true }]));

    let refused = receive(daemon.begin_refresh("mail")).unwrap();
    assert_eq!(refused.status, 503, "{}", refused.body);
    daemon.until("mail", "refreshed", |view| view.generation == 2 && view.state == "fresh");

    let totals = idp.totals("mail");
    assert_eq!((totals.requests, totals.replays, totals.reuses), (3, 1, 0));
}
