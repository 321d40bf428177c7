//! Secrets that come in: from a file, from the standard input, from a person.
//!
//! Never from an argument. What is read is bounded, wiped when dropped, and one newline at
//! its end does not belong to it. A person types without echo.

use std::fmt;
use std::fs::File;
use std::fs::Metadata;
use std::io;
use std::io::IsTerminal as _;
use std::io::Read;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::path::PathBuf;

use zeroize::Zeroizing;

use crate::typing::Key;
use crate::typing::QuietTerminal;
use crate::typing::Typing;

/// Longest secret: it goes into a body of at most 64 KiB, perhaps escaped.
pub(crate) const MAX_SECRET: usize = 16 * 1024;

/// A secret that was given.
pub(crate) struct Given {
    /// It.
    pub(crate) secret: Zeroizing<String>,
    /// What is wrong with where it comes from, if anything is.
    pub(crate) warning: Option<Exposed>,
}

/// A file of a secret that lies open to others. It is read all the same: whoever could read it
/// has, and the secret is of use until it is replaced.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Exposed {
    path: PathBuf,
    mode: u32,
}

impl fmt::Display for Exposed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, mode) = (self.path.display(), self.mode);
        write!(f, "{path} can be read by others (mode {mode:04o}); type: chmod 600 {path}")
    }
}

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InputError {
    /// It cannot be read.
    #[error("cannot read {}: {error}", .from.display())]
    Unreadable {
        /// The file.
        from: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// There is nothing.
    #[error("nothing was given: {0} is empty")]
    Empty(String),
    /// There is more than a secret can be.
    #[error("{0} is longer than {MAX_SECRET} bytes, which no secret is")]
    TooLong(String),
    /// It is a whole file of another program.
    #[error(
        "that is a JSON object and no bare token; say where the token is in it: tokenctl import \
         ACCOUNT --from json FILE --at /POINTER"
    )]
    Object,
    /// It cannot be sent.
    #[error("{0} is not UTF-8 text")]
    NotText(String),
    /// There is nobody to ask.
    #[error(
        "there is no terminal to ask on; run it on one, or give a password to --password-stdin"
    )]
    NoTerminal,
    /// There is nobody to ask for what no option gives.
    #[error("there is no terminal to ask on; run it on one")]
    NobodyThere,
    /// The person thought better of it.
    #[error("nothing was given")]
    Aborted,
}

/// Reads a secret from `file`, `-` being the standard input. Without a file, a terminal is
/// asked with `prompt`, and anything else is read.
///
/// # Errors
///
/// Any [`InputError`].
pub(crate) fn secret(file: Option<&Path>, prompt: &str) -> Result<Given, InputError> {
    let stdin = io::stdin();
    let secret = match file {
        Some(path) if path.as_os_str() != "-" => return from_file(path),
        _ if stdin.is_terminal() => ask(prompt)?,
        _ => bounded(stdin.lock(), STDIN).map_err(unreadable_stdin)??,
    };
    Ok(Given { secret, warning: None })
}

fn from_file(path: &Path) -> Result<Given, InputError> {
    let unreadable = |error| InputError::Unreadable { from: path.into(), error };
    let opened = File::open(path).map_err(unreadable)?;
    let warning = exposed(path, &opened.metadata().map_err(unreadable)?);
    let secret = bounded(opened, &path.display().to_string()).map_err(unreadable)??;
    Ok(Given { secret, warning })
}

/// Whether others can read the file. A pipe of the shell's process substitution is none.
fn exposed(path: &Path, metadata: &Metadata) -> Option<Exposed> {
    /// Reading by the group and by everyone.
    const OTHERS: u32 = 0o044;
    const PERMISSIONS: u32 = 0o7777;

    let mode = metadata.mode() & PERMISSIONS;
    let open = metadata.is_file() && mode & OTHERS != 0;
    open.then(|| Exposed { path: path.into(), mode })
}

const STDIN: &str = "the standard input";

fn unreadable_stdin(error: io::Error) -> InputError {
    InputError::Unreadable { from: STDIN.into(), error }
}

/// Reads all of `source`; the outer error is the source's, the inner one its content's.
fn bounded(
    source: impl Read,
    name: &str,
) -> Result<Result<Zeroizing<String>, InputError>, io::Error> {
    // Room for everything, so that no copy is left behind by growing.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_SECRET + 2));
    source.take(MAX_SECRET as u64 + 2).read_to_end(&mut bytes)?;
    Ok(text(&bytes, name))
}

fn text(bytes: &[u8], name: &str) -> Result<Zeroizing<String>, InputError> {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    if bytes.is_empty() {
        return Err(InputError::Empty(name.into()));
    }
    if bytes.len() > MAX_SECRET {
        return Err(InputError::TooLong(name.into()));
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Zeroizing::new(text.into())),
        Err(_) => Err(InputError::NotText(name.into())),
    }
}

/// Asks a person on the terminal that is the standard input.
fn ask(prompt: &str) -> Result<Zeroizing<String>, InputError> {
    let stdin = io::stdin();
    let quiet = QuietTerminal::new(&stdin).map_err(unreadable_stdin)?;
    let mut stderr = io::stderr().lock();
    write!(stderr, "{prompt}: ").map_err(unreadable_stdin)?;
    let line = read_line(stdin.lock().bytes());
    // The newline that was typed had no echo.
    writeln!(stderr).map_err(unreadable_stdin)?;
    drop(quiet);
    text(line?.so_far(), "what was typed")
}

/// Reads what is typed up to the end of the line.
fn read_line(keys: impl Iterator<Item = io::Result<u8>>) -> Result<Typing, InputError> {
    let mut typing = Typing::new(MAX_SECRET);
    for key in keys {
        match typing.key(key.map_err(unreadable_stdin)?) {
            Key::More => {}
            Key::Done => break,
            Key::Aborted => return Err(InputError::Aborted),
            Key::TooLong => return Err(InputError::TooLong("what was typed".into())),
        }
    }
    Ok(typing)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn one_newline_at_the_end_does_not_belong_to_the_secret() {
        let longest = "x".repeat(MAX_SECRET);
        let too_long = format!("{longest}x");
        #[rustfmt::skip]
        let cases = [
            ("plain",               "s3cret",     Ok("s3cret")),
            ("with its newline",    "s3cret\n",   Ok("s3cret")),
            ("only one is removed", "s3cret\n\n", Ok("s3cret\n")),
            ("spaces are content",  " s ",        Ok(" s ")),
            ("the longest",         &longest,     Ok(longest.as_str())),
            ("one byte more",       &too_long,    Err("it is longer than 16384 bytes, which no secret is")),
            ("nothing",             "",           Err("nothing was given: it is empty")),
            ("only a newline",      "\n",         Err("nothing was given: it is empty")),
        ];
        for (name, given, expected) in cases {
            let got = bounded(given.as_bytes(), "it").unwrap();
            let got = got.as_deref().map(String::as_str).map_err(ToString::to_string);
            assert_eq!(got, expected.map_err(str::to_owned), "{name}");
        }
    }

    #[test]
    fn a_file_that_others_can_read_is_taken_with_a_warning() {
        let path = std::env::temp_dir().join(format!("tokenctl-input-{}", std::process::id()));
        let shown = path.display();
        for (mode, readable) in [(0o600, false), (0o700, false), (0o640, true), (0o644, true)] {
            File::create(&path).unwrap().write_all(b"s3cret\n").unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let given = secret(Some(&path), "never asked").unwrap();
            let warning = given.warning.map(|exposed| exposed.to_string());
            let expected =
                format!("{shown} can be read by others (mode {mode:04o}); type: chmod 600 {shown}");
            assert_eq!(warning, readable.then_some(expected));
            assert_eq!(given.secret.as_str(), "s3cret");
        }
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn what_is_no_text_cannot_be_sent() {
        let got = bounded(&b"\xff\xfe"[..], "it").unwrap();
        assert_eq!(got.unwrap_err().to_string(), "it is not UTF-8 text");
    }

    #[test]
    fn a_source_without_end_is_read_to_the_limit_only() {
        let got = bounded(io::repeat(b'x'), "it").unwrap();
        assert!(matches!(got, Err(InputError::TooLong(_))));
    }
}
