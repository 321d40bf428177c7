//! Logins, logouts and sessions, as they are asked for over a socket.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::world::KEEPER;
use super::world::READER;
use super::world::Reply;
use super::world::Stopwatch;
use super::world::World;
use super::world::alone;
use super::world::fresh;
use crate::clock;
use crate::error::code::Code;
use crate::keeper::visit::At;
use crate::keeper::visit::Call;
use crate::keeper::visit::Stage;
use crate::keeper::visit::Visit;
use crate::keeper::visit::Wish;
use crate::provider::deed::Session;
use crate::provider::deed::SessionOrder;
use crate::provider::deed::Sessions;
use crate::provider::login::Prompt;
use crate::snapshot::Refusal;
use crate::token::Generation;

const LOGIN: &str = "POST /v1/accounts/mail/login";
const SESSIONS: &str = "/v1/accounts/mail/sessions";

#[test]
fn a_login_is_begun_asked_answered_and_done() {
    alone(async {
        let world = World::new(fresh(7, 600));
        let talk = Talk::new();

        let body = r#"{"redirect":"http://127.0.0.1:4711/callback"}"#;
        let asks = async {
            let Wish::Begin { redirect, .. } = talk.hear(&world).await else { panic!("begun") };
            assert_eq!(redirect.unwrap().as_str(), "http://127.0.0.1:4711/callback");
            tokio::time::sleep(Duration::from_secs(1)).await;
            talk.show(At::Asked { prompt: password(), answerable: true, good_until: None });
        };
        let (reply, ()) = tokio::join!(world.ask_with(KEEPER, LOGIN, body), asks);
        let view = reply.json();
        assert_eq!((&view["state"], &view["login"]), (&"asked".into(), &"l1".into()));
        assert_eq!(view["prompt"]["kind"], "password");
        assert_eq!(view["prompt"]["of"], "pat@example.org");
        assert_eq!(view["prompt"]["answerable"], true);

        let body = r#"{"login":"l1","answer":"pw-canary"}"#;
        let proves = async {
            let Wish::Answer { login, answer } = talk.hear(&world).await else { panic!("answer") };
            assert_eq!((&*login, answer.expose()), ("l1", "pw-canary"));
            talk.show(At::Busy);
            talk.show(At::Proving);
            tokio::time::sleep(Duration::from_secs(1)).await;
            world.publish(fresh(8, 3_600));
            talk.show(At::Ended(Ok(Generation(8))));
        };
        let (reply, ()) = tokio::join!(world.ask_with(KEEPER, LOGIN, body), proves);
        let view = reply.json();
        assert_eq!((&view["state"], &view["generation"]), (&"done".into(), &8.into()));
        assert!(view["expires_at"].is_string());
        assert!(!reply.body.contains("canary") && !reply.body.contains("token-8"));
    });
}

#[test]
fn an_answer_is_not_taken_for_news_of_the_turn_that_it_was_given_in() {
    alone(async {
        let world = World::new(fresh(7, 600));
        let talk = Talk::new();
        talk.show(At::Asked { prompt: code(false), answerable: true, good_until: None });
        let again = async {
            talk.hear(&world).await;
            tokio::time::sleep(Duration::from_secs(2)).await;
            talk.show(At::Busy);
            let good_until = Some(clock::now().boot + Duration::from_secs(180));
            talk.show(At::Asked { prompt: code(true), answerable: true, good_until });
        };
        let body = r#"{"login":"l1","answer":"000000"}"#;
        let (reply, ()) = tokio::join!(world.ask_with(KEEPER, LOGIN, body), again);
        let prompt = &reply.json()["prompt"];
        assert_eq!((&prompt["kind"], &prompt["again"]), (&"code".into(), &true.into()));
        assert!((170..=180).contains(&prompt["ttl"].as_u64().unwrap()));
    });
}

#[test]
fn a_login_that_waits_for_its_turn_says_why_and_for_how_long() {
    alone(async {
        let world = World::new(fresh(7, 600));
        let talk = Talk::new();
        talk.show(At::Delayed { until: clock::now().boot + Duration::from_secs(50) });
        let body = r#"{"login":"l1"}"#;
        let (reply, ()) = tokio::join!(world.ask_with(KEEPER, LOGIN, body), talk.hear_look(&world));
        let view = reply.json();
        assert_eq!(view["state"], "delayed");
        assert!((48..=50).contains(&view["goes_on_in"].as_u64().unwrap()));
        assert!(view["message"].as_str().unwrap().contains("as many logins"));
    });
}

#[test]
fn whoever_has_seen_a_turn_waits_for_the_next_one_as_long_as_it_cares() {
    alone(async {
        let world = World::new(fresh(7, 600));
        let talk = Talk::new();
        talk.show(At::Asked { prompt: device(), answerable: false, good_until: None });
        let begin = Stopwatch::start();
        let look = |seen: u64| format!(r#"{{"login":"l1","seen":{seen}}}"#);
        let (first, second) = (look(1), look(2));
        let (unseen, ()) =
            tokio::join!(world.ask_with(KEEPER, LOGIN, &first), talk.hear_look(&world));
        assert_eq!((unseen.json()["turn"].as_u64(), begin.secs()), (Some(2), 0));
        let head = format!("{LOGIN}?wait=4");
        let (seen, ()) =
            tokio::join!(world.ask_with(KEEPER, &head, &second), talk.hear_look(&world));
        assert_eq!((seen.json()["turn"].as_u64(), begin.secs()), (Some(2), 4));
        assert_eq!(seen.json()["prompt"]["user_code"], "ABCD-EFGH");
    });
}

#[test]
fn a_login_that_fails_raises_its_refusal_and_one_that_is_gone_says_so() {
    alone(async {
        let world = World::new(fresh(7, 600));
        let talk = Talk::new();
        let fails = async {
            talk.hear(&world).await;
            talk.show(At::Ended(Err(Refusal::new(Code::LoginRejected, "login refused: no"))));
        };
        let (reply, ()) = tokio::join!(world.ask(KEEPER, LOGIN), fails);
        assert_eq!((reply.status, reply.code().as_str()), (409, "LOGIN_REJECTED"));

        let talk = Talk::new();
        let gone = async {
            talk.hear(&world).await;
            drop(talk);
        };
        let (reply, ()) = tokio::join!(world.ask(KEEPER, LOGIN), gone);
        assert_eq!((reply.status, reply.code().as_str()), (400, "BAD_REQUEST"));
    });
}

#[test]
fn a_login_is_cancelled_at_once() {
    alone(async {
        let world = World::new(fresh(7, 600));
        let talk = Talk::new();
        let hears = async {
            assert!(matches!(talk.hear(&world).await, Wish::Cancel { .. }));
        };
        let body = r#"{"login":"l1","cancel":true}"#;
        let (reply, ()) = tokio::join!(world.ask_with(KEEPER, LOGIN, body), hears);
        assert_eq!((reply.status, &reply.json()["state"]), (200, &"cancelled".into()));
    });
}

#[test]
fn nobody_begins_more_than_five_logins_in_a_minute() {
    alone(async {
        let world = World::new(fresh(7, 600));
        let ahead = clock::now().boot + Duration::from_secs(48);
        assert_eq!(world.desk.logins.borrow_mut().take(KEEPER, ahead), Ok(()));
        for head in [LOGIN, "POST /v1/accounts/mail/logout", &format!("GET {SESSIONS}")] {
            let reply = world.ask(KEEPER, head).await;
            assert_eq!(
                (reply.status, reply.code().as_str()),
                (429, "RATE_LIMIT_EXCEEDED"),
                "{head}"
            );
            let message = reply.json()["message"].as_str().unwrap().to_owned();
            assert!(message.contains("the next one is allowed in "), "{message}");
        }
        assert!(world.is_quiet());
    });
}

#[test]
fn logins_logouts_and_sessions_are_for_administrators_of_the_account() {
    alone(async {
        let world = World::new(fresh(7, 600));
        let heads = [
            LOGIN.to_owned(),
            "POST /v1/accounts/mail/logout".to_owned(),
            format!("GET {SESSIONS}"),
            format!("DELETE {SESSIONS}?all=true"),
        ];
        for head in heads {
            assert_eq!(world.ask(READER, &head).await.status, 403, "{head}");
        }
        assert!(world.is_quiet());
    });
}

#[test]
fn sessions_are_listed_and_ended() {
    alone(async {
        let world = World::new(fresh(7, 600));
        let listed = || {
            let one = Session { id: "s1".into(), current: true, ..Session::default() };
            Ok(Sessions::Listed(vec![one]))
        };
        let (reply, order) = ask_about_sessions(&world, &format!("GET {SESSIONS}"), listed()).await;
        assert_eq!(order, SessionOrder::List);
        assert_eq!(reply.json()["sessions"][0]["id"], "s1");
        assert_eq!(reply.json()["sessions"][0]["current"], true);

        let head = format!("DELETE {SESSIONS}?id=s%2F1");
        let (reply, order) = ask_about_sessions(&world, &head, Ok(Sessions::Ended(None))).await;
        assert_eq!(order, SessionOrder::End("s/1".into()));
        assert_eq!(reply.status, 200);

        let head = format!("DELETE {SESSIONS}?all=true");
        let (reply, order) = ask_about_sessions(&world, &head, Ok(Sessions::Ended(Some(3)))).await;
        assert_eq!(order, SessionOrder::EndAll);
        let message = reply.json()["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with("account mail: 3 sessions are ended; "), "{message}");
        assert!(
            message.ends_with("by a refresh; to see it, type: tokenctl status mail"),
            "{message}"
        );

        let refusal = Refusal::new(Code::NotSupported, "this server has no sessions");
        let (reply, _) = ask_about_sessions(&world, &format!("GET {SESSIONS}"), Err(refusal)).await;
        assert_eq!((reply.status, reply.code().as_str()), (409, "NOT_SUPPORTED"));
    });
}

#[test]
fn a_local_logout_says_until_when_the_token_stays_good() {
    alone(async {
        let world = World::new(fresh(7, 600));
        let done = Ok(crate::lifecycle::words::Done::Changed(Generation(7)));
        let head = "POST /v1/accounts/mail/logout";
        let (reply, _) =
            tokio::join!(world.ask_with(KEEPER, head, r#"{"local":true}"#), world.obey(done, []),);
        let message = reply.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains("at the provider the login goes on"), "{message}");
        assert!(message.contains("stays good until 20"), "{message}");
    });
}

async fn ask_about_sessions(
    world: &World,
    head: &str,
    answer: Result<Sessions, Refusal>,
) -> (Reply, SessionOrder) {
    let answers = async {
        let Call::Sessions { order, reply, .. } = world.next_call().await else {
            panic!("another call");
        };
        reply.send(answer).unwrap();
        order
    };
    tokio::join!(world.ask(KEEPER, head), answers)
}

/// A login whose engine is the test.
struct Talk(watch::Sender<Arc<Stage>>);

impl Talk {
    fn new() -> Self {
        Self(watch::Sender::new(Arc::new(Stage { turn: 1, at: At::Busy })))
    }

    /// Hears the next wish and answers with how the login stands.
    async fn hear(&self, world: &World) -> Wish {
        let Call::Login { account, wish, reply } = world.next_call().await else {
            panic!("another call");
        };
        assert_eq!(account.as_str(), "mail");
        let stage = self.0.subscribe();
        let turn = stage.borrow().turn;
        assert!(reply.send(Ok(Visit { login: "l1".into(), stage, turn })).is_ok());
        wish
    }

    async fn hear_look(&self, world: &World) {
        assert!(matches!(self.hear(world).await, Wish::Look { .. }));
    }

    fn show(&self, at: At) {
        let turn = self.0.borrow().turn + 1;
        self.0.send_replace(Arc::new(Stage { turn, at }));
    }
}

fn password() -> Prompt {
    Prompt::Password { of: "pat@example.org".into() }
}

fn code(again: bool) -> Prompt {
    Prompt::Code { from: "the post".into(), again, good_for: None }
}

fn device() -> Prompt {
    Prompt::Device {
        url: "https://idp.example/device".into(),
        complete: None,
        user_code: "ABCD-EFGH".into(),
        good_for: Duration::from_secs(600),
    }
}
