//! The client against a server that does exactly what a test says, on loopback.
//!
//! `loopback.crt` vouches for 127.0.0.1 and for itself; its key is public, being here.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;

use super::*;
use crate::error::Class;
use crate::provider::MAX_HEAD;
use crate::token::Secret;

#[tokio::test]
async fn a_request_arrives_as_it_is_written_and_its_answer_is_read() {
    let head = "Content-Type: Application/JSON; charset=UTF-8\r\n\
                Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
                Retry-After: Sun, 06 Nov 1994 08:50:07 GMT\r\n\
                X-Amzn-ErrorType: NotAuthorizedException:";
    let (answer, request) = talk(Request::post, &whole("200 OK", head, "{}")).await;
    let answer = answer.unwrap();
    assert_eq!((answer.status, &*answer.content_type), (200, "application/json"));
    assert_eq!(answer.retry_after, Some(Duration::from_secs(30)));
    assert_eq!(answer.date, Some(Timestamp::from_millis(784_111_777_000)));
    assert_eq!(answer.error_type.as_deref(), Some("NotAuthorizedException:"));
    assert_eq!((answer.body.as_slice(), answer.complete), (b"{}".as_slice(), true));
    assert!(request.starts_with("POST /token HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("\r\nauthorization: Basic eDp5\r\n"), "{request}");
    assert!(request.contains("\r\ncontent-length: 16\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\nrefresh_token=r1"), "{request}");
    for unwanted in ["transfer-encoding", "cookie", "referer", "connection"] {
        assert!(!request.contains(&format!("\r\n{unwanted}:")), "{request}");
    }
}

#[tokio::test]
async fn a_date_without_a_date_counts_from_the_wall_clock() {
    let head = "Retry-After: Thu, 01 Jan 1970 00:01:40 GMT";
    let (answer, _) = talk(Request::post, &whole("503 Busy", head, "")).await;
    assert_eq!(answer.unwrap().retry_after, Some(Duration::from_secs(90)));
}

#[tokio::test]
async fn a_redirect_is_told_and_not_followed() {
    for status in ["302 Found", "303 See Other", "307 Temporary Redirect"] {
        let (listener, url) = listen("http").await;
        let (elsewhere, location) = listen("http").await;
        let answer = whole(status, &format!("Location: {location}"), "");
        let (answer, _) = tokio::join!(send(Request::post(url)), serve(&listener, &answer));
        let answer = answer.unwrap();
        assert_eq!(answer.location.as_deref(), Some("127.0.0.1"), "{status}");
        assert_eq!(answer.status.to_string(), status[..3]);
        let visit = poll_fn(|context| Poll::Ready(elsewhere.poll_accept(context).is_ready())).await;
        assert!(!visit, "{status}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_handed_on_as_what_it_is() {
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"refresh_token\":\"r2\"";
    let (answer, _) = talk(Request::post, cut).await;
    let answer = answer.unwrap();
    assert!(!answer.complete);
    assert_eq!(answer.body.as_slice(), b"{\"refresh_token\":\"r2\"");
}

#[tokio::test]
async fn an_answer_without_a_length_ends_with_the_connection() {
    let (answer, _) = talk(Request::post, "HTTP/1.1 200 OK\r\n\r\n{}").await;
    let answer = answer.unwrap();
    assert_eq!((answer.body.as_slice(), answer.complete), (b"{}".as_slice(), true));
}

#[tokio::test]
async fn no_answer_after_the_body_went_out_is_a_lost_one() {
    for answer in ["", "HTTP/1.1 200 OK\r\nContent-Le", "SSH-2.0-OpenSSH_9.2\r\n"] {
        let (got, _) = talk(Request::post, answer).await;
        let error = got.err().unwrap();
        assert!(matches!(error, TransportError::Lost(_)), "{answer:?}: {error:?}");
        assert_eq!(error.into_error(true).class(), Class::Ambiguous, "{answer:?}");
    }
}

#[tokio::test]
async fn a_reset_after_the_body_went_out_is_a_lost_answer() {
    let (listener, url) = listen("http").await;
    let reset = async {
        let mut stream = listener.accept().await.unwrap().0;
        request(&mut stream).await;
        stream.set_zero_linger().unwrap();
    };
    let (answer, ()) = tokio::join!(send(Request::post(url)), reset);
    let expected = TransportError::Lost("connection reset".into());
    assert_eq!(answer.err(), Some(expected));
}

#[tokio::test]
async fn a_request_that_spends_nothing_is_as_good_as_not_sent_when_its_answer_is_lost() {
    let (answer, _) = talk(Request::get, "").await;
    let error = answer.err().unwrap();
    assert_eq!(error.clone().into_error(false).class(), Class::NotSent);
    assert_eq!(error.into_error(true).class(), Class::Ambiguous);
}

#[tokio::test]
async fn a_server_that_says_nothing_is_left_when_the_time_is_up() {
    let (listener, url) = listen("http").await;
    let silent = async {
        let mut stream = listener.accept().await.unwrap().0;
        request(&mut stream).await;
        stream
    };
    let (answer, _stream) = tokio::join!(send_within(Request::post(url), SHORT), silent);
    assert_eq!(answer.err(), Some(TransportError::Lost("no answer in time".into())));
}

/// A debugger, a freezer or a host that swaps may hold the process up for longer than it waits.
#[tokio::test(start_paused = true)]
async fn who_stood_still_until_the_time_was_up_may_read_what_has_arrived() {
    let mut time_is_up = pin!(time_is_up(SHORT));
    let mut is_up =
        async || poll_fn(|it| Poll::Ready(time_is_up.as_mut().poll(it).is_ready())).await;
    assert!(!is_up().await);
    tokio::time::advance(100 * SHORT).await;
    assert!(!is_up().await, "the first look comes before what has arrived is read");
    tokio::time::advance(LAST_LOOK).await;
    assert!(is_up().await);
}

#[tokio::test]
async fn a_body_that_stalls_is_handed_on_when_the_time_is_up() {
    let (listener, url) = listen("http").await;
    let stalling = async {
        let mut stream = listener.accept().await.unwrap().0;
        request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{").await.unwrap();
        stream
    };
    let (answer, _stream) = tokio::join!(send_within(Request::post(url), SHORT), stalling);
    let answer = answer.unwrap();
    assert_eq!((answer.body.as_slice(), answer.complete), (b"{".as_slice(), false));
}

#[tokio::test]
async fn a_handshake_that_stalls_has_sent_nothing() {
    let (listener, url) = listen("https").await;
    let silent = async { listener.accept().await.unwrap() };
    let (answer, _stream) = tokio::join!(send_within(Request::post(url), SHORT), silent);
    assert_eq!(answer.err(), Some(TransportError::NotSent("no connection in time".into())));
}

#[tokio::test]
async fn a_body_over_the_limit_is_not_read_on_and_one_at_the_limit_is() {
    let too_large = TransportError::Lost("the answer is larger than 256 KiB".into());
    #[rustfmt::skip]
    let cases = [
        // name                                   status           bytes         whole
        ("at the limit",                          "200 OK",        MAX_BODY,     Ok(true)),
        ("tokens over the limit",                 "200 OK",        MAX_BODY + 1, Err(too_large)),
        ("a page over it, which the status tells", "403 Forbidden", MAX_BODY + 1, Ok(false)),
    ];
    for (name, status, bytes, expected) in cases {
        let (answer, _) = talk(Request::post, &whole(status, "X: y", &"x".repeat(bytes))).await;
        let got = answer.map(|answer| {
            assert!(answer.body.len() <= MAX_BODY, "{name}");
            answer.complete
        });
        assert_eq!(got, expected, "{name}");
    }
}

#[tokio::test]
async fn a_head_over_the_limit_is_refused_by_size_and_by_number() {
    let long = format!("X: {}", "x".repeat(MAX_HEAD));
    let many = vec!["X: y"; MAX_HEADERS + 1].join("\r\n");
    for head in [long, many] {
        let (answer, _) = talk(Request::post, &whole("200 OK", &head, "{}")).await;
        assert!(matches!(answer.err(), Some(TransportError::Lost(_))));
    }
}

#[tokio::test]
async fn a_refused_connection_has_sent_nothing() {
    let (listener, url) = listen("http").await;
    drop(listener);
    let expected = TransportError::NotSent("connection refused".into());
    assert_eq!(send(Request::post(url)).await.err(), Some(expected));
}

#[tokio::test]
async fn plain_http_to_a_name_is_refused_before_anybody_is_asked_for_its_address() {
    let url = Url::parse("http://idp.invalid/token").unwrap();
    let error = send(Request::post(url)).await.err().unwrap();
    assert!(matches!(error, TransportError::NotSent(cause) if cause.starts_with("plain http")));
}

#[tokio::test]
async fn localhost_is_loopback() {
    let (listener, mut url) = listen("http").await;
    url.set_host(Some("localhost")).unwrap();
    let answer = whole("200 OK", "X: y", "{}");
    let (answer, _) = tokio::join!(send(Request::post(url)), serve(&listener, &answer));
    assert_eq!(answer.unwrap().status, 200);
}

#[tokio::test]
async fn tls_to_a_plain_port_has_sent_nothing_and_never_falls_back() {
    let (listener, url) = listen("https").await;
    let plain = async {
        let mut stream = listener.accept().await.unwrap().0;
        let mut hello = [0; 16];
        stream.read_exact(&mut hello).await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        assert_eq!(hello[0], 22, "a handshake record");
    };
    let (answer, ()) = tokio::join!(send(Request::post(url)), plain);
    assert!(matches!(answer.err(), Some(TransportError::NotSent(_))));
}

#[tokio::test]
async fn a_certificate_that_no_root_vouches_for_has_sent_nothing() {
    let (listener, url) = listen("https").await;
    let (answer, handshake) = tokio::join!(send(Request::post(url)), shake(&listener));
    let Some(TransportError::NotSent(cause)) = answer.err() else { panic!("not sent") };
    assert!(cause.starts_with("invalid peer certificate"), "{cause}");
    assert!(handshake.is_none());
}

#[tokio::test]
async fn a_ca_file_vouches_for_its_certificates_and_for_nothing_else() {
    let trusting = Transport { plain_http: false, ca_file: Some(CRT.into()) };
    let (listener, url) = listen("https").await;
    let client = Client::default();
    let answer = async {
        let mut stream = shake(&listener).await.unwrap();
        let mut request = vec![0; 4096];
        let length = stream.read(&mut request).await.unwrap();
        stream.write_all(whole("200 OK", "X: y", "{}").as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        length
    };
    let request = Request::post(url.clone());
    let (got, _) = tokio::join!(client.send(request, &trusting, LONG, WALL), answer);
    assert_eq!(got.unwrap().status, 200);

    let plain = Transport::default();
    let request = Request::post(url);
    let (got, _) = tokio::join!(client.send(request, &plain, LONG, WALL), shake(&listener));
    assert!(matches!(got.err(), Some(TransportError::NotSent(_))));
}

#[tokio::test]
async fn a_failed_handshake_drops_the_roots_it_failed_by_and_no_others() {
    let client = Client::default();
    let (listener, url) = listen("https").await;
    let plain = listen("http").await;
    let transport = Transport::default();
    let answer = whole("200 OK", "X: y", "{}");
    let (_, _) = tokio::join!(
        client.send(Request::post(plain.1), &transport, LONG, WALL),
        serve(&plain.0, &answer)
    );
    let before = client.built.lock().unwrap().len();
    let request = Request::post(url);
    let (_, _) = tokio::join!(client.send(request, &transport, LONG, WALL), shake(&listener));
    let kept = client.built.lock().unwrap();
    assert_eq!((before, kept.len()), (1, 1));
    assert_eq!(kept[0].0, Roots::Nobody);
}

#[test]
fn the_clients_that_are_kept_are_few_and_the_newest() {
    let client = Client::default();
    // The same file by as many names.
    let name = |slashes| Roots::Also(format!("{}{CRT}", "/".repeat(slashes)).into());
    let many = (0..=MOST_KEPT).map(name).collect::<Vec<_>>();
    for roots in &many {
        client.client(roots).unwrap();
    }
    let kept = client.built.lock().unwrap();
    assert!(kept.iter().map(|(roots, _)| roots).eq(&many[1..]));
}

#[test]
fn sending_can_be_moved_to_another_thread() {
    fn movable<T: Send>(_: T) {}

    let url = Url::parse("https://idp.example/token").unwrap();
    let (client, transport) = (Client::default(), Transport::default());
    movable(client.send(Request::post(url), &transport, LONG, WALL));
}

#[tokio::test]
async fn a_ca_file_that_cannot_be_used_is_named_and_nothing_is_sent() {
    let url = Url::parse("https://127.0.0.1:9/token").unwrap();
    let large = tempfile::NamedTempFile::new().unwrap();
    large.as_file().set_len(MAX_CA_FILE + 1).unwrap();
    #[rustfmt::skip]
    let cases = [
        (large.path().to_str().unwrap(), "ca_file is larger than 1 MiB"),
        ("/nonexistent",  "ca_file cannot be read: entity not found"),
        ("/",             "ca_file is no regular file"),
        ("/dev/zero",     "ca_file is no regular file"),
        ("Cargo.toml",    "ca_file holds no certificate in PEM"),
    ];
    for (path, cause) in cases {
        let transport = Transport { plain_http: false, ca_file: Some(path.into()) };
        let request = Request::post(url.clone());
        let got = Client::default().send(request, &transport, LONG, WALL).await;
        assert_eq!(got.err(), Some(TransportError::NotSent(cause.into())), "{path}");
    }
}

/// The wall clock of these tests: ten seconds after the epoch.
const WALL: Timestamp = Timestamp::from_millis(10_000);

/// A limit that no test comes near.
const LONG: Duration = Duration::from_secs(30);

/// A limit that a test waits for: real sockets know no paused time. Enough for a request to
/// go out on a busy machine.
const SHORT: Duration = Duration::from_millis(250);

const CRT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/http/tests/loopback.crt");

impl Request {
    fn post(url: Url) -> Self {
        Self {
            method: Method::Post,
            url,
            headers: vec![("authorization", Secret::new("Basic eDp5"))],
            body: Secret::new("refresh_token=r1"),
            spends: true,
        }
    }

    fn get(url: Url) -> Self {
        Self { method: Method::Get, body: Secret::new(""), spends: false, ..Self::post(url) }
    }
}

/// One request against a server that answers it and closes; and what the server saw.
async fn talk(
    request: fn(Url) -> Request,
    answer: &str,
) -> (Result<Response, TransportError>, String) {
    let (listener, url) = listen("http").await;
    tokio::join!(send(request(url)), serve(&listener, answer))
}

async fn send(request: Request) -> Result<Response, TransportError> {
    send_within(request, LONG).await
}

async fn send_within(request: Request, limit: Duration) -> Result<Response, TransportError> {
    Client::default().send(request, &Transport::default(), limit, WALL).await
}

async fn listen(scheme: &str) -> (TcpListener, Url) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, Url::parse(&format!("{scheme}://{address}/token")).unwrap())
}

async fn serve(listener: &TcpListener, answer: &str) -> String {
    let mut stream = listener.accept().await.unwrap().0;
    let request = request(&mut stream).await;
    // A client that has seen enough hangs up.
    let _hung_up = stream.write_all(answer.as_bytes()).await;
    request
}

/// Reads one request: a body of 16 bytes if it is a `POST`, none else.
async fn request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    loop {
        assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0, "a whole request");
        let text = String::from_utf8_lossy(&request);
        let body = if text.starts_with("POST") { 16 } else { 0 };
        if text.find("\r\n\r\n").is_some_and(|end| text.len() == end + 4 + body) {
            return text.into_owned();
        }
    }
}

/// The server's side of a handshake; `None` if the client did not like the certificate.
async fn shake(listener: &TcpListener) -> Option<tokio_rustls::server::TlsStream<TcpStream>> {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("tests/loopback.crt"));
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("tests/loopback.key"));
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.unwrap()], key.unwrap())
        .unwrap();
    let stream = listener.accept().await.unwrap().0;
    TlsAcceptor::from(Arc::new(config)).accept(stream).await.ok()
}

fn whole(status: &str, head: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{head}\r\nContent-Length: {length}\r\n\r\n{body}")
}
