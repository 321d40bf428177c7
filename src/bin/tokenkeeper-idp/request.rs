//! One HTTP/1.1 request off a socket, within limits.

use std::io;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time;

use crate::reply::Connection;
use crate::reply::Reply;

/// Longest head of a request, in bytes.
const LONGEST_HEAD: usize = 16 * 1024;
/// Most header lines of a request.
const MOST_HEADERS: usize = 64;
/// Longest content of a control request: room for the behaviours of 100,000 accounts.
const LONGEST_CONTROL: usize = 32 * 1024 * 1024;
/// Longest content of any other request.
const LONGEST_BODY: usize = 64 * 1024;
/// How long a connection may wait between requests.
const IDLE: Duration = Duration::from_secs(600);
/// How long a request may take from its first byte to its last.
const IN_TRANSIT: Duration = Duration::from_secs(60);

/// One request.
#[derive(Debug)]
pub(crate) struct Request {
    /// The method, as sent.
    pub(crate) method: String,
    /// The path, without query.
    pub(crate) path: String,
    /// What follows the question mark.
    pub(crate) query: String,
    /// The `Authorization` header.
    pub(crate) authorization: Option<String>,
    /// The `Content-Type` header.
    pub(crate) content_type: Option<String>,
    /// The `X-Amz-Target` header.
    pub(crate) target: Option<String>,
    /// The `User-Agent` header.
    pub(crate) user_agent: Option<String>,
    /// What becomes of the connection.
    pub(crate) connection: Connection,
    /// The content.
    pub(crate) body: Vec<u8>,
}

/// Why there is no request.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoRequest {
    /// The client has gone, or waits for too long.
    #[error("the connection ended: {0}")]
    Ended(#[from] io::Error),
    /// What came is no request that is served here.
    #[error("{message}")]
    Refused {
        /// The status to answer with.
        status: u16,
        /// Why.
        message: &'static str,
    },
}

impl NoRequest {
    /// The reply, if the client is still there to read one.
    pub(crate) fn reply(&self) -> Option<Reply> {
        match self {
            Self::Ended(_) => None,
            Self::Refused { status, message } => Some(Reply::problem(*status, message)),
        }
    }
}

/// Reads the next request. `buffer` holds what was read beyond the last one, and keeps what is
/// read beyond this one.
///
/// # Errors
///
/// There is none to be had.
pub(crate) async fn next(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
) -> Result<Request, NoRequest> {
    if buffer.is_empty() {
        in_time(IDLE, more(stream, buffer)).await?;
    }
    in_time(IN_TRANSIT, whole(stream, buffer)).await
}

async fn in_time<T, E: Into<NoRequest>>(
    limit: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, NoRequest> {
    match time::timeout(limit, work).await {
        Ok(done) => done.map_err(Into::into),
        Err(_elapsed) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
    }
}

async fn whole(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<Request, NoRequest> {
    let (mut request, head) = loop {
        match parse(buffer)? {
            Some(parsed) => break parsed,
            None if buffer.len() > LONGEST_HEAD => {
                return Err(refused(431, "the head is longer than 16 KiB"));
            }
            None => more(stream, buffer).await?,
        }
    };
    let most = if request.path.starts_with("/control/") { LONGEST_CONTROL } else { LONGEST_BODY };
    if head.content_length > most {
        return Err(refused(413, "the content is too long"));
    }

    let end = head.length + head.content_length;
    if head.expects_continue && buffer.len() < end {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    while buffer.len() < end {
        more(stream, buffer).await?;
    }
    let rest = buffer.split_off(end);
    let mut taken = std::mem::replace(buffer, rest);
    request.body = taken.split_off(head.length);
    Ok(request)
}

/// Reads what is there, at least one byte.
async fn more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<()> {
    match stream.read_buf(buffer).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

struct Head {
    /// Bytes up to the content.
    length: usize,
    content_length: usize,
    expects_continue: bool,
}

/// The head at the start of `bytes`, if it is there whole.
fn parse(bytes: &[u8]) -> Result<Option<(Request, Head)>, NoRequest> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let length = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => {
            return Err(refused(431, "there are more than 64 header lines"));
        }
        Err(_) => return Err(refused(400, "this is no HTTP/1.1 request")),
    };

    let (path, query) = match parsed.path.unwrap_or_default().split_once('?') {
        Some((path, query)) => (path, query),
        None => (parsed.path.unwrap_or_default(), ""),
    };
    let connection =
        if parsed.version == Some(1) { Connection::KeepAlive } else { Connection::Close };
    let mut request = Request {
        method: parsed.method.unwrap_or_default().to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        authorization: None,
        content_type: None,
        target: None,
        user_agent: None,
        connection,
        body: Vec::new(),
    };
    let mut head = Head { length, content_length: 0, expects_continue: false };
    for header in parsed.headers.iter() {
        let value = str::from_utf8(header.value)
            .map_err(|_| refused(400, "a header value is not UTF-8"))?
            .trim();
        match header.name.to_ascii_lowercase().as_str() {
            "authorization" => request.authorization = Some(value.to_owned()),
            "content-type" => request.content_type = Some(value.to_owned()),
            "x-amz-target" => request.target = Some(value.to_owned()),
            "user-agent" => request.user_agent = Some(value.to_owned()),
            "connection" if value.eq_ignore_ascii_case("close") => {
                request.connection = Connection::Close;
            }
            "content-length" => {
                head.content_length = value
                    .parse()
                    .map_err(|_| refused(400, "the Content-Length is not a number"))?;
            }
            "transfer-encoding" => {
                return Err(refused(411, "chunked content is not read here"));
            }
            "expect" => head.expects_continue = value.eq_ignore_ascii_case("100-continue"),
            _ => {}
        }
    }
    Ok(Some((request, head)))
}

fn refused(status: u16, message: &'static str) -> NoRequest {
    NoRequest::Refused { status, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_whole_or_not_at_all() {
        let text = b"POST /a/token?x=1 HTTP/1.1\r\nContent-Type: text/plain\r\n\
                     authorization: Basic x\r\nContent-Length: 3\r\nConnection: Close\r\n\r\nabc";
        for cut in 0..text.len() - 3 {
            assert!(parse(&text[..cut]).unwrap().is_none(), "cut at {cut}");
        }
        let (request, head) = parse(text).unwrap().unwrap();
        assert_eq!(
            (&*request.method, &*request.path, &*request.query),
            ("POST", "/a/token", "x=1")
        );
        assert_eq!(request.content_type.as_deref(), Some("text/plain"));
        assert_eq!(request.authorization.as_deref(), Some("Basic x"));
        assert_eq!(request.connection, Connection::Close);
        assert_eq!((head.length, head.content_length), (text.len() - 3, 3));
    }

    #[test]
    fn what_is_not_served_is_refused_with_its_status() {
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(65));
        #[rustfmt::skip]
        let cases: &[(&[u8], u16)] = &[
            (b"\x16\x03\x01 hello\r\n\r\n",                                   400),
            (b"GET / HTTP/1.1\r\ncontent-length: x\r\n\r\n",                  400),
            (b"GET / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n",         411),
            (b"GET / HTTP/1.1\r\ncontent-type: \xff\r\n\r\n",                 400),
            (many.as_bytes(),                                                 431),
        ];
        for (text, status) in cases {
            let reply = parse(text).err().and_then(|refusal| refusal.reply()).unwrap();
            assert_eq!(reply.status, *status, "{:?}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn an_old_client_closes() {
        let (request, _) = parse(b"GET / HTTP/1.0\r\n\r\n").unwrap().unwrap();
        assert_eq!(request.connection, Connection::Close);
    }
}
