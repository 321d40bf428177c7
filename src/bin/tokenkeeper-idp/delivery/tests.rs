//! Faults as bytes: what reaches the client of a reply that was decided, or was not.

use super::*;
use crate::fault::Fault;

#[test]
fn without_a_fault_the_reply_goes_out_whole() {
    let delivery = plan(None, Some(decided()), place());
    assert_eq!(delivery.steps, [Step::Send(honest())]);
    assert_eq!((delivery.end, delivery.whole), (End::KeepAlive, true));
}

#[test]
fn a_fault_ends_as_it_should() {
    #[rustfmt::skip]
    let cases = [
        // fault, end, whole
        (json!("lost"),                                  End::Close,     false),
        (json!("hang"),                                  End::Hang,      false),
        (json!("reset"),                                 End::Reset,     false),
        (json!("truncate"),                              End::Close,     false),
        (json!("half_close"),                            End::HalfClose, false),
        (json!("not_http"),                              End::Close,     false),
        (json!({"fault": "drip", "bytes_per_sec": 5}),   End::Close,     true),
        (json!({"fault": "huge", "bytes": 9999}),        End::Close,     true),
        (json!({"fault": "status", "status": 503}),      End::KeepAlive, true),
        (json!({"fault": "status", "status": 101}),      End::Close,     true),
        (json!("html"),                                  End::KeepAlive, true),
        (json!("early_1xx"),                             End::KeepAlive, true),
    ];
    for (script, end, whole) in cases {
        let delivery = under(&script, Some(decided()));
        assert_eq!((delivery.end, delivery.whole), (end, whole), "{script}");
    }
}

#[test]
fn a_replacing_fault_shows_nothing_of_what_was_decided() {
    #[rustfmt::skip]
    let cases = [
        (json!({"fault": "status", "status": 418}),             "HTTP/1.1 418 ",     "scripted fault\n"),
        (json!({"fault": "status", "status": 503, "body": "x"}), "HTTP/1.1 503 ",    "\r\n\r\nx"),
        (json!({"fault": "status", "status": 500, "body": {"a": 1}}), "HTTP/1.1 500 ", r#"{"a":1}"#),
        (json!({"fault": "oauth", "error": "slow_down"}),       "HTTP/1.1 400 ",     r#"{"error":"slow_down","error_description":"scripted fault"}"#),
        (json!({"fault": "error_in_200", "error": "bad_refresh_token"}), "HTTP/1.1 200 ", r#""error_description":"scripted fault"}"#),
        (json!("html"),                                         "HTTP/1.1 200 ",     "</html>\n"),
        (json!("html_status"),                                  "HTTP/1.1 502 ",     "</html>\n"),
        (json!("empty"),                                        "HTTP/1.1 200 ",     "content-length: 0\r\n\r\n"),
        (json!("redirect"),                                     "HTTP/1.1 307 ",     "\r\n\r\n"),
        (json!("array"),                                        "HTTP/1.1 200 ",     "]"),
        (json!("string"),                                       "HTTP/1.1 200 ",     "\r\n\r\n\"access_token\""),
        (json!("null"),                                         "HTTP/1.1 200 ",     "\r\n\r\nnull"),
    ];
    for (script, start, end) in cases {
        let text = text(&under(&script, Some(decided())));
        assert!(text.starts_with(start) && text.ends_with(end), "{script}: {text}");
        assert!(!text.contains("decided"), "{script}: {text}");
    }
}

#[test]
fn a_reset_cuts_after_every_possible_byte() {
    let whole = honest();
    for after in 0..whole.len() {
        let delivery = under(&json!({"fault": "reset", "after_bytes": after}), Some(decided()));
        assert_eq!(sent(&delivery), whole[..after], "after {after}");
    }
}

#[test]
fn a_truncated_reply_announces_more_than_it_sends() {
    #[rustfmt::skip]
    let cases = [
        (json!({"fault": "truncate", "bytes": 0}),   ""),
        (json!({"fault": "truncate", "bytes": 3}),   r#"{"w"#),
        (json!("truncate"),                          r#"{"what":""#),
        (json!({"fault": "half_close", "bytes": 1}), "{"),
    ];
    for (script, body) in cases {
        let text = text(&under(&script, Some(decided())));
        assert!(text.contains("content-length: 18\r\n"), "{script}: {text}");
        assert!(text.ends_with(&format!("\r\n\r\n{body}")), "{script}: {text}");
    }
}

#[test]
fn before_the_commit_a_damaged_reply_is_a_503() {
    for script in [json!({"fault": "drip", "bytes_per_sec": 1}), json!("huge_headers")] {
        let text = text(&under(&script, None));
        assert!(text.starts_with("HTTP/1.1 503 "), "{script}: {text}");
    }
}

#[test]
fn a_huge_reply_is_one_json_object_of_the_announced_length() {
    for bytes in [0_u64, 100, 5000] {
        let delivery = under(&json!({"fault": "huge", "bytes": bytes}), Some(decided()));
        let text = text(&delivery);
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{head}");
        assert!(u64::try_from(body.len()).unwrap() >= bytes);
        let members: Value = serde_json::from_str(body).unwrap();
        assert_eq!(members["what"], "decided");
    }
}

#[test]
fn retry_after_goes_out_in_the_form_of_the_script() {
    #[rustfmt::skip]
    let cases = [
        ("seconds:5", "retry-after: 5\r\n"),
        ("date:60",   "retry-after: Thu, 01 Jan 1970 00:17:40 GMT\r\n"),
        ("date:-60",  "retry-after: Thu, 01 Jan 1970 00:15:40 GMT\r\n"),
        ("soon",      "retry-after: soon\r\n"),
    ];
    for (after, line) in cases {
        let script = json!({"fault": "status", "status": 429, "retry_after": after});
        let text = text(&under(&script, None));
        assert!(text.contains(line), "{text}");
    }
}

#[test]
fn interim_replies_come_before_the_real_one() {
    let text = text(&under(&json!({"fault": "early_1xx", "count": 3}), Some(decided())));
    assert_eq!(text.matches("HTTP/1.1 103 ").count(), 3);
    assert!(text.ends_with(str::from_utf8(&honest()).unwrap()));
}

#[test]
fn huge_headers_are_as_large_as_the_script_says() {
    let script = json!({"fault": "huge_headers", "bytes": 20_000});
    let text = text(&under(&script, Some(decided())));
    let (head, _) = text.split_once("\r\n\r\n").unwrap();
    assert!((20_000..21_000).contains(&head.len()), "{}", head.len());
}

#[test]
fn a_bomb_calls_itself_gzip_and_is_small() {
    let delivery = under(&json!({"fault": "gzip_bomb", "bytes": 1_000_000}), None);
    let bytes = sent(&delivery);
    assert!(bytes.len() < 20_000);
    assert!(String::from_utf8_lossy(&bytes).contains("content-encoding: gzip\r\n"));
}

#[test]
fn malformed_json_is_what_was_decided_up_to_its_end() {
    let text =
        text(&under(&json!({"fault": "malformed_json", "after_commit": true}), Some(decided())));
    assert!(text.ends_with(r#"{"what":"decided",,"#), "{text}");
}

#[test]
fn a_wrong_content_type_replaces_the_right_one() {
    let text = text(&under(&json!("wrong_content_type"), Some(decided())));
    assert!(text.contains("content-type: text/plain\r\n") && !text.contains("application/json"));
}

#[test]
fn a_redirect_leads_where_it_is_told_or_back() {
    let own = text(&under(&json!("redirect"), None));
    assert!(own.contains("location: /a/token\r\n"));
    let told = json!({"fault": "redirect", "status": 302, "location": "http://127.0.0.1:1/x"});
    assert!(text(&under(&told, None)).contains("location: http://127.0.0.1:1/x\r\n"));
}

fn under(script: &Value, decided: Option<Reply>) -> Delivery {
    let fault: Fault = serde_json::from_value(script.clone()).unwrap();
    plan(Some(&fault.kind), decided, place())
}

fn decided() -> Reply {
    Reply::json(200, &json!({"what": "decided"}))
}

fn honest() -> Vec<u8> {
    decided().encode(place().unix, place().connection)
}

fn place() -> Place<'static> {
    Place { path: "/a/token", unix: Duration::from_secs(1000), connection: Connection::KeepAlive }
}

fn sent(delivery: &Delivery) -> Vec<u8> {
    let mut bytes = Vec::new();
    for step in &delivery.steps {
        match step {
            Step::Send(piece) | Step::Drip { bytes: piece, .. } => bytes.extend(piece),
            Step::Fill(count) => bytes.extend((0..*count).map(|_| b'a')),
        }
    }
    bytes
}

fn text(delivery: &Delivery) -> String {
    String::from_utf8(sent(delivery)).unwrap()
}
