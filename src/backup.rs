//! What a backup says: every account that the store knows, as one JSON text.
//!
//! JSON, so that a person who has nothing left but the file and the key can read it with
//! `age` and any editor. The text is the inside of the envelope and never lies anywhere
//! unsealed; it is written into room of its exact size, which is wiped.
//!
//! What is in it: of each account the refresh token, its generation and its place
//! ([`Lineage`]), how it stood, and its secrets. Access tokens are left out: they are dead
//! within the hour, and a restored credential is proven by an exchange that brings new ones.
//!
//! # Invariants
//!
//! * Reading is total. What is read fits [`limits::BACKUP`] and
//!   [`limits::BACKUP_ACCOUNTS`], and names each account once.
//! * A text of a later version is told from a damaged one.
//! * Messages tell where a text is wrong, never what stands there.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::io::Write;
use std::time::Duration;

use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::de;
use zeroize::Zeroizing;

use crate::limits;
use crate::name::AccountId;
use crate::plan::Rotation;
use crate::record::Condition;
use crate::record::Flags;
use crate::record::Hold;
use crate::record::Lineage;
use crate::time::Timestamp;
use crate::token::Generation;
use crate::token::Secret;

/// The version that is written, and the newest that is read. Fields may be added under the
/// same one; a reader leaves alone what it does not know.
pub const VERSION: u32 = 1;

/// What the text says it is.
const FORMAT: &str = "tokenkeeper-backup";

/// Everything that a store knew.
pub struct Backup {
    /// When it was read.
    pub made_at: Timestamp,
    /// The accounts, configured or not.
    pub accounts: Vec<Kept>,
}

/// One account.
pub struct Kept {
    /// Its name.
    pub account: AccountId,
    /// Where its credential came from.
    pub lineage: Lineage,
    /// What its provider does with spent refresh tokens, by the configuration of that time.
    pub rotation: Rotation,
    /// The newest generation of it that was saved.
    pub generation: Generation,
    /// When that was granted, in whole seconds.
    pub issued_at: Option<Timestamp>,
    /// Whose tokens they are, where that is known.
    pub subject: Option<Box<str>>,
    /// What the provider last said of the credential.
    pub condition: Condition,
    /// Whether somebody held it back.
    pub hold: Hold,
    /// Whether a refresh was under way, so that the refresh token may be spent.
    pub under_way: bool,
    /// Its refresh token; `None` where it has none.
    pub refresh_token: Option<Secret>,
    /// Its secrets in the store, by slot.
    pub secrets: BTreeMap<String, Secret>,
}

impl Kept {
    /// Nothing but a name.
    pub fn new(account: AccountId) -> Self {
        Self {
            account,
            lineage: Lineage::default(),
            rotation: Rotation::Unknown,
            generation: Generation::default(),
            issued_at: None,
            subject: None,
            condition: Condition::Sound,
            hold: Hold::None,
            under_way: false,
            refresh_token: None,
            secrets: BTreeMap::new(),
        }
    }
}

/// A state that is larger than a backup can be.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "the state is larger than a backup can be: {} accounts and {} MiB at the most",
    limits::BACKUP_ACCOUNTS,
    limits::BACKUP / (1024 * 1024)
)]
pub struct TooLarge;

/// Why a text is no backup.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unreadable {
    /// It says that it is something else, or is no JSON at all.
    #[error("what is sealed in it is no backup of tokenkeeper")]
    Foreign,
    /// Another tokenkeeper wrote it.
    #[error(
        "it is a backup of version {0}, and this tokenctl reads up to {VERSION}; use the \
         tokenctl of the host that made it, or a newer one"
    )]
    Newer(u32),
    /// It does not say what a backup says.
    #[error("the backup is damaged at line {line}, column {column}")]
    Damaged {
        /// Where, from 1.
        line: usize,
        /// Where in the line, from 1.
        column: usize,
    },
    /// An account with an impossible name, or one that is there twice.
    #[error("the backup is damaged: its account number {0} has no name of its own")]
    Misnamed(usize),
    /// It is longer than a backup can be.
    #[error(
        "it is no backup of tokenkeeper: one has {} accounts and {} MiB at the most",
        limits::BACKUP_ACCOUNTS,
        limits::BACKUP / (1024 * 1024)
    )]
    TooLarge,
}

/// Writes a backup.
///
/// # Errors
///
/// [`TooLarge`].
pub fn write(backup: &Backup) -> Result<Zeroizing<Vec<u8>>, TooLarge> {
    if backup.accounts.len() > limits::BACKUP_ACCOUNTS {
        return Err(TooLarge);
    }
    let text = Text {
        format: FORMAT.into(),
        version: VERSION,
        made_at: When(backup.made_at),
        accounts: backup.accounts.iter().map(Row::of).collect(),
    };
    // Measured first: growing would leave copies of secrets in freed memory.
    let mut length = Length(0);
    serde_json::to_writer(&mut length, &text).map_err(|_| TooLarge)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(length.0));
    serde_json::to_writer(&mut *bytes, &text).map_err(|_| TooLarge)?;
    Ok(bytes)
}

/// Reads a backup.
///
/// # Errors
///
/// Any [`Unreadable`].
pub fn read(bytes: &[u8]) -> Result<Backup, Unreadable> {
    /// What a text of every version says.
    #[derive(Deserialize)]
    struct Heading {
        format: String,
        version: u32,
    }

    if bytes.len() > limits::BACKUP {
        return Err(Unreadable::TooLarge);
    }
    match serde_json::from_slice::<Heading>(bytes) {
        Ok(Heading { format, .. }) if format != FORMAT => return Err(Unreadable::Foreign),
        Ok(Heading { version, .. }) if version > VERSION => return Err(Unreadable::Newer(version)),
        Ok(_) => {}
        Err(_) => return Err(Unreadable::Foreign),
    }
    let text = serde_json::from_slice::<Text<'_>>(bytes).map_err(|error| damaged(&error))?;
    if text.accounts.len() > limits::BACKUP_ACCOUNTS {
        return Err(Unreadable::TooLarge);
    }
    let mut names = BTreeSet::new();
    let mut accounts = Vec::with_capacity(text.accounts.len());
    for (index, row) in text.accounts.into_iter().enumerate() {
        let kept = row.kept().ok_or(Unreadable::Misnamed(index + 1))?;
        if !names.insert(kept.account.clone()) {
            return Err(Unreadable::Misnamed(index + 1));
        }
        accounts.push(kept);
    }
    Ok(Backup { made_at: text.made_at.0, accounts })
}

/// The parser's own words may quote what stands there, which may be a token.
fn damaged(error: &serde_json::Error) -> Unreadable {
    Unreadable::Damaged { line: error.line(), column: error.column() }
}

/// The text, as it is written.
#[derive(Deserialize, Serialize)]
struct Text<'a> {
    format: Cow<'a, str>,
    version: u32,
    made_at: When,
    accounts: Vec<Row<'a>>,
}

/// One account, as it is written.
#[derive(Deserialize, Serialize)]
struct Row<'a> {
    account: Cow<'a, str>,
    lineage: Cow<'a, str>,
    rotation: Spending,
    generation: u64,
    issued_at: Option<When>,
    subject: Option<Cow<'a, str>>,
    condition: Condition,
    paused: bool,
    /// Older texts have none, and older readers leave it alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    released: bool,
    under_way: bool,
    refresh_token: Option<Hidden<'a>>,
    secrets: BTreeMap<Cow<'a, str>, Hidden<'a>>,
}

impl<'a> Row<'a> {
    fn of(kept: &'a Kept) -> Self {
        let secret = |(slot, secret): (&'a String, &'a Secret)| {
            (Cow::Borrowed(slot.as_str()), Hidden(Cow::Borrowed(secret)))
        };
        let Flags { paused, released } = kept.hold.into();
        Self {
            account: kept.account.as_str().into(),
            lineage: (&*kept.lineage.0).into(),
            rotation: kept.rotation.into(),
            generation: kept.generation.0,
            issued_at: kept.issued_at.map(When),
            subject: kept.subject.as_deref().map(Into::into),
            condition: kept.condition,
            paused,
            released,
            under_way: kept.under_way,
            refresh_token: kept.refresh_token.as_ref().map(|it| Hidden(Cow::Borrowed(it))),
            secrets: kept.secrets.iter().map(secret).collect(),
        }
    }

    /// The account; `None` if its name can be none's.
    fn kept(self) -> Option<Kept> {
        let secret =
            |(slot, secret): (Cow<'_, str>, Hidden<'_>)| (slot.into_owned(), secret.0.into_owned());
        Some(Kept {
            account: AccountId::parse(&self.account).ok()?,
            lineage: Lineage((&*self.lineage).into()),
            rotation: self.rotation.into(),
            generation: Generation(self.generation),
            issued_at: self.issued_at.map(|at| at.0),
            subject: self.subject.map(|subject| (&*subject).into()),
            condition: self.condition,
            hold: Flags { paused: self.paused, released: self.released }.into(),
            under_way: self.under_way,
            refresh_token: self.refresh_token.map(|token| token.0.into_owned()),
            secrets: self.secrets.into_iter().map(secret).collect(),
        })
    }
}

/// [`Rotation`], as it is written.
#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Spending {
    Unknown,
    None,
    GraceSecs(u64),
    Strict,
}

impl From<Rotation> for Spending {
    fn from(rotation: Rotation) -> Self {
        match rotation {
            Rotation::Unknown => Self::Unknown,
            Rotation::Never => Self::None,
            Rotation::Grace(span) => Self::GraceSecs(span.as_secs()),
            Rotation::Strict => Self::Strict,
        }
    }
}

impl From<Spending> for Rotation {
    fn from(spending: Spending) -> Self {
        match spending {
            Spending::Unknown => Self::Unknown,
            Spending::None => Self::Never,
            Spending::GraceSecs(secs) => Self::Grace(Duration::from_secs(secs)),
            Spending::Strict => Self::Strict,
        }
    }
}

/// A time, as it is written.
#[derive(Clone, Copy)]
struct When(Timestamp);

impl Serialize for When {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for When {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'_, str>::deserialize(deserializer)?;
        Timestamp::parse(&text).map(Self).ok_or_else(|| de::Error::custom("no time"))
    }
}

/// A secret inside of the text, which is sealed as a whole.
struct Hidden<'a>(Cow<'a, Secret>);

impl Serialize for Hidden<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose())
    }
}

impl<'de> Deserialize<'de> for Hidden<'_> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl de::Visitor<'_> for Reader {
            type Value = Secret;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E>(self, text: &str) -> Result<Secret, E> {
                Ok(Secret::new(text))
            }
        }

        deserializer.deserialize_str(Reader).map(|secret| Self(Cow::Owned(secret)))
    }
}

/// Counts what is written, up to what a backup can be.
struct Length(usize);

impl Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.saturating_add(bytes.len());
        if self.0 > limits::BACKUP {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
