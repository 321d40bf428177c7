//! One client: requests in, deliveries out, until either side has had enough.
//!
//! This is the one file that misbehaves on a socket, as [`Delivery`] tells it to.

use std::io;
use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time;

use crate::call::Call;
use crate::control;
use crate::delivery::Delivery;
use crate::delivery::End;
use crate::delivery::Place;
use crate::delivery::Step;
use crate::exchange;
use crate::exchange::Outcome;
use crate::field::ReplyFormat;
use crate::provider::Lost;
use crate::provider::Server;
use crate::reply::Connection;
use crate::reply::Reply;
use crate::request;
use crate::request::Request;
use crate::route;
use crate::route::Miss;
use crate::route::Route;
use crate::service::Service;
use crate::service::oauth2;
use crate::wait;

/// How long one write may be blocked by a client that does not read.
const BLOCKED: Duration = Duration::from_secs(120);
/// How long a connection hangs at most when a fault says so.
const HANGING: Duration = Duration::from_secs(3600);
/// Bytes of filler in one write.
const FILLER: usize = 64 * 1024;
/// Most pieces of a drip in a second; faster drips have larger pieces.
const DRIPS_PER_SEC: u64 = 100;

/// Serves one client until it goes.
pub(crate) async fn serve(server: &Server, mut stream: TcpStream) {
    let mut buffer = Vec::new();
    loop {
        let answer = match request::next(&mut stream, &mut buffer).await {
            Ok(request) => Box::pin(answered(server, request)).await,
            Err(none) => match none.reply() {
                Some(reply) => plain(server, &reply, Connection::Close),
                None => return,
            },
        };
        if has_gone(&stream, &mut buffer) {
            return;
        }
        match deliver(&mut stream, answer.delivery).await {
            Ok(Written::Whole(end)) => {
                if let Some((account, seq)) = answer.entry {
                    server.provider.borrow_mut().replied(&account, seq);
                }
                if end != End::KeepAlive {
                    return;
                }
            }
            Ok(Written::Cut) | Err(_) => return,
        }
    }
}

/// Whether the client closed while its request was held or delayed. A write would still succeed
/// then, and the ledger would call a reply delivered that nobody read. What the client sent in
/// advance goes into `buffer`.
fn has_gone(stream: &TcpStream, buffer: &mut Vec<u8>) -> bool {
    match stream.try_read_buf(buffer) {
        Ok(count) => count == 0,
        Err(error) => error.kind() != io::ErrorKind::WouldBlock,
    }
}

/// A reply, and the ledger entry to be marked once it is written.
struct Answer {
    delivery: Delivery,
    entry: Option<(String, u64)>,
}

async fn answered(server: &Server, request: Request) -> Answer {
    let connection = request.connection;
    let route = match route::route(&request.method, &request.path) {
        Ok(route) => route,
        Err(miss) => return plain(server, &missed(miss), connection),
    };
    let call = Call {
        path: route.path().to_owned(),
        method: request.method,
        authorization: request.authorization,
        content_type: request.content_type,
        target: request.target,
        user_agent: request.user_agent,
        body: request.body,
    };
    let reply = match route {
        Route::Endpoint(account, _) => {
            let Outcome { delivery, seq } =
                exchange::exchange(server, account, &call, &request.path, connection).await;
            return Answer { delivery, entry: seq.map(|seq| (account.to_owned(), seq)) };
        }
        Route::Wait => wait::answer(server, &request.query).await,
        Route::Control(control) => {
            let provider = &mut server.provider.borrow_mut();
            control::answer(provider, control, &request.query, &call.body, server.clock.now())
        }
        Route::Discovery(account) => discovery(server, account),
        Route::Revoke(account) => revoke(server, account, &call),
        Route::Resource(account) => resource(server, account, &call),
    };
    plain(server, &reply, connection)
}

fn plain(server: &Server, reply: &Reply, connection: Connection) -> Answer {
    let place = Place { path: "", unix: server.clock.now().unix, connection };
    Answer { delivery: Delivery::honest(reply, place), entry: None }
}

fn missed(miss: Miss) -> Reply {
    let status = match miss {
        Miss::Path => 404,
        Miss::Account => 400,
        Miss::Method(_) => 405,
    };
    Reply::problem(status, &miss.to_string())
}

fn discovery(server: &Server, account: &str) -> Reply {
    let mut provider = server.provider.borrow_mut();
    let issuer = format!("{}/{account}", provider.origin());
    match provider.aimed_at(account) {
        Some(found) if found.script().behaviour.service == Service::Oauth2 => {
            Reply::json(200, &oauth2::metadata(&issuer, &found.script().behaviour))
        }
        Some(_) => lost(Lost::Path),
        None => lost(Lost::Account),
    }
}

/// Token revocation (RFC 7009).
fn revoke(server: &Server, account: &str, call: &Call) -> Reply {
    let mut provider = server.provider.borrow_mut();
    let found = provider.aimed_at(account);
    if found.is_some_and(|found| found.script().behaviour.service != Service::Oauth2) {
        return lost(Lost::Path);
    }
    match provider.revoke(account, call) {
        None => lost(Lost::Account),
        Some(Ok(())) => Reply::json(200, &json!({})),
        Some(Err(refusal)) => refusal.reply(ReplyFormat::Json),
    }
}

/// The API behind an account: something that takes its tokens.
fn resource(server: &Server, account: &str, call: &Call) -> Reply {
    let provider = server.provider.borrow();
    let admitted = provider
        .account(account)
        .is_some_and(|seat| seat.account.admits(provider.mint(), call, server.clock.now()));
    if admitted {
        return Reply::json(200, &json!({ "ok": true }));
    }
    let refusal = json!({ "error": "invalid_token" });
    Reply::json(401, &refusal).header("www-authenticate", "Bearer error=\"invalid_token\"")
}

fn lost(lost: Lost) -> Reply {
    Reply::problem(404, &lost.to_string())
}

enum Written {
    /// The whole reply, and what comes then.
    Whole(End),
    /// Less than that, as a fault would have it; the connection is finished.
    Cut,
}

async fn deliver(stream: &mut TcpStream, delivery: Delivery) -> io::Result<Written> {
    for step in delivery.steps {
        match step {
            Step::Send(bytes) => send(stream, &bytes).await?,
            Step::Fill(mut left) => {
                let filler = [b'a'; FILLER].as_slice();
                while left > 0 {
                    let size = usize::try_from(left).map_or(FILLER, |left| left.min(FILLER));
                    send(stream, filler.get(..size).unwrap_or(filler)).await?;
                    left -= u64::try_from(size).unwrap_or(left);
                }
            }
            Step::Drip { bytes, per_sec } => drip(stream, &bytes, per_sec).await?,
        }
    }
    match delivery.end {
        End::KeepAlive | End::Close => {}
        End::Reset => stream.set_zero_linger()?,
        End::HalfClose => {
            stream.shutdown().await?;
            until_it_closes(stream).await?;
        }
        End::Hang => until_it_closes(stream).await?,
    }
    Ok(if delivery.whole { Written::Whole(delivery.end) } else { Written::Cut })
}

async fn send(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    match time::timeout(BLOCKED, stream.write_all(bytes)).await {
        Ok(written) => written,
        Err(_elapsed) => Err(io::ErrorKind::TimedOut.into()),
    }
}

async fn drip(stream: &mut TcpStream, bytes: &[u8], per_sec: u64) -> io::Result<()> {
    let per_pause = usize::try_from(per_sec / DRIPS_PER_SEC).unwrap_or(usize::MAX);
    let pause = Duration::from_secs(1).div_f64(per_sec.min(DRIPS_PER_SEC) as f64);
    for piece in bytes.chunks(per_pause.max(1)) {
        send(stream, piece).await?;
        time::sleep(pause).await;
    }
    Ok(())
}

/// Reads and forgets until the client closes, or for an hour.
async fn until_it_closes(stream: &mut TcpStream) -> io::Result<()> {
    let mut sink = [0; 512];
    let reading = async {
        while stream.read(&mut sink).await? > 0 {}
        Ok(())
    };
    time::timeout(HANGING, reading).await.unwrap_or(Ok(()))
}
