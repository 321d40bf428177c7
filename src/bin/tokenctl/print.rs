//! What `tokenctl` prints, and how.
//!
//! The pages are pure functions from what the daemon says and the time to a text; each has
//! its file here. [`Output`] is the only one that writes, to standard output, in one piece.
//! Text from outside passes [`shown`], so that no terminal escape gets through, and commands in
//! what people read pass [`Hints`], so that they can be typed as they stand.

pub(crate) mod backup;
pub(crate) mod bar;
pub(crate) mod daemon;
pub(crate) mod doctor;
pub(crate) mod event;
#[cfg(test)]
pub(crate) mod sample;
pub(crate) mod sessions;
pub(crate) mod status;
pub(crate) mod time;
pub(crate) mod why;

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io;
use std::io::Write as _;

use serde::Serialize;
use tokenkeeper::error::foreign::is_unsafe_to_show;
use tokenkeeper::error::foreign::shown;

use crate::args::global::When;
use crate::client::reply::Reply;
use crate::fault::Fault;
use crate::hint::Hints;

/// For whom it is printed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Form {
    /// People.
    Text,
    /// Programs.
    Json,
}

/// Whether it is coloured.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Paint {
    /// Not at all.
    Plain,
    /// With the eight colours that every terminal has.
    Colour,
}

/// Which characters there are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Glyphs {
    /// ASCII alone.
    Ascii,
    /// Block elements too.
    Unicode,
}

/// How a page is dressed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Style {
    /// Its colours.
    pub(crate) paint: Paint,
    /// Its characters.
    pub(crate) glyphs: Glyphs,
}

/// What the environment says about [`Style`].
pub(crate) struct Screen<'a> {
    /// Whether the output is a terminal.
    pub(crate) terminal: bool,
    /// `NO_COLOR`.
    pub(crate) no_color: Option<&'a OsStr>,
    /// The first of `LC_ALL`, `LC_CTYPE` and `LANG` that is set and not empty.
    pub(crate) locale: Option<&'a OsStr>,
}

impl Style {
    /// What fits `screen`, and `color` goes before it.
    pub(crate) fn new(color: When, screen: &Screen<'_>) -> Self {
        let wanted = screen.no_color.is_none_or(OsStr::is_empty);
        let paint = match color {
            When::Always => Paint::Colour,
            When::Auto if screen.terminal && wanted => Paint::Colour,
            When::Auto | When::Never => Paint::Plain,
        };
        let locale = screen.locale.map(|locale| locale.to_string_lossy().to_ascii_lowercase());
        let utf8 = locale.is_some_and(|name| name.contains("utf-8") || name.contains("utf8"));
        let glyphs = if screen.terminal && utf8 { Glyphs::Unicode } else { Glyphs::Ascii };
        Self { paint, glyphs }
    }

    /// `text` in `hue`.
    pub(crate) fn in_hue(self, hue: Hue, text: &str) -> String {
        match self.paint {
            Paint::Plain => text.into(),
            Paint::Colour => format!("\u{1b}[{}m{text}\u{1b}[0m", hue as u8),
        }
    }
}

/// A colour by what it means; the number is the one of ECMA-48, `SGR`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Hue {
    /// It does not work.
    Bad = 31,
    /// It works.
    Good = 32,
    /// It is on its way.
    Middling = 33,
    /// A heading.
    Heading = 1,
}

/// Standard output.
pub(crate) struct Output {
    /// For whom.
    pub(crate) form: Form,
    /// Dressed how.
    pub(crate) style: Style,
    /// Whether confirmations are printed.
    pub(crate) notes: Notes,
    /// What completes commands.
    pub(crate) hints: Hints,
}

/// Whether confirmations are printed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Notes {
    /// As usual.
    Shown,
    /// `--quiet`.
    Hidden,
}

/// Where a confirmation goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stream {
    /// To the standard output.
    Output,
    /// To the standard error.
    Aside,
}

impl Output {
    /// Prints a page for people.
    ///
    /// # Errors
    ///
    /// [`Fault::Output`].
    pub(crate) fn page(&self, text: &str) -> Result<(), Fault> {
        self.bytes(self.hints.complete(text).as_bytes())
    }

    /// Prints `sentence`, or as JSON what `reply` says, unless confirmations are hidden.
    ///
    /// # Errors
    ///
    /// [`Fault::Output`].
    pub(crate) fn note(&self, sentence: &str, reply: &Reply) -> Result<(), Fault> {
        match (self.form, self.notes) {
            (_, Notes::Hidden) => Ok(()),
            (Form::Json, Notes::Shown) => self.reply(reply),
            (Form::Text, Notes::Shown) => self.page(&format!("{}\n", shown(sentence))),
        }
    }

    /// Prints `text`, or `value` as JSON, unless confirmations are hidden. Where the standard
    /// output carries what was asked for, it goes to the standard error.
    ///
    /// # Errors
    ///
    /// [`Fault::Output`].
    pub(crate) fn confirm(
        &self,
        to: Stream,
        text: &str,
        value: &impl Serialize,
    ) -> Result<(), Fault> {
        match (self.form, self.notes, to) {
            (_, Notes::Hidden, _) => Ok(()),
            (Form::Json, Notes::Shown, Stream::Output) => self.json(value),
            (Form::Text, Notes::Shown, Stream::Output) => self.page(text),
            (_, Notes::Shown, Stream::Aside) => {
                // Nobody is left to be told if standard error is closed.
                let _told = io::stderr().write_all(self.hints.complete(text).as_bytes());
                Ok(())
            }
        }
    }

    /// Writes what was asked for, as it is.
    ///
    /// # Errors
    ///
    /// [`Fault::Output`].
    #[allow(clippy::unused_self, reason = "whoever prints holds the output")]
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Result<(), Fault> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(Fault::Output)
    }

    /// Warns on the standard error, `--quiet` or not: one line, with `--json` of JSON.
    pub(crate) fn warn(&self, sentence: &str) {
        // Nobody is left to be warned if standard error is closed.
        let _warned = io::stderr().write_all(self.warning(sentence).as_bytes());
    }

    /// Prints the daemon's JSON as it is, on one line of its own.
    ///
    /// # Errors
    ///
    /// [`Fault::Output`].
    pub(crate) fn reply(&self, reply: &Reply) -> Result<(), Fault> {
        let text = String::from_utf8_lossy(&reply.body);
        self.bytes(format!("{}\n", json_shown(text.trim_end())).as_bytes())
    }

    /// Prints `value` as JSON.
    ///
    /// # Errors
    ///
    /// [`Fault::Output`].
    pub(crate) fn json(&self, value: &impl Serialize) -> Result<(), Fault> {
        let text =
            serde_json::to_string(value).map_err(|error| Fault::Output(io::Error::from(error)))?;
        self.bytes(format!("{}\n", json_shown(&text)).as_bytes())
    }

    fn warning(&self, sentence: &str) -> String {
        match self.form {
            Form::Text => {
                format!("tokenctl: warning: {}\n", self.hints.complete(&shown(sentence)))
            }
            Form::Json => {
                let text = serde_json::json!({ "warning": sentence }).to_string();
                format!("{}\n", json_shown(&text))
            }
        }
    }
}

/// As [`shown`], in the escapes of JSON: such a character can only stand inside of a string.
fn json_shown(text: &str) -> Cow<'_, str> {
    let unsafe_here = |character: char| is_unsafe_to_show(character) && character != '\n';
    if !text.chars().any(unsafe_here) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if unsafe_here(character) {
            // Every such character lies in the first plane, where one escape is enough.
            let _written = write!(out, "\\u{:04x}", u32::from(character));
        } else {
            out.push(character);
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::find::Wish;

    #[test]
    fn colour_is_for_terminals_and_no_color_is_honoured() {
        #[rustfmt::skip]
        let cases = [
            // name                              color         terminal  NO_COLOR   paint
            ("a terminal",                       When::Auto,   true,     None,      Paint::Colour),
            ("a pipe",                           When::Auto,   false,    None,      Paint::Plain),
            ("NO_COLOR",                         When::Auto,   true,     Some("1"), Paint::Plain),
            ("an empty NO_COLOR is none",        When::Auto,   true,     Some(""),  Paint::Colour),
            ("always means always",              When::Always, false,    Some("1"), Paint::Colour),
            ("never means never",                When::Never,  true,     None,      Paint::Plain),
        ];
        for (name, color, terminal, no_color, paint) in cases {
            let screen = Screen { terminal, no_color: no_color.map(OsStr::new), locale: None };
            assert_eq!(Style::new(color, &screen).paint, paint, "{name}");
        }
    }

    #[test]
    fn blocks_are_for_utf_8_terminals() {
        #[rustfmt::skip]
        let cases = [
            (true,  Some("en_GB.UTF-8"), Glyphs::Unicode),
            (true,  Some("C.utf8"),      Glyphs::Unicode),
            (true,  Some("C"),           Glyphs::Ascii),
            (true,  None,                Glyphs::Ascii),
            (false, Some("en_GB.UTF-8"), Glyphs::Ascii),
        ];
        for (terminal, locale, glyphs) in cases {
            let screen = Screen { terminal, no_color: None, locale: locale.map(OsStr::new) };
            assert_eq!(Style::new(When::Auto, &screen).glyphs, glyphs, "{terminal} {locale:?}");
        }
    }

    #[test]
    fn a_warning_is_one_line_in_the_form_of_everything_else() {
        let hostile = "a\n\u{9b}\"b\"";
        assert_eq!(output(Form::Text).warning(hostile), "tokenctl: warning: a\\u{a}\\u{9b}\"b\"\n");
        assert_eq!(output(Form::Json).warning(hostile), "{\"warning\":\"a\\n\\u009b\\\"b\\\"\"}\n");
    }

    #[test]
    fn a_warning_names_commands_that_reach_the_same_daemon_and_json_the_daemons_own() {
        let sentence = "type: tokenctl login mail";
        let typed = "tokenctl: warning: type: tokenctl --socket /s login mail\n";
        assert_eq!(output(Form::Text).warning(sentence), typed);
        assert_eq!(
            output(Form::Json).warning(sentence),
            format!("{{\"warning\":\"{sentence}\"}}\n")
        );
    }

    #[test]
    fn no_terminal_escape_gets_through() {
        assert_eq!(json_shown("\"\u{9b}31m\u{202e}\""), "\"\\u009b31m\\u202e\"");
    }

    fn output(form: Form) -> Output {
        let style = Style { paint: Paint::Plain, glyphs: Glyphs::Ascii };
        let hints = Hints::new(&Wish::Socket("/s".into()));
        Output { form, style, notes: Notes::Shown, hints }
    }
}
