//! Requests that are wrong, and exactly what is said to each.

use tokio::io::AsyncWriteExt;

use super::world::KEEPER;
use super::world::OPERATOR;
use super::world::READER;
use super::world::REFRESHER;
use super::world::World;
use super::world::alone;
use super::world::fresh;
use super::world::read;

#[test]
fn every_wrong_request_is_told_what_is_wrong() {
    /// Not sent: what HTTP says of a path that does not exist is all the same for everybody.
    const ANYBODY: u32 = READER;

    #[rustfmt::skip]
    let cases = [
        // who      request                                                          body                              status  message
        (ANYBODY,   "GET /",                                                         "",                               404, "there is no `/`; /v1/openapi.json lists what there is."),
        (ANYBODY,   "GET /v1/acounts",                                               "",                               404, "there is no `/v1/acounts`; did you mean `/v1/accounts`?"),
        (ANYBODY,   "GET /v1/accounts/mail/tokens",                                  "",                               404, "there is no `/v1/accounts/mail/tokens`; did you mean `/v1/accounts/mail/token`?"),
        (ANYBODY,   "GET /v1/accounts/mail/4f9aKq0ZtYxLm3Pq7Rw2",                    "",                               404, "there is no `/v1/accounts/mail/[masked]`; did you mean `/v1/accounts/mail`?"),
        (ANYBODY,   "POST /v1/accounts/mail/token",                                  "",                               405, "`/v1/accounts/mail/token` takes GET, not `POST`."),
        (ANYBODY,   "HEAD /v1/status",                                               "",                               405, ""),
        (ANYBODY,   "DELETE /v1/accounts/mail/token",                                "",                               405, "`/v1/accounts/mail/token` takes GET, not `DELETE`."),
        (ANYBODY,   "GET /v1/accounts/mail/refresh",                                 "",                               405, "`/v1/accounts/mail/refresh` takes POST, not `GET`."),
        (ANYBODY,   "GET /v1/accounts/MAIL/token",                                   "",                               400, "the path has no account name; one is 1 to 40 of a-z, 0-9, '_' and '-', beginning with a letter or a digit."),
        (ANYBODY,   "GET /v1/accounts/ma%69l/token",                                 "",                               400, "the path has no account name; one is 1 to 40 of a-z, 0-9, '_' and '-', beginning with a letter or a digit."),
        (ANYBODY,   "GET /v1/status\nOrigin: http://localhost",                      "",                               400, "requests with a header `Origin` are refused: browsers send them."),
        (ANYBODY,   "GET /v1/status\nHost: evil.example",                            "",                               400, "header `Host` must be `localhost` or absent; it is `evil.example`."),
        (ANYBODY,   "GET /v1/status\nHost: localhost:80",                            "",                               400, "header `Host` must be `localhost` or absent; it is `localhost:80`."),
        (ANYBODY,   "GET /v1/status\nHost: localhost\nHost: localhost",              "",                               400, "header `Host` is there twice."),
        (ANYBODY,   "GET http://evil.example/v1/status",                             "",                               400, "header `Host` must be `localhost` or absent; it is `evil.example`."),
        (ANYBODY,   "GET /v1/status?verbose=1",                                      "",                               400, "query parameter `verbose` is not known; this request takes none."),
        (ANYBODY,   "GET /v1/whoami?uid=0",                                          "",                               400, "query parameter `uid` is not known; this request takes none."),
        (ANYBODY,   "GET /v1/events?acount=mail",                                    "",                               400, "query parameter `acount` is not known; did you mean `account`?; known are account."),
        (READER,    "GET /v1/accounts/mail/token?min_tll=60",                        "",                               400, "account mail: query parameter `min_tll` is not known; did you mean `min_ttl`?; known are kind, min_ttl, wait, format."),
        (READER,    "GET /v1/accounts/mail/token?min_ttl=soon",                      "",                               400, "account mail: query parameter `min_ttl` must be a whole number of seconds, 0 to 31622400; it is `soon`."),
        (READER,    "GET /v1/accounts/mail/token?min_ttl=31622401",                  "",                               400, "account mail: query parameter `min_ttl` must be a whole number of seconds, 0 to 31622400; it is `31622401`."),
        (READER,    "GET /v1/accounts/mail/token?wait=61",                           "",                               400, "account mail: query parameter `wait` must be a whole number of seconds, 0 to 60; it is `61`."),
        (READER,    "GET /v1/accounts/mail/token?wait=1&wait=1",                     "",                               400, "account mail: query parameter `wait` is there twice."),
        (READER,    "GET /v1/accounts/mail/token?kind=oidc",                         "",                               400, "account mail: query parameter `kind` must be one of access, id, aws; it is `oidc`."),
        (READER,    "GET /v1/accounts/mail/token?kind=aws&format=header",            "",                               400, "account mail: AWS credentials go into no header; ask for `json`."),
        (READER,    "GET /v1/accounts/mail/token?format=jsno",                       "",                               400, "account mail: query parameter `format` must be one of json, raw, header; it is `jsno`; did you mean `json`?"),
        (REFRESHER, "POST /v1/accounts/mail/refresh?force=1",                        "",                               400, "account mail: query parameter `force` is not known; known are wait."),
        (REFRESHER, "POST /v1/accounts/mail/refresh",                                r#"{"force":true}"#,              400, "account mail: body field `force` is not known; this request takes none."),
        (REFRESHER, "POST /v1/accounts/mail/report",                                 "",                               400, "account mail: body field `generation` or `token_sha256` is missing."),
        (REFRESHER, "POST /v1/accounts/mail/report",                                 r#"{"generation":"7"}"#,          400, "account mail: body field `generation` must be a whole number; it is a string."),
        (REFRESHER, "POST /v1/accounts/mail/report",                                 r#"{"generation":8}"#,            400, "account mail: generation 8 is reported, and the newest token is 7."),
        (REFRESHER, "POST /v1/accounts/mail/report",                                 r#"{"genration":7}"#,             400, "account mail: body field `genration` is not known; did you mean `generation`?; known are generation, token_sha256, reason."),
        (REFRESHER, "POST /v1/accounts/mail/report",                                 r#"{"token_sha256":"abc"}"#,      400, "account mail: body field `token_sha256` must be 64 hex digits."),
        (REFRESHER, "POST /v1/accounts/mail/report",                                 r#"{"generation":7,"reason":"stream_unauthorized"}"#, 400, "account mail: body field `reason` must be one of transport_unauthenticated, stream_unauthenticated; did you mean `stream_unauthenticated`?"),
        (REFRESHER, "POST /v1/accounts/mail/report",                                 r#"{"generation":7"#,             400, "account mail: the body is not JSON: EOF while parsing an object at line 1 column 15."),
        (KEEPER,    "POST /v1/accounts/mail/import",                                 "",                               400, "account mail: body field `refresh_token` is missing; it must be a string."),
        (KEEPER,    "POST /v1/accounts/mail/import",                                 r#"{"refresh_token":""}"#,        400, "account mail: body field `refresh_token` must not be empty."),
        (KEEPER,    "POST /v1/accounts/mail/import",                                 r#""rt-canary""#,                 400, "account mail: the body must be a JSON object; it is a string."),
        (KEEPER,    "POST /v1/accounts/mail/secret",                                 r#"{"slot":"Client Secret","value":"x"}"#, 400, "account mail: body field `slot` must be a word of a-z and '_', like `client_secret`."),
        (KEEPER,    "POST /v1/accounts/mail/secret",                                 r#"{"slot":"password"}"#,         400, "account mail: body field `value` is missing; it must be a string, or null to forget."),
        (KEEPER,    "POST /v1/accounts/mail/pause?now=1",                            "",                               400, "account mail: query parameter `now` is not known; this request takes none."),
        (KEEPER,    "GET /v1/accounts/mail/access",                                  "",                               400, "account mail: query parameter `uid` is missing; it must be a user id."),
        (KEEPER,    "GET /v1/accounts/mail/access?uid=alice",                        "",                               400, "account mail: query parameter `uid` must be a number from 0 to 4294967294; it is `alice`."),
        (KEEPER,    "GET /v1/accounts/mail/access?uid=1&groups=1,x",                 "",                               400, "account mail: query parameter `groups` must be group ids, separated by commas; it is `1,x`."),
        (KEEPER,    "POST /v1/accounts/mail/login?wait=61",                                  "",                               400, "account mail: query parameter `wait` must be a whole number of seconds, 0 to 60; it is `61`."),
        (KEEPER,    "POST /v1/accounts/mail/login",                                          "{\"answer\":\"x\"}",             400, "account mail: body field `answer` needs `login`."),
        (KEEPER,    "POST /v1/accounts/mail/login",                                          "{\"cancel\":true}",              400, "account mail: body field `cancel` needs `login`."),
        (KEEPER,    "POST /v1/accounts/mail/login",                                          "{\"login\":\"a\",\"answer\":\"x\",\"cancel\":true}", 400, "account mail: body fields `answer` and `cancel` cannot be there both."),
        (KEEPER,    "POST /v1/accounts/mail/login",                                          "{\"login\":\"a\",\"cancel\":\"yes\"}", 400, "account mail: body field `cancel` must be true or false; it is a string."),
        (KEEPER,    "POST /v1/accounts/mail/login",                                          "{\"login\":\"a\",\"redirect\":\"http://127.0.0.1:1/\"}", 400, "account mail: body field `redirect` belongs to the request that begins a login."),
        (KEEPER,    "POST /v1/accounts/mail/login",                                          "{\"login\":\"a\",\"unattended\":true}", 400, "account mail: body field `unattended` belongs to the request that begins a login."),
        (KEEPER,    "POST /v1/accounts/mail/login",                                          "{\"login\":\"a\",\"typed\":true}",  400, "account mail: body field `typed` belongs to the request that begins a login."),
        (KEEPER,    "POST /v1/accounts/mail/login",                                          "{\"redirect\":\"https://evil.example/cb\"}", 400, "account mail: body field `redirect` must be http://127.0.0.1:PORT/PATH or http://[::1]:PORT/PATH."),
        (KEEPER,    "POST /v1/accounts/mail/login",                                          "{\"redirect\":\"http://127.0.0.1/cb\"}", 400, "account mail: body field `redirect` must be http://127.0.0.1:PORT/PATH or http://[::1]:PORT/PATH."),
        (KEEPER,    "POST /v1/accounts/mail/login",                                          "{\"password\":\"x\"}",           400, "account mail: body field `password` is not known; known are login, answer, seen, cancel, redirect, typed, unattended."),
        (KEEPER,    "POST /v1/accounts/mail/logout",                                         "{\"local\":1}",                  400, "account mail: body field `local` must be true or false; it is a number."),
        (KEEPER,    "GET /v1/accounts/mail/sessions?id=1",                                   "",                               400, "account mail: query parameter `id` is not known; this request takes none."),
        (KEEPER,    "DELETE /v1/accounts/mail/sessions",                                     "",                               400, "account mail: query parameter `id` or `all` is missing."),
        (KEEPER,    "DELETE /v1/accounts/mail/sessions?id=1&all=true",                       "",                               400, "account mail: query parameters `id` and `all` cannot be there both."),
        (KEEPER,    "DELETE /v1/accounts/mail/sessions?id=",                                 "",                               400, "account mail: query parameter `id` must be 1 to 512 bytes; it is ``."),
        (KEEPER,    "POST /v1/accounts/mail/sessions",                                       "",                               405, "`/v1/accounts/mail/sessions` takes DELETE and GET, not `POST`."),
        (KEEPER,    "POST /v1/accounts/mail/secret",                                 r#"{"slot":"password","value":"x","if_empty":1}"#, 400, "account mail: body field `if_empty` must be true or false; it is a number."),
        (OPERATOR,  "POST /v1/backup",                                               "",                               400, "body field `recipients` is missing; it must be a list of strings."),
        (OPERATOR,  "POST /v1/backup",                                               r#"{"recipients":"age1"}"#,       400, "body field `recipients` must be a list of strings; it is a string."),
        (OPERATOR,  "POST /v1/backup",                                               r#"{"recipients":["age1",7]}"#,   400, "body field `recipients` must be a list of strings; there is a number in it."),
        (OPERATOR,  "POST /v1/backup?to=age1",                                       "",                               400, "query parameter `to` is not known; this request takes none."),
        (OPERATOR,  "POST /v1/reload?force=1",                                       "",                               400, "query parameter `force` is not known; this request takes none."),
        (OPERATOR,  "POST /v1/config/check",                                         "[]",                             400, "the body must be a JSON object; it is a list."),
        (OPERATOR,  "GET /v1/accounts/mial",                                         "",                               404, "account mial: there is no such account. To see the accounts, type: tokenctl list"),
    ];
    alone(async {
        let world = World::new(fresh(7, 600));
        for (uid, head, body, status, message) in cases {
            let reply = world.ask_with(uid, head, body).await;
            assert_eq!(reply.status, status, "{head} {body}: {}", reply.body);
            if head.starts_with("HEAD") {
                assert_eq!(reply.body, "", "an answer to HEAD has no body");
                continue;
            }
            let code =
                if message.contains("no such account") { "ACCOUNT_UNKNOWN" } else { "BAD_REQUEST" };
            assert_eq!(reply.code(), code, "{head}");
            assert_eq!(reply.json()["message"], message, "{head} {body}");
            assert_eq!(reply.json()["remedy"], "change_request", "{head}");
        }
        assert!(world.is_quiet(), "a wrong request ordered something");
    });
}

#[test]
fn a_wrong_method_is_told_the_right_one() {
    alone(async {
        let world = World::new(fresh(7, 600));
        let reply = world.ask(READER, "PUT /v1/accounts/mail/credential").await;
        assert_eq!((reply.status, reply.header("allow")), (405, Some("DELETE")));
    });
}

#[test]
fn a_body_that_is_too_long_is_refused_however_it_is_sent() {
    alone(async {
        let world = World::new(fresh(7, 600));
        let long = format!("{{\"refresh_token\":\"{}\"}}", "x".repeat(64 * 1024));
        let reply = world.ask_with(KEEPER, "POST /v1/accounts/mail/import", &long).await;
        assert_eq!((reply.status, reply.code().as_str()), (413, "BAD_REQUEST"));

        let mut stream = world.connect(KEEPER);
        let head = "POST /v1/accounts/mail/import HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\
                    Connection: close\r\n\r\n";
        let chunked = format!("{head}{:x}\r\n{long}\r\n0\r\n\r\n", long.len());
        stream.write_all(chunked.as_bytes()).await.unwrap();
        assert_eq!(read(stream).await.status, 413);
        assert!(world.is_quiet());
    });
}

#[test]
fn a_head_that_is_too_long_or_no_http_is_refused_and_the_connection_closed() {
    alone(async {
        let world = World::new(fresh(7, 600));
        let long = format!("GET /v1/status HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(9_000));
        let many = format!("GET /v1/status HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(101));
        let large = "the head of the request is larger than 8 KiB, or has more than 100 headers.";
        let no_request = "what came is no request of HTTP/1.1.";
        #[rustfmt::skip]
        let cases = [
            (long.as_str(),                                    431, large),
            (many.as_str(),                                    431, large),
            ("\u{0}\u{1}\u{2}\r\n\r\n",                        400, no_request),
            ("GET /v1/status HTTP/9.9\r\n\r\n",                400, no_request),
            ("GET /v1/status\r\n\r\n",                         400, no_request),
            ("GET /v1/status HTTP/1.1\r\nBad Name: x\r\n\r\n", 400, no_request),
        ];
        for (text, status, message) in cases {
            let mut stream = world.connect(READER);
            stream.write_all(text.as_bytes()).await.unwrap();
            let reply = read(stream).await;
            let sent = &text[..text.len().min(40)];
            assert_eq!((reply.status, reply.code().as_str()), (status, "BAD_REQUEST"), "{sent:?}");
            assert_eq!(reply.json()["message"], message, "{sent:?}");
            assert_eq!(reply.header("connection"), Some("close"), "{sent:?}");
        }
    });
}

#[test]
fn what_is_no_request_behind_one_that_is_gets_its_own_error() {
    alone(async {
        let world = World::new(fresh(7, 600));
        let mut stream = world.connect(READER);
        let good = "GET /v1/accounts/mail/token?format=raw HTTP/1.1\r\n\r\n";
        stream.write_all(format!("{good}hello\r\n\r\n").as_bytes()).await.unwrap();
        let text = read(stream).await.body;
        let (token, error) = text.split_at("token-7".len());
        assert_eq!(token, "token-7");
        assert!(error.starts_with("HTTP/1.1 400 "), "{error}");
        assert!(error.contains("\"error_code\":\"BAD_REQUEST\""), "{error}");
    });
}

#[test]
fn a_client_of_http_1_0_is_served() {
    alone(async {
        let world = World::new(fresh(7, 600));
        let mut stream = world.connect(READER);
        let request = b"GET /v1/accounts/mail/token?format=raw HTTP/1.0\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let reply = read(stream).await;
        assert_eq!((reply.status, reply.body.as_str()), (200, "token-7"));
    });
}

#[test]
fn requests_that_come_in_one_piece_are_answered_in_their_order() {
    alone(async {
        let world = World::new(fresh(7, 600));
        let mut stream = world.connect(READER);
        let one = "GET /v1/accounts/mail/token?format=raw HTTP/1.1\r\nHost: localhost\r\n\r\n";
        let last = "GET /v1/whoami HTTP/1.1\r\nConnection: close\r\n\r\n";
        stream.write_all(format!("{one}{one}{last}").as_bytes()).await.unwrap();
        let text = read(stream).await.body;
        assert_eq!(text.matches("HTTP/1.1 200").count(), 2, "{text}");
        assert!(text.starts_with("token-7HTTP/1.1"), "{text}");
        assert!(text.ends_with('}'), "{text}");
    });
}
