//! The store key as a credential of systemd: sealed by systemd-creds(1) to this machine, in the
//! file where `LoadCredentialEncrypted=tokenkeeper.store-key` of the unit looks for it.
//!
//! # Invariants
//!
//! * The key travels through pipes, never as an argument and never into a file in the clear.
//! * What is installed opened before, so that a unit never fails for a credential of ours; and it
//!   replaces what was there as a whole.

use std::fs;
use std::fs::DirBuilder;
use std::io;
use std::io::Read as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::time::Duration;

use tokenkeeper::programs::Answer;
use tokenkeeper::programs::Program;
use tokenkeeper::regular;
use tokenkeeper::regular::Unwritten;
use tokenkeeper::store::key::CREDENTIAL;
use tokenkeeper::store::key::Keys;
use tokenkeeper::store::key::TEXT_LEN;
use tokenkeeper::token::Secret;

use super::binding::Binding;
use super::binding::HEAD_LEN;
use super::program;

/// Where the first of the directories is that a unit's credentials are looked for in.
const DIRECTORY: &str = "/etc/credstore.encrypted";

/// Where the credential lies.
pub(crate) const PATH: &str = "/etc/credstore.encrypted/tokenkeeper.store-key";

/// Longest text of a sealed credential, in bytes. Two keys make some 300 bytes, and a TPM's part
/// of it about 1 kB.
const LONGEST: usize = 64 * 1024;

/// Longest time of one run. A TPM takes seconds.
const LIMIT: Duration = Duration::from_secs(90);

/// Why the credential was not read or not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CredstoreError {
    /// There is no such program.
    #[error(
        "systemd-creds cannot be run ({0}); it is a part of systemd 250 and later, and without \
         it the store key stays a file"
    )]
    NoProgram(String),
    /// The program refuses.
    #[error("systemd-creds cannot {verb} {PATH}: {why}")]
    Failed {
        /// What it was to do.
        verb: &'static str,
        /// What it said.
        why: String,
    },
    /// The credential that is there is none that opens here.
    #[error(
        "{PATH} does not open here: it takes {}. systemd-creds says: {why}. No daemon starts with \
         it; the recovery copy brings the key back (tokenkeeperd(8), \"The store key\")",
        .binding.needs()
    )]
    Shut {
        /// What it was sealed to.
        binding: Binding,
        /// The last thing that the program said.
        why: String,
    },
    /// What is in it is no key of ours.
    #[error(
        "{PATH} holds no store key: expected 64 hex digits on a line, found {0}; move it away if \
         it is of no use"
    )]
    NoKey(&'static str),
    /// What was sealed does not open as the same.
    #[error("what systemd-creds sealed does not open again as the same key; nothing was changed")]
    Unfaithful,
    /// The file cannot be written.
    #[error("cannot write {PATH}: {0}")]
    Unwritten(#[from] Unwritten),
    /// The system refuses.
    #[error("{0}: {1}")]
    System(&'static str, io::Error),
}

/// Finds that systemd-creds is there.
///
/// # Errors
///
/// [`CredstoreError::NoProgram`].
pub(crate) fn available() -> Result<(), CredstoreError> {
    run("start", &["--version"], None).map(drop)
}

/// The keys in the credential, if there is one.
///
/// # Errors
///
/// If it does not open here: it was sealed to another machine, or to another name.
pub(crate) fn read() -> Result<Option<Keys>, CredstoreError> {
    match fs::symlink_metadata(PATH) {
        Ok(_) => match open(PATH, None) {
            Err(CredstoreError::Failed { why, .. }) => {
                // What comes before the last line is said by libraries, and numbers.
                let why = why.rsplit(" | ").next().unwrap_or_default().to_owned();
                Err(CredstoreError::Shut { binding: binding(), why })
            }
            opened => opened.map(Some),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(CredstoreError::System(PATH, error)),
    }
}

/// What the credential that lies there is sealed to.
pub(crate) fn binding() -> Binding {
    let mut head = Vec::with_capacity(HEAD_LEN);
    let read = regular::open(Path::new(PATH))
        .map(|file| file.take(HEAD_LEN as u64).read_to_end(&mut head));
    match read {
        Ok(Ok(_)) => Binding::of(&head),
        Ok(Err(_)) | Err(_) => Binding::Unknown,
    }
}

/// Seals `keys` and puts them where the unit looks, in the place of what was there.
///
/// # Errors
///
/// Any [`CredstoreError`]; then what was there is there still.
pub(crate) fn install(keys: &Keys) -> Result<(), CredstoreError> {
    let name = format!("--name={CREDENTIAL}");
    let encrypt = ["encrypt", "--with-key=auto", &name, "-", "-"];
    let sealed = run("seal", &encrypt, Some(keys.text()))?;
    let text = std::str::from_utf8(&sealed.output).map_err(|_| CredstoreError::Unfaithful)?;
    if !open("-", Some(Secret::new(text)))?.same_as(keys) {
        return Err(CredstoreError::Unfaithful);
    }
    match DirBuilder::new().mode(0o700).create(DIRECTORY) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(CredstoreError::System(DIRECTORY, error));
        }
        _ => {}
    }
    Ok(regular::replace(Path::new(PATH), &sealed.output)?)
}

fn open(path: &str, input: Option<Secret>) -> Result<Keys, CredstoreError> {
    let name = format!("--name={CREDENTIAL}");
    let answer = run("open", &["decrypt", &name, path, "-"], input)?;
    Keys::parse(&answer.output).map_err(CredstoreError::NoKey)
}

/// Runs systemd-creds to its end.
fn run(
    verb: &'static str,
    arguments: &[&str],
    input: Option<Secret>,
) -> Result<Answer, CredstoreError> {
    let argv = ["systemd-creds"].iter().chain(arguments).map(|it| Box::from(*it));
    let argv = argv.collect::<Vec<Box<str>>>();
    let program = Program {
        argv: &argv,
        environment: Vec::new(),
        hidden: input.iter().cloned().collect(),
        input,
        descriptor: None,
        longest: LONGEST.max(TEXT_LEN),
        limit: LIMIT,
    };
    let answer = program::run(program)
        .map_err(|error| CredstoreError::System("runtime", error))?
        .map_err(|error| CredstoreError::NoProgram(error.to_string()))?;
    match &answer.end {
        Ok(()) => Ok(answer),
        Err(cut) => Err(CredstoreError::Failed { verb, why: program::why(&answer, cut) }),
    }
}
