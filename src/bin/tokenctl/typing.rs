//! A line that a person types on a terminal without echo: the keys that people expect, and
//! nothing of it left behind in memory.
//!
//! The terminal is switched to single characters, so that Ctrl-C is read as one more character
//! and nothing can end the program with the echo still off. rustix, which this package has
//! anyway, is enough for that: a crate for passwords reads a line and knows no countdown, and
//! no browser that answers instead.

use std::io;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;

use rustix::termios::LocalModes;
use rustix::termios::OptionalActions;
use rustix::termios::Termios;
use rustix::termios::tcgetattr;
use rustix::termios::tcsetattr;
use zeroize::Zeroizing;

/// A line in the making.
pub(crate) struct Typing {
    line: Zeroizing<Vec<u8>>,
    longest: usize,
}

/// What a key did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Key {
    /// The line goes on.
    More,
    /// It is done.
    Done,
    /// The person thought better of it.
    Aborted,
    /// It is longer than anything that can be sent.
    TooLong,
}

impl Typing {
    /// An empty line, of `longest` bytes at the most.
    pub(crate) fn new(longest: usize) -> Self {
        // Room for everything, so that no copy is left behind by growing.
        Self { line: Zeroizing::new(Vec::with_capacity(longest + 1)), longest }
    }

    /// Takes a key in.
    pub(crate) fn key(&mut self, key: u8) -> Key {
        const CTRL_C: u8 = 3;
        const CTRL_D: u8 = 4;
        const CTRL_U: u8 = 21;
        const BACKSPACE: u8 = 8;
        const DELETE: u8 = 127;

        match key {
            b'\r' | b'\n' | CTRL_D => return Key::Done,
            CTRL_C => return Key::Aborted,
            CTRL_U => self.line.clear(),
            BACKSPACE | DELETE => {
                // One character of UTF-8 is a byte and the continuation bytes after it.
                while self.line.pop().is_some_and(|byte| byte & 0b1100_0000 == 0b1000_0000) {}
            }
            _ if self.line.len() > self.longest => return Key::TooLong,
            byte => self.line.push(byte),
        }
        Key::More
    }

    /// What was typed so far.
    pub(crate) fn so_far(&self) -> &[u8] {
        &self.line
    }
}

/// A terminal without echo, line editing and signals, until this is dropped.
pub(crate) struct QuietTerminal<'a> {
    terminal: BorrowedFd<'a>,
    before: Termios,
}

impl<'a> QuietTerminal<'a> {
    /// Quiets it.
    ///
    /// # Errors
    ///
    /// What is no terminal.
    pub(crate) fn new(terminal: &'a impl AsFd) -> io::Result<Self> {
        let terminal = terminal.as_fd();
        let before = tcgetattr(terminal)?;
        let mut quiet = before.clone();
        quiet.local_modes -= LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
        tcsetattr(terminal, OptionalActions::Flush, &quiet)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for QuietTerminal<'_> {
    fn drop(&mut self) {
        // There is nothing left to do if the terminal has gone away.
        let _restored = tcsetattr(self.terminal, OptionalActions::Flush, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_knows_the_keys_that_people_expect() {
        #[rustfmt::skip]
        let cases: [(&str, &[u8], &str, Key); 10] = [
            ("a line",                     b"abc\n",           "abc",  Key::Done),
            ("carriage return ends it",    b"abc\r",           "abc",  Key::Done),
            ("not done yet",               b"abc",             "abc",  Key::More),
            ("Ctrl-D",                     b"abc\x04",         "abc",  Key::Done),
            ("backspace",                  b"abx\x7fc\n",      "abc",  Key::Done),
            ("backspace takes characters", b"a\xc3\xa4\x08b\n", "ab",  Key::Done),
            ("backspace on nothing",       b"\x7f\x7fa\n",     "a",    Key::Done),
            ("Ctrl-U begins again",        b"wrong\x15abc\n",  "abc",  Key::Done),
            ("Ctrl-C",                     b"abc\x03",         "abc",  Key::Aborted),
            ("more than fits",             b"abcdefgh",        "abcde", Key::TooLong),
        ];
        for (name, keys, expected, last) in cases {
            let mut typing = Typing::new(4);
            let mut did = Key::More;
            for key in keys {
                did = typing.key(*key);
            }
            assert_eq!((typing.so_far(), did), (expected.as_bytes(), last), "{name}");
        }
    }
}
