//! Where a browser comes back to after a login: one hit on a loopback port (RFC 8252
//! section 7.3).
//!
//! The port listens on 127.0.0.1 alone, for as long as the login asks for it. Whoever else
//! comes by gets nothing, and what a hit carries is judged by the daemon, which checks its
//! `state`.

use std::io;
use std::io::Read as _;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use zeroize::Zeroizing;

/// Longest head of a request: a browser's own are a quarter of it, and a code is short.
const MAX_HEAD: usize = 16 * 1024;

/// Most headers of a request.
const MAX_HEADERS: usize = 64;

/// How long a browser may take to say what it wants, and to hear the answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where the provider sends the browser.
const PATH: &str = "/callback";

/// What a person sees after the login.
const PAGE: &str = "<!doctype html><meta charset=\"utf-8\"><title>tokenctl</title>\
    <p>You can close this page. How the login went is shown where you typed <code>tokenctl \
    login</code>.</p>";

/// A port that waits for a browser.
pub(crate) struct Browser {
    listener: TcpListener,
    redirect: String,
}

impl Browser {
    /// Listens on a port of its own.
    ///
    /// # Errors
    ///
    /// A host without loopback.
    pub(crate) fn listen() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let redirect = format!("http://{}{PATH}", listener.local_addr()?);
        Ok(Self { listener, redirect })
    }

    /// The address that a browser is sent back to.
    pub(crate) fn redirect(&self) -> &str {
        &self.redirect
    }

    /// What the next one that knocks brings: the query of the address that it was sent to.
    /// `None` if it is not a browser that was sent here.
    pub(crate) fn answer(&self) -> Option<Zeroizing<String>> {
        let (stream, _) = self.listener.accept().ok()?;
        hear(stream).ok().flatten()
    }
}

impl AsFd for Browser {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

fn hear(mut stream: TcpStream) -> io::Result<Option<Zeroizing<String>>> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let head = read_head(&mut stream)?;
    let query = query(&head);
    let (status, page) = match query {
        Some(_) => ("200 OK", PAGE),
        None => ("404 Not Found", ""),
    };
    // A browser that has gone away by now has still brought its answer.
    let _told = write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nConnection: close\r\n\r\n{page}",
        page.len()
    );
    Ok(query)
}

fn read_head(stream: &mut TcpStream) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut head = Zeroizing::new(vec![0; MAX_HEAD]);
    let mut filled = 0;
    while !head.get(..filled).unwrap_or_default().ends_with(b"\r\n\r\n") {
        let room = head.get_mut(filled..).unwrap_or_default();
        match stream.read(room)? {
            0 => break,
            got => filled += got,
        }
    }
    head.truncate(filled);
    Ok(head)
}

/// The query of a request for [`PATH`].
fn query(head: &[u8]) -> Option<Zeroizing<String>> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let parsed = request.parse(head).ok()?;
    let target = request.path.filter(|_| parsed.is_complete() && request.method == Some("GET"))?;
    let query = target.strip_prefix(PATH)?.strip_prefix('?')?;
    (!query.is_empty()).then(|| Zeroizing::new(query.to_owned()))
}

/// The query in what a person pasted: the whole address, or the query alone.
pub(crate) fn pasted(text: &str) -> Zeroizing<String> {
    let query = text.split_once('?').map_or(text, |(_, query)| query);
    let query = query.split('#').next().unwrap_or_default();
    Zeroizing::new(query.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_that_was_sent_here_brings_its_query_and_sees_a_page() {
        let browser = Browser::listen().unwrap();
        let address = browser.listener.local_addr().unwrap();
        assert_eq!(browser.redirect(), format!("http://{address}/callback"));
        assert!(browser.answer().is_none(), "nobody has come yet");
        #[rustfmt::skip]
        let cases = [
            ("GET /callback?code=a&state=b HTTP/1.1\r\nHost: x\r\n\r\n", Some("code=a&state=b"), "200"),
            ("GET /callback HTTP/1.1\r\n\r\n",                           None,                   "404"),
            ("GET /favicon.ico HTTP/1.1\r\n\r\n",                        None,                   "404"),
            ("POST /callback?code=a HTTP/1.1\r\n\r\n",                   None,                   "404"),
            ("GET /callback?code=a",                                     None,                   "404"),
        ];
        for (request, expected, status) in cases {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            browser.listener.set_nonblocking(false).unwrap();
            let answer = browser.answer();
            assert_eq!(answer.as_deref().map(String::as_str), expected, "{request}");
            let mut page = String::new();
            stream.read_to_string(&mut page).unwrap();
            assert!(page.starts_with(&format!("HTTP/1.1 {status}")), "{page}");
            assert_eq!(page.contains("You can close this page"), expected.is_some());
        }
    }

    #[test]
    fn an_address_is_pasted_whole_or_in_part() {
        for text in
            ["http://127.0.0.1:1/callback?code=a&state=b", "code=a&state=b", " x?code=a&state=b#f"]
        {
            assert_eq!(&**pasted(text), "code=a&state=b", "{text}");
        }
    }
}
