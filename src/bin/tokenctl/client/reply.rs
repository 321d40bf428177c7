//! Reading one HTTP/1.x answer with a bound on everything.

use std::io;
use std::io::Read;

use zeroize::Zeroizing;

/// Longest head of an answer: the daemon's own are a tenth of it.
const MAX_HEAD: usize = 8 * 1024;

/// Most headers in a head.
const MAX_HEADERS: usize = 32;

/// Longest body: a backup, in base64.
const MAX_BODY: usize = 24 * 1024 * 1024;

/// A whole answer.
pub(crate) struct Reply {
    /// Its status.
    pub(crate) status: u16,
    /// The tag of what it says, to ask for news of it.
    pub(crate) etag: Option<String>,
    /// Its body, which may hold a token.
    pub(crate) body: Zeroizing<Vec<u8>>,
}

/// The beginning of an answer.
pub(super) struct Head {
    /// Its status.
    pub(super) status: u16,
    length: Option<usize>,
    etag: Option<String>,
}

/// Why an answer is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Garbled {
    /// The connection failed while it was used.
    #[error("{0}")]
    Broken(io::Error),
    /// It does not speak HTTP.
    #[error("it does not speak HTTP ({0})")]
    NotHttp(httparse::Error),
    /// The head does not end.
    #[error("its head is longer than {MAX_HEAD} bytes")]
    HeadTooLong,
    /// The connection ended inside the head.
    #[error("it ended after {0} bytes of its head")]
    HeadCut(usize),
    /// The connection ended inside the body.
    #[error("it ended after {got} of {expected} bytes")]
    BodyCut {
        /// Bytes that came.
        got: usize,
        /// Bytes that were promised.
        expected: usize,
    },
    /// The body is longer than any answer of the daemon.
    #[error("its body is longer than {MAX_BODY} bytes")]
    BodyTooLong,
    /// `Content-Length` is not one number.
    #[error("its Content-Length makes no sense")]
    BadLength,
    /// A transfer coding, which HTTP/1.0 does not have.
    #[error("it is sent in a transfer coding, which was not asked for")]
    Coded,
    /// A status that comes without the daemon's words.
    #[error("HTTP {0} without a message")]
    Status(u16),
    /// A line of an event stream that does not end.
    #[error("a line of its event stream is longer than {0} bytes")]
    LineTooLong(usize),
    /// Well-formed, and not what the protocol says.
    #[error("it has another form than this version of tokenctl knows")]
    Unexpected,
}

/// Reads a whole answer.
pub(super) fn read(stream: &mut impl Read) -> Result<Reply, Garbled> {
    let (head, rest) = read_head(stream)?;
    read_body(stream, &head, rest)
}

/// Reads the head, and whatever of the body came with it.
pub(super) fn read_head(stream: &mut impl Read) -> Result<(Head, Zeroizing<Vec<u8>>), Garbled> {
    // Room for a head and a token in one piece: nothing is copied, nothing is left behind.
    let mut buffer = Zeroizing::new(vec![0; 2 * MAX_HEAD]);
    let mut filled = 0;
    loop {
        let room = buffer.get_mut(filled..).unwrap_or_default();
        let got = read_some(stream, room)?;
        filled += got;
        let so_far = buffer.get(..filled).unwrap_or_default();
        if let Some((head, length)) = parse(so_far)? {
            buffer.truncate(filled);
            buffer.drain(..length);
            return Ok((head, buffer));
        }
        if filled >= MAX_HEAD {
            return Err(Garbled::HeadTooLong);
        }
        if got == 0 {
            return Err(Garbled::HeadCut(filled));
        }
    }
}

/// Reads the body that belongs to `head`, of which `body` came with it.
pub(super) fn read_body(
    stream: &mut impl Read,
    head: &Head,
    mut body: Zeroizing<Vec<u8>>,
) -> Result<Reply, Garbled> {
    let limit = head.length.unwrap_or(MAX_BODY + 1);
    if limit > MAX_BODY && head.length.is_some() {
        return Err(Garbled::BodyTooLong);
    }
    let missing = u64::try_from(limit.saturating_sub(body.len())).unwrap_or(u64::MAX);
    if missing > 0 {
        stream.take(missing).read_to_end(&mut body).map_err(Garbled::Broken)?;
    }
    match head.length {
        Some(expected) if body.len() < expected => {
            Err(Garbled::BodyCut { got: body.len(), expected })
        }
        Some(expected) => {
            body.truncate(expected);
            Ok(Reply { status: head.status, etag: head.etag.clone(), body })
        }
        None if body.len() > MAX_BODY => Err(Garbled::BodyTooLong),
        None => Ok(Reply { status: head.status, etag: head.etag.clone(), body }),
    }
}

/// The head and its length in bytes, once it is whole.
fn parse(bytes: &[u8]) -> Result<Option<(Head, usize)>, Garbled> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let length = match response.parse(bytes).map_err(Garbled::NotHttp)? {
        httparse::Status::Complete(length) if length <= MAX_HEAD => length,
        httparse::Status::Complete(_) => return Err(Garbled::HeadTooLong),
        httparse::Status::Partial => return Ok(None),
    };
    let named = |name: &'static str| {
        response.headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name))
    };
    if named("transfer-encoding").next().is_some() {
        return Err(Garbled::Coded);
    }
    let mut lengths = named("content-length");
    let promised = match (lengths.next(), lengths.next()) {
        (None, _) => None,
        (Some(header), None) => Some(parse_length(header.value)?),
        (Some(_), Some(_)) => return Err(Garbled::BadLength),
    };
    let etag = named("etag").next().and_then(|header| std::str::from_utf8(header.value).ok());
    // It goes into a request as it came.
    let etag = etag.filter(|etag| etag.bytes().all(|byte| byte.is_ascii_graphic()));
    let status = response.code.unwrap_or_default();
    Ok(Some((Head { status, length: promised, etag: etag.map(str::to_owned) }, length)))
}

fn parse_length(value: &[u8]) -> Result<usize, Garbled> {
    if !value.iter().all(u8::is_ascii_digit) {
        return Err(Garbled::BadLength);
    }
    std::str::from_utf8(value).ok().and_then(|digits| digits.parse().ok()).ok_or(Garbled::BadLength)
}

/// One read that no signal cuts short.
pub(super) fn read_some(stream: &mut impl Read, room: &mut [u8]) -> Result<usize, Garbled> {
    loop {
        match stream.read(room) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other.map_err(Garbled::Broken),
        }
    }
}

/// Whether a read or write took longer than the socket's timeout.
pub(super) fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
