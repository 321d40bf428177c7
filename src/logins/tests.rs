//! Conversations on paused time, with a scripted codec and a scripted way out.

mod puppet;
mod stand;

use self::puppet::CODED;
use self::puppet::ask;
use self::puppet::call;
use self::puppet::done;
use self::puppet::grant;
use self::puppet::pause;
use self::puppet::prompt;
use self::puppet::request;
use self::puppet::secs;
use self::stand::Stand;
use self::stand::began;
use self::stand::id;
use self::stand::until_asked;
use self::stand::until_asked_again;
use self::stand::until_delayed;
use self::stand::until_ended;
use super::MOST_LOGINS;
use super::talk::IDLE;
use crate::error::RefreshError;
use crate::error::code::Code;
use crate::error::foreign::OauthError;
use crate::keeper::visit::At;
use crate::keeper::visit::Password;
use crate::keeper::visit::Typist;
use crate::keeper::visit::Wish;
use crate::lifecycle::words::Action;
use crate::lifecycle::words::Done;
use crate::provider::Method;
use crate::provider::Request;
use crate::provider::deed::Session;
use crate::provider::deed::SessionOrder;
use crate::provider::deed::Sessions;
use crate::provider::login::Prompt;
use crate::provider::login::Turn;
use crate::snapshot::Refusal;
use crate::time::Moment;
use crate::token::Generation;
use crate::token::Grant;

#[tokio::test(start_paused = true)]
async fn a_login_asks_the_person_then_the_provider_and_hands_over_what_it_brought() {
    let stage = Stand::new(|| vec![prompt("password"), ask(), done("r1")], 200);
    stage
        .play(async {
            let visit = stage.begin().await.unwrap();
            assert_eq!(until_asked(&visit).await, "password of pat");
            let shown = stage.answer(&visit, "hunter2").await.unwrap();
            let order = stage.next_order().await;
            let Action::Import(credential) = order.action else { panic!("another order") };
            assert_eq!(credential.refresh_token.expose(), "r1");
            assert!(matches!(shown.stage.borrow().at, At::Proving));
            order.reply.send(Ok(Done::Current(Generation(8)))).unwrap();
            assert_eq!(until_ended(&visit).await, Ok(Generation(8)));
            assert_eq!(stage.heard(), ["begun", "answer hunter2", "response 200"]);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_credential_that_is_not_proven_is_a_failure_of_the_login() {
    let stage = Stand::new(|| vec![ask(), done("r1")], 200);
    stage
        .play(async {
            let visit = stage.begin().await.unwrap();
            let order = stage.next_order().await;
            let refusal = Refusal::new(Code::GrantRejected, "it was not taken over");
            order.reply.send(Err(refusal.clone())).unwrap();
            assert_eq!(until_ended(&visit).await, Err(refusal));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_the_provider_refuses_ends_the_login_with_its_words_and_hands_over_nothing() {
    let refused = || RefreshError::LoginRejected(OauthError::new("bad_password", None));
    let stage = Stand::new(move || vec![ask(), Turn::Done(Err(refused()))], 200);
    stage
        .play(async {
            let visit = stage.begin().await.unwrap();
            let refusal = until_ended(&visit).await.unwrap_err();
            assert_eq!(refusal.code, Code::LoginRejected);
            assert_eq!(&*refusal.provider_error.unwrap().code, "bad_password");
            assert!(stage.is_quiet());
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_grant_without_a_refresh_token_is_told_how_to_get_one() {
    let bare = || Box::new(Grant { refresh_token: None, ..grant("r") });
    let stage = Stand::new(move || vec![Turn::Done(Ok(bare()))], 200);
    stage
        .play(async {
            let visit = stage.begin().await.unwrap();
            let refusal = until_ended(&visit).await.unwrap_err();
            assert_eq!(refusal.code, Code::NotSupported);
            assert!(refusal.message.contains("offline access"), "{}", refusal.message);
            assert!(stage.is_quiet());
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_lost_is_sent_again_twice_and_no_more() {
    let stage = Stand::new(|| vec![ask(), ask(), ask(), ask()], 0);
    stage
        .play(async {
            let visit = stage.begin().await.unwrap();
            let refusal = until_ended(&visit).await.unwrap_err();
            assert_eq!(refusal.code, Code::ProviderUnreachable);
            assert_eq!(stage.heard(), ["begun", "lost", "lost"]);
            assert_eq!(stage.sent(), 3);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_device_is_polled_with_pauses_and_shown_to_the_person_once() {
    let stage = Stand::new(|| vec![ask(), pause(5), ask(), pause(5), ask(), done("r1")], 200);
    stage
        .play(async {
            let began = began();
            let visit = stage.begin().await.unwrap();
            assert_eq!(until_asked(&visit).await, "device ABCD-EFGH");
            let turn = visit.stage.borrow().turn;
            let order = stage.next_order().await;
            assert_eq!(began.elapsed(), secs(10));
            assert_eq!(visit.stage.borrow().turn, turn + 1, "asked again without a pause");
            order.reply.send(Ok(Done::Current(Generation(1)))).unwrap();
            assert_eq!(until_ended(&visit).await, Ok(Generation(1)));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_a_person_typed_is_not_shown_again_though_the_provider_says_it() {
    let repeats = || {
        let from = "what was sent to hunter2".into();
        Turn::Prompt(Prompt::Code { from, again: false, good_for: None })
    };
    let stage = Stand::new(move || vec![prompt("password"), repeats()], 200);
    stage
        .play(async {
            let visit = stage.begin().await.unwrap();
            until_asked(&visit).await;
            let shown = stage.answer(&visit, "hunter2").await.unwrap();
            assert_eq!(until_asked_again(&shown).await, "code from what was sent to [masked]");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_login_that_is_cancelled_leaves_no_trace_at_any_step() {
    let scripts: [fn() -> Vec<Turn>; 3] = [
        || vec![prompt("password"), ask(), done("r1")],
        || vec![ask(), prompt("code"), done("r1")],
        || vec![ask(), pause(5), done("r1")],
    ];
    for script in scripts {
        let stage = Stand::new(script, 200);
        stage
            .play(async {
                let visit = stage.begin().await.unwrap();
                until_asked(&visit).await;
                let login = visit.login.as_ref().into();
                assert!(stage.wish(Wish::Cancel { login }).await.is_ok());
                assert!(visit.stage.clone().wait_for(|_| false).await.is_err(), "the talk goes on");
                let login = visit.login.as_ref().into();
                let gone = stage.wish(Wish::Look { login }).await.err().unwrap();
                assert_eq!(gone.code, Code::BadRequest);
                tokio::time::sleep(IDLE).await;
                assert!(stage.is_quiet());
            })
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_being_proven_can_neither_be_cancelled_nor_overtaken() {
    let stage = Stand::new(|| vec![done("r1")], 200);
    stage
        .play(async {
            let visit = stage.begin().await.unwrap();
            let order = stage.next_order().await;
            let login = visit.login.as_ref().into();
            let refusal = stage.wish(Wish::Cancel { login }).await.err().unwrap();
            assert_eq!(refusal.code, Code::RefreshPending);
            assert_eq!(stage.begin().await.err().unwrap().code, Code::RefreshPending);
            order.reply.send(Ok(Done::Current(Generation(1)))).unwrap();
            assert_eq!(until_ended(&visit).await, Ok(Generation(1)));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_login_that_nobody_answers_is_given_up() {
    let scripts: [fn() -> Vec<Turn>; 2] =
        [|| vec![prompt("password")], || (0..20).flat_map(|_| [pause(100), ask()]).collect()];
    for script in scripts {
        let stage = Stand::new(script, 200);
        stage
            .play(async {
                let began = began();
                let visit = stage.begin().await.unwrap();
                let refusal = until_ended(&visit).await.unwrap_err();
                assert_eq!(refusal.code, Code::SessionExpired);
                assert_eq!(began.elapsed(), IDLE);
            })
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_login_can_be_asked_for_and_is_then_forgotten() {
    let stage = Stand::new(|| vec![Turn::Done(Err(RefreshError::BornExpired))], 200);
    stage
        .play(async {
            let visit = stage.begin().await.unwrap();
            until_ended(&visit).await.unwrap_err();
            let look = || Wish::Look { login: visit.login.as_ref().into() };
            assert!(stage.wish(look()).await.is_ok());
            tokio::time::sleep(secs(61)).await;
            assert!(stage.wish(look()).await.is_err());
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_newer_login_of_an_account_takes_the_place_of_an_older() {
    let stage = Stand::new(|| vec![prompt("password")], 200);
    stage
        .play(async {
            let older = stage.begin().await.unwrap();
            until_asked(&older).await;
            let newer = stage.begin().await.unwrap();
            assert_ne!(older.login, newer.login);
            assert_eq!(until_asked(&newer).await, "password of pat");
            assert!(stage.answer(&older, "x").await.is_err(), "the older one is answered");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_waits_for_is_refused() {
    let stage = Stand::new(|| vec![pause(5)], 200);
    stage
        .play(async {
            let visit = stage.begin().await.unwrap();
            until_asked(&visit).await;
            assert_eq!(stage.answer(&visit, "x").await.err().unwrap().code, Code::BadRequest);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn whoever_begins_too_often_is_refused_and_whoever_answered_waits() {
    let full = Stand::new(|| vec![ask(), done("r1")], 200);
    full.turns.lock().unwrap().push_back(Err(Moment::from_millis(90_000)));
    full.play(async {
        let visit = full.begin().await.unwrap();
        let refusal = until_ended(&visit).await.unwrap_err();
        assert_eq!(refusal.code, Code::RateLimitExceeded);
        assert_eq!(refusal.retry_at, Some(Moment::from_millis(90_000)));
        assert_eq!(full.sent(), 0);
    })
    .await;

    let late = Stand::new(|| vec![ask(), prompt("code"), ask(), done("r1")], 200);
    late.turns.lock().unwrap().extend([Ok(()), Err(Moment::from_millis(31_000))]);
    late.play(async {
        let visit = late.begin().await.unwrap();
        until_asked(&visit).await;
        let began = began();
        late.answer(&visit, "123456").await.unwrap();
        assert_eq!(until_delayed(&visit).await, Moment::from_millis(31_000));
        late.next_order().await;
        assert_eq!(began.elapsed(), secs(30));
    })
    .await;
}

/// Metadata, say.
#[tokio::test(start_paused = true)]
async fn what_is_only_looked_up_is_no_login() {
    let look = || Turn::Ask(Request { method: Method::Get, ..request() });
    let stage = Stand::new(move || vec![look(), prompt("password"), ask(), done("r1")], 200);
    stage.turns.lock().unwrap().push_back(Err(Moment::from_millis(31_000)));
    stage
        .play(async {
            let visit = stage.begin().await.unwrap();
            until_asked(&visit).await;
            let began = began();
            stage.answer(&visit, "hunter2").await.unwrap();
            stage.next_order().await;
            assert_eq!(began.elapsed(), secs(30), "whoever did something already waits");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_password_that_is_given_to_a_login_without_one_is_refused() {
    let typed = || begin(Password::Typed, Typist::Person);
    let device = || vec![pause(5), ask(), done("r1")];
    let program = || vec![call(), done("r1")];
    let other_ways: [fn() -> Vec<Turn>; 4] =
        [|| vec![prompt("code")], || vec![ask(), done("r1")], device, program];
    for way in other_ways {
        let stage = Stand::new(way, 200);
        stage
            .play(async {
                let visit = stage.wish(typed()).await.unwrap();
                let refusal = until_ended(&visit).await.unwrap_err();
                assert_eq!(refusal.code, Code::NotSupported);
                assert!(refusal.message.contains("takes no password"), "{}", refusal.message);
                assert!(stage.is_quiet(), "nothing is handed over");
            })
            .await;
    }

    let stage = Stand::new(|| vec![prompt("password"), ask(), done("r1")], 200);
    stage
        .play(async {
            let visit = stage.wish(typed()).await.unwrap();
            until_asked(&visit).await;
            stage.answer(&visit, "hunter2").await.unwrap();
            stage.next_order().await;
        })
        .await;
}

/// Of a login that sends a code, to ask the provider is to send it.
#[tokio::test(start_paused = true)]
async fn where_no_login_takes_a_password_one_is_refused_before_the_provider_is_asked() {
    let stage = Stand::new(|| vec![ask(), prompt("code")], 200);
    stage
        .play(async {
            let typed = begin(Password::Typed, Typist::Person);
            let refusal = stage.wish_of(CODED, typed).await.err().unwrap();
            assert!(refusal.message.contains("takes no password"), "{}", refusal.message);
            assert_eq!(stage.heard(), [""; 0]);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn where_nobody_can_type_a_code_none_is_sent_and_other_logins_begin() {
    let stage = Stand::new(|| vec![ask(), prompt("code")], 200);
    stage
        .play(async {
            let alone = || begin(Password::Stored, Typist::Nobody);
            let refusal = stage.wish_of(CODED, alone()).await.err().unwrap();
            assert_eq!(refusal.code, Code::NotSupported);
            assert!(refusal.message.contains("no terminal"), "{}", refusal.message);
            assert_eq!((stage.heard(), stage.sent()), (Vec::new(), 0));

            let visit = stage.wish(alone()).await.unwrap();
            until_asked(&visit).await;
            assert_eq!(stage.sent(), 1);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_program_that_logs_in_by_itself_is_asked_once_in_its_turn() {
    let stage = Stand::new(|| vec![call(), done("r1")], 200);
    stage
        .play(async {
            stage.begin().await.unwrap();
            stage.next_order().await;
            assert_eq!((stage.heard(), stage.sent()), (vec!["begun".into(), "called".into()], 1));
        })
        .await;

    let full = Stand::new(|| vec![call(), done("r1")], 200);
    full.turns.lock().unwrap().push_back(Err(Moment::from_millis(90_000)));
    full.play(async {
        let visit = full.begin().await.unwrap();
        assert_eq!(until_ended(&visit).await.unwrap_err().code, Code::RateLimitExceeded);
        assert_eq!(full.sent(), 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn no_more_logins_are_held_than_there_is_room_for() {
    let stage = Stand::new(|| vec![prompt("password")], 200);
    stage
        .play(async {
            for number in 0..MOST_LOGINS {
                let visit = stage.begin_as(&format!("a{number}")).await.unwrap();
                until_asked(&visit).await;
            }
            let refusal = stage.begin_as("another").await.err().unwrap();
            assert_eq!(refusal.code, Code::RateLimitExceeded);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_codec_that_never_comes_to_an_end_is_stopped() {
    let stage = Stand::new(|| (0..20).map(|_| ask()).collect(), 200);
    stage
        .play(async {
            let visit = stage.begin().await.unwrap();
            assert_eq!(until_ended(&visit).await.unwrap_err().code, Code::Internal);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn sessions_are_asked_for_with_the_access_token() {
    let stage = Stand::new(Vec::new, 200);
    stage
        .play(async {
            let listed = stage.keeper.sessions(&id("mail"), SessionOrder::List).await;
            let session = Session { id: "token-1".into(), ..Session::default() };
            assert_eq!(listed, Ok(Sessions::Listed(vec![session])));
            let ended = stage.keeper.sessions(&id("mail"), SessionOrder::EndAll).await;
            assert_eq!(ended.unwrap_err().code, Code::NotSupported);
        })
        .await;
}

/// What was ended may be the daemon's own.
#[tokio::test(start_paused = true)]
async fn once_sessions_are_ended_the_account_is_refreshed() {
    let stage = Stand::new(Vec::new, 200);
    stage
        .play(async {
            let account = id("mail");
            let ending = stage.keeper.sessions(&account, SessionOrder::End("s1".into()));
            let obeys = async {
                let order = stage.next_order().await;
                assert!(matches!(order.action, Action::Refresh));
                order.reply.send(Ok(Done::Joined(Generation(1)))).unwrap();
            };
            let (ended, ()) = tokio::join!(ending, obeys);
            assert_eq!(ended, Ok(Sessions::Ended(Some(1))));
        })
        .await;
}

const fn begin(password: Password, typist: Typist) -> Wish {
    Wish::Begin { redirect: None, password, typist }
}
