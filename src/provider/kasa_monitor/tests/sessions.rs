//! Sessions, listed and ended.

use super::account;
use super::header;
use crate::provider::Method;
use crate::provider::Provider as _;
use crate::provider::Step;
use crate::provider::deed::Deed;
use crate::provider::deed::Session;
use crate::provider::deed::SessionOrder;
use crate::provider::deed::Sessions;
use crate::provider::testing::response;
use crate::token::Secret;

#[test]
fn sessions_are_asked_for_in_the_name_of_the_user() {
    #[rustfmt::skip]
    let cases = [
        (SessionOrder::List,                  Method::Get,    "http://127.0.0.1:5272/api/auth/sessions"),
        (SessionOrder::EndAll,                Method::Post,   "http://127.0.0.1:5272/api/auth/sessions/logout-all"),
        (SessionOrder::End("sess_1".into()),  Method::Delete, "http://127.0.0.1:5272/api/auth/sessions/sess_1"),
        (SessionOrder::End("a/b?c".into()),   Method::Delete, "http://127.0.0.1:5272/api/auth/sessions/a%2Fb%3Fc"),
    ];
    for (order, method, url) in cases {
        let Step::Ask(request) = deed(order).next(None) else { panic!("{url}") };
        assert_eq!((request.method, request.url.as_str()), (method, url));
        assert_eq!(header(&request, "authorization"), Some("Bearer A1"));
        assert!(!request.spends);
    }
}

/// The answer that the wiki shows, with a second session.
#[test]
fn sessions_are_listed_as_the_server_tells_them() {
    let body = r#"{"sessions":[
        {"session_id":"sess_abc123","ip_address":"192.168.1.100","user_agent":"Mozilla/5.0...",
         "created_at":"2024-01-01T10:00:00Z","last_activity":"2024-01-01T10:25:00Z",
         "expires_at":"2024-01-01T10:30:00Z","is_current":true},
        {"session_id":7,"user_agent":"x\u001b[31m","ip_address":null,"is_current":"yes"},
        {"user_agent":"no id"}, {"session_id":".."}, 5
    ],"total":2,"max_allowed":3}"#;
    let mut deed = deed(SessionOrder::List);
    deed.next(None);
    let Step::Done(Ok(Sessions::Listed(sessions))) =
        deed.next(Some(response(200, "application/json", body)))
    else {
        panic!("a list")
    };
    let first = Session {
        id: "sess_abc123".into(),
        device: Some("Mozilla/5.0...".into()),
        address: Some("192.168.1.100".into()),
        begun: Some("2024-01-01T10:00:00Z".into()),
        used: Some("2024-01-01T10:25:00Z".into()),
        ends: Some("2024-01-01T10:30:00Z".into()),
        current: true,
    };
    let second = Session { id: "7".into(), device: Some("x[31m".into()), ..Session::default() };
    assert_eq!(sessions, [first, second]);
}

#[test]
fn a_list_of_sessions_is_never_endless() {
    let row = r#"{"session_id":"s"},"#.repeat(500);
    let body = format!(r#"{{"sessions":[{}]}}"#, row.trim_end_matches(','));
    let mut deed = deed(SessionOrder::List);
    deed.next(None);
    let done = deed.next(Some(response(200, "application/json", &body)));
    assert!(matches!(done, Step::Done(Ok(Sessions::Listed(list))) if list.len() == 100));
}

#[test]
fn a_server_without_sessions_is_told_from_a_session_that_is_not_there() {
    let none = "this server has no session API";
    let unknown = "the server has no session of that id";
    let end = || SessionOrder::End("sess_1".into());
    let gone = || response(404, "application/json", r#"{"detail":"Not Found"}"#);
    let list = || response(200, "application/json", r#"{"sessions":[]}"#);
    #[rustfmt::skip]
    let cases = [
        (SessionOrder::List,   vec![gone()],          none),
        (SessionOrder::EndAll, vec![gone()],          none),
        (end(),                vec![gone(), gone()],  none),
        (end(),                vec![gone(), list()],  unknown),
    ];
    for (order, answers, message) in cases {
        let mut deed = deed(order);
        assert!(matches!(deed.next(None), Step::Ask(_)));
        let steps = answers.into_iter().map(|answer| deed.next(Some(answer)));
        let Some(Step::Done(Err(error))) = steps.last() else { panic!("{message}") };
        assert_eq!(error.to_string(), message);
    }
    for id in ["", ".", "..", "a\u{1b}b", &"x".repeat(129)] {
        let step = deed(SessionOrder::End(id.into())).next(None);
        let Step::Done(Err(error)) = step else { panic!("{id:?} was sent") };
        assert_eq!(error.to_string(), unknown, "{id:?}");
    }
}

#[test]
fn what_became_of_an_order_about_sessions_is_told() {
    let ok = || response(200, "application/json", r#"{"message":"x"}"#);
    let forbidden = r#"{"error":"authorization_failed","message":"You don't have permission to access this resource","error_code":"INSUFFICIENT_PERMISSIONS","required_permission":"ADMIN_ACCESS"}"#;
    let forbidden = || response(403, "application/json", forbidden);
    let page = || response(200, "text/html", "<html></html>");
    let end = || SessionOrder::End("sess_1".into());
    #[rustfmt::skip]
    let cases = [
        (end(),                ok(),                        Ok(Some(1))),
        (SessionOrder::EndAll, ok(),                        Ok(None)),
        (end(),                response(204, "", ""),       Ok(Some(1))),
        (SessionOrder::List,   ok(),                        Err("unusable answer of the provider: no list of sessions")),
        (end(),                page(),                      Err("not an answer of the provider: a page, with HTTP 200")),
        (end(),                forbidden(),                 Err("client refused: INSUFFICIENT_PERMISSIONS (You don't have permission to access this resource)")),
        (SessionOrder::List,   response(307, "", ""),       Err("not an answer of the provider: HTTP 307, which is not followed")),
    ];
    for (order, answer, expected) in cases {
        let mut deed = deed(order);
        deed.next(None);
        match (deed.next(Some(answer)), expected) {
            (Step::Done(Ok(sessions)), Ok(count)) => assert_eq!(sessions, Sessions::Ended(count)),
            (Step::Done(Err(error)), Err(message)) => assert_eq!(error.to_string(), message),
            (_, expected) => panic!("{expected:?}"),
        }
    }
}

fn deed(order: SessionOrder) -> Box<dyn Deed<Sessions>> {
    account("").sessions(order, Secret::new("A1")).unwrap()
}
