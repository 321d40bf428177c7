//! Decisions as tables: what a script makes of a request.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use super::*;
use crate::ledger::Verdict;
use crate::service::Decision;

#[test]
fn a_request_is_judged_as_the_script_says() {
    let good = "grant_type=refresh_token&refresh_token=R";
    let cc = "grant_type=client_credentials";
    #[rustfmt::skip]
    let cases = [
        (json!({}),                                  good,                                   "granted"),
        (json!({}),                                  cc,                                     "granted"),
        (json!({"grants": ["refresh_token"]}),       cc,                                     "refused:unsupported_grant_type"),
        (json!({}),                                  "grant_type=password",                  "refused:unsupported_grant_type"),
        (json!({}),                                  "",                                     "refused:invalid_request"),
        (json!({}),                                  "grant_type=refresh_token",             "refused:invalid_request"),
        (json!({}),                                  "grant_type=refresh_token&refresh_token=x", "refused:invalid_grant"),
        (json!({"client_auth": "post"}),             good,                                   "refused:invalid_client"),
        (json!({"request_format": "json"}),          good,                                   "refused:invalid_request"),
    ];
    for (script, form, verdict) in cases {
        let mut world = World::new(&script);
        let form = form.replace('R', &world.token());
        let decision = world.ask(0, &form);
        assert_eq!(decision.verdict.to_string(), verdict, "{script} {form}");
        assert_eq!(decision.reply.status == 200, verdict == "granted", "{script} {form}");
    }
}

#[test]
fn a_rotation_hands_out_the_next_token_and_says_that_it_committed() {
    let mut world = World::new(&json!({"rotation": {}}));
    let first = world.token();

    let decision = world.refresh(0, &first);
    let next = member(&decision, "refresh_token");
    assert!(decision.committed);
    assert_ne!(next, first);
    assert_eq!(world.account.locate(&world.mint, &next), Some((2, 1)));

    assert_eq!(world.refresh(1, &first).verdict, Verdict::Reused);
    assert_eq!(world.refresh(2, &next).verdict.to_string(), "refused:invalid_grant");
}

#[test]
fn without_rotation_the_same_token_comes_back_or_none() {
    for (script, shown) in [(json!({}), true), (json!({"omit_refresh_token": true}), false)] {
        let mut world = World::new(&script);
        let token = world.token();
        let decision = world.refresh(0, &token);
        assert!(!decision.committed);
        let members: Value = serde_json::from_slice(&decision.reply.body).unwrap();
        assert_eq!(members.get("refresh_token").is_some_and(|it| *it == *token), shown, "{script}");
    }
}

#[test]
fn an_access_token_is_good_until_it_ends_or_is_ended() {
    let ends: [(&str, End); 4] = [
        ("nothing", |_, _| ()),
        ("withdrawn consent", |world, _| world.account.revoke_all()),
        ("revoked alone", |world, access| world.revoke(access)),
        ("reuse of the refresh token", |world, _| {
            let first = world.token_of(0);
            assert_eq!(world.refresh(1, &first).verdict, Verdict::Reused);
        }),
    ];
    for (name, end) in ends {
        let mut world = World::new(&json!({"rotation": {}, "lifetime_secs": 60}));
        let token = world.token();
        let access = member(&world.refresh(0, &token), "access_token");
        assert!(world.admits(59, &access), "{name}");
        assert!(!world.admits(60, &access), "{name}");

        end(&mut world, &access);
        assert_eq!(world.admits(59, &access), name == "nothing", "{name}");
    }
}

#[test]
fn a_revoked_refresh_token_ends_its_login_and_no_other() {
    let mut world = World::new(&json!({}));
    let first = world.token();
    let second = world.log_in();
    world.revoke(&first);
    assert_eq!(world.refresh(0, &first).verdict.to_string(), "refused:invalid_grant");
    assert_eq!(world.refresh(0, &second).verdict, Verdict::Granted);
}

#[test]
fn a_login_is_good_for_its_lifetime_whatever_its_generation() {
    let mut world = World::new(&json!({"rotation": {}, "refresh_lifetime_secs": 60}));
    let first = world.token();
    let next = member(&world.refresh(59, &first), "refresh_token");
    let decision = world.refresh(60, &next);
    assert_eq!(decision.verdict.to_string(), "refused:invalid_grant");
    assert_eq!(member(&decision, "error_description"), "the refresh token has expired");
}

#[test]
fn a_token_of_before_a_reset_is_unknown_after_it() {
    let mut world = World::new(&json!({}));
    let token = world.token();
    let script = Rc::clone(world.account.script());
    let tools = Tools { mint: &world.mint, origin: "", families: &mut world.families };
    world.account = Account::new("a".into(), script, tools, second(0));
    assert_eq!(world.refresh(0, &token).verdict.to_string(), "refused:invalid_grant");
}

#[test]
fn an_unknown_account_adopts_the_first_token_and_only_that() {
    let mut world = World::new(&json!({"rotation": {}}));
    let script = Rc::clone(world.account.script());
    world.account = Account::unknown("a".into(), script, &mut world.families);

    let decision = world.refresh(0, "from-elsewhere");
    assert_eq!(decision.verdict, Verdict::Granted);
    assert_eq!(world.account.locate(&world.mint, "from-elsewhere").map(|(_, it)| it), Some(0));
    assert_eq!(world.refresh(1, "another").verdict.to_string(), "refused:invalid_grant");
    assert_eq!(world.refresh(2, &member(&decision, "refresh_token")).verdict, Verdict::Granted);
    assert_eq!(world.refresh(3, "from-elsewhere").verdict, Verdict::Reused);
}

#[test]
fn queued_faults_strike_first_then_the_limit_then_the_standing_fault() {
    let mut world = World::new(&json!({
        "fault": "html", "fault_every": 2, "rate_limit": {"requests": 3, "per_secs": 60},
    }));
    world.account.queue(vec![fault(&json!("empty"))]).unwrap();

    #[rustfmt::skip]
    let expected = [
        "fault empty",      // 1: queued
        "fault html",       // 2: its turn
        "sound",            // 3
        "fault html",       // 4: its turn
        "limited",          // 5: three have passed
        "limited",          // 6
    ];
    for (index, treatment) in expected.into_iter().enumerate() {
        let got = match world.account.arrive(Operation::Refresh, second(1)) {
            Treatment::Sound => "sound".to_owned(),
            Treatment::Limited(_) => "limited".to_owned(),
            Treatment::Faulty(fault) => format!("fault {}", fault.name),
        };
        assert_eq!(got, treatment, "request {}", index + 1);
    }
}

#[test]
fn a_fault_waits_for_the_operation_that_it_strikes() {
    let mut world = World::new(&json!({"fault": {"fault": "html", "on": "probe"}}));
    world
        .account
        .queue(vec![fault(&json!({"fault": "lost", "on": "sign-in"})), fault(&json!("empty"))])
        .unwrap();

    let mut struck = |operation| match world.account.arrive(operation, second(1)) {
        Treatment::Faulty(fault) => fault.name.to_string(),
        Treatment::Sound | Treatment::Limited(_) => "-".to_owned(),
    };
    assert_eq!(struck(Operation::Refresh), "empty");
    assert_eq!(struck(Operation::Refresh), "-");
    assert_eq!(struck(Operation::Probe), "html");
    assert_eq!(struck(Operation::SignIn), "lost");
    assert_eq!(struck(Operation::SignIn), "-");
}

#[test]
fn a_limited_request_is_told_to_wait_in_whole_seconds_rounded_up() {
    let mut world = World::new(&json!({
        "rate_limit": {"requests": 1, "per_secs": 10.5, "retry_after": true},
    }));
    let token = world.token();
    assert_eq!(world.refresh(0, &token).verdict, Verdict::Granted);
    let decision = world.refresh(1, &token);
    assert_eq!(decision.verdict.to_string(), "refused:rate_limit_exceeded");
    assert_eq!(decision.reply.status, 429);
    assert!(decision.reply.headers.contains(&("retry-after".into(), "10".to_owned())));
}

#[test]
fn the_queue_of_faults_is_bounded() {
    let mut world = World::new(&json!({}));
    let many = vec![fault(&json!("html")); MOST_QUEUED];
    world.account.queue(many).unwrap();
    assert!(world.account.queue(vec![fault(&json!("html"))]).is_err());
    assert_eq!(world.account.queued(), MOST_QUEUED);
}

#[test]
fn a_fault_in_the_grant_changes_what_is_granted() {
    let mut world = World::new(&json!({}));
    let token = world.token();

    let decision = world.refresh_under(&json!("different_refresh_token"), &token);
    let different = member(&decision, "refresh_token");
    assert!(decision.committed && different != token);
    assert_eq!(world.refresh(1, &different).verdict, Verdict::Granted);
    assert_eq!(world.refresh(1, &token).verdict, Verdict::Granted);

    let invalid = json!({"fault": "different_refresh_token", "valid": false});
    let decision = world.refresh_under(&invalid, &token);
    let nobodys = member(&decision, "refresh_token");
    assert!(!decision.committed);
    assert_eq!(world.refresh(1, &nobodys).verdict.to_string(), "refused:invalid_grant");

    let mut silent = World::new(&json!({"omit_refresh_token": true}));
    let token_of_silent = silent.token();
    let decision = silent.refresh_under(&invalid, &token_of_silent);
    assert_ne!(member(&decision, "refresh_token"), token_of_silent);

    let decision = world.refresh_under(&json!({"fault": "wrong_types", "scope": [7]}), &token);
    let members: Value = serde_json::from_slice(&decision.reply.body).unwrap();
    assert_eq!(members["scope"], json!([7]));

    let decision = world.refresh_under(&json!("revoked_family"), &token);
    assert_eq!(decision.verdict.to_string(), "refused:invalid_grant");
    assert_eq!(world.refresh(1, &token).verdict.to_string(), "refused:invalid_grant");
}

/// Something that happens to the account whose access token is given.
type End = fn(&mut World, &str);

struct World {
    account: Account,
    mint: Mint,
    families: Families,
}

impl World {
    fn new(script: &Value) -> Self {
        let script = Script::parse(script.as_object().unwrap().clone()).unwrap();
        let (mint, mut families) = (Mint::new([7; 32]), Families::default());
        let tools = Tools { mint: &mint, origin: "", families: &mut families };
        let account = Account::new("a".into(), Rc::new(script), tools, second(0));
        Self { account, mint, families }
    }

    fn token(&self) -> String {
        self.account.refresh_token(&self.mint).unwrap()
    }

    /// The refresh token of a generation of the first login.
    fn token_of(&self, generation: u32) -> String {
        self.mint.refresh("a", 2, generation)
    }

    fn log_in(&mut self) -> String {
        let tools = Tools { mint: &self.mint, origin: "", families: &mut self.families };
        self.account.mint(tools, second(0))
    }

    fn refresh(&mut self, at: u64, token: &str) -> Decision {
        self.ask(at, &format!("grant_type=refresh_token&refresh_token={token}"))
    }

    fn refresh_under(&mut self, script: &Value, token: &str) -> Decision {
        self.account.queue(vec![fault(script)]).unwrap();
        self.refresh(1, token)
    }

    fn ask(&mut self, at: u64, form: &str) -> Decision {
        let treatment = self.account.arrive(Operation::Refresh, second(at));
        let tools = Tools { mint: &self.mint, origin: "", families: &mut self.families };
        self.account.decide(&call(form), &treatment, tools, second(at))
    }

    fn revoke(&mut self, token: &str) {
        self.account.revoke(&call(&format!("token={token}")), &self.mint).unwrap();
    }

    fn admits(&self, at: u64, token: &str) -> bool {
        let authorization = Some(format!("Bearer {token}"));
        let call = Call { authorization, ..Call::default() };
        self.account.admits(&self.mint, &call, second(at))
    }
}

fn call(form: &str) -> Call {
    Call {
        path: "token".to_owned(),
        content_type: Some("application/x-www-form-urlencoded".to_owned()),
        body: form.as_bytes().to_vec(),
        ..Call::default()
    }
}

fn member(decision: &Decision, name: &str) -> String {
    let members: Map<String, Value> = serde_json::from_slice(&decision.reply.body).unwrap();
    members[name].as_str().unwrap().to_owned()
}

fn fault(script: &Value) -> Fault {
    serde_json::from_value(script.clone()).unwrap()
}

fn second(at: u64) -> Moment {
    Moment { since_start: Duration::from_secs(at), unix: Duration::from_secs(at) }
}
