//! Files of other programs, as text: what is written into them, and what is read out of them.
//!
//! Programs that can only read files get them from here, each in the bytes that the program
//! itself would write, and without the refresh token: where a format needs its key, it is
//! empty. What such programs have saved themselves is read for `import` and `adopt`.
//!
//! Pure: time zone and file content are arguments, so that each format is held to samples
//! byte for byte. Which file, when, and under which lock is decided in `verb` and `file`.
//!
//! # Reading order
//!
//! 1. [`Facts`]: what there is to write; [`Layout`]: how.
//! 2. `quilt`, `nwp500`, `plain`, `template`, `places`: one format each.
//! 3. `taken`: what is read out of files.
//! 4. `json`: JSON text with the place of each value in it; `date`: points in time.
//!
//! # Invariants
//!
//! * Nothing that is written holds a refresh token, except one that stood in the file as
//!   somebody else's.
//! * What does not belong to the account is preserved, and where the file is not rewritten as
//!   a whole, byte for byte. A file of another form is not written over.

pub(crate) mod date;
pub(crate) mod json;
pub(crate) mod nwp500;
pub(crate) mod places;
pub(crate) mod plain;
mod quilt;
pub(crate) mod taken;
pub(crate) mod template;

use jiff::tz::TimeZone;
use tokenkeeper::protocol::account::TokenAnswer;
use tokenkeeper::time::Timestamp;
use zeroize::Zeroizing;

use self::json::Pointer;
use self::nwp500::Era;
use self::places::Places;
use self::plain::Plain;
use self::taken::Source;
use self::template::Template;

/// What is written of an account's token.
pub(crate) struct Facts {
    /// The account.
    pub(crate) account: String,
    /// `access` or `id`.
    pub(crate) kind: String,
    /// The token.
    pub(crate) token: Zeroizing<String>,
    /// The provider's `token_type`.
    pub(crate) token_type: String,
    /// Name of the header that the provider's API wants.
    pub(crate) header_name: String,
    /// Its value, the token included.
    pub(crate) header_value: Zeroizing<String>,
    /// When it was granted.
    pub(crate) issued_at: Timestamp,
    /// When it expires.
    pub(crate) expires_at: Timestamp,
    /// Counts the account's token sets.
    pub(crate) generation: u64,
    /// The ID token that came with it, for formats that have a place for both.
    pub(crate) id_token: Option<Zeroizing<String>>,
    /// AWS credentials, for formats that have a place for them.
    pub(crate) aws: Option<Aws>,
}

/// AWS credentials.
pub(crate) struct Aws {
    /// The key id.
    pub(crate) access_key_id: Zeroizing<String>,
    /// The key.
    pub(crate) secret_access_key: Zeroizing<String>,
    /// The session.
    pub(crate) session_token: Zeroizing<String>,
    /// When they expire, which is not when the token does.
    pub(crate) expires_at: Timestamp,
}

impl Facts {
    /// What the daemon answered; `None` if its times are none.
    pub(crate) fn of(answer: TokenAnswer) -> Option<Self> {
        Some(Self {
            account: answer.account,
            kind: answer.kind,
            token: Zeroizing::new(answer.token),
            token_type: answer.token_type,
            header_name: answer.header.name,
            header_value: Zeroizing::new(answer.header.value),
            issued_at: date::rfc_3339(&answer.issued_at)?,
            expires_at: date::rfc_3339(&answer.expires_at)?,
            generation: answer.generation,
            id_token: None,
            aws: None,
        })
    }
}

/// Reads a time as the daemon writes it (RFC 3339).
pub(crate) fn time(text: &str) -> Option<Timestamp> {
    date::rfc_3339(text)
}

/// How a file is laid out.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Layout {
    /// The `tokens.json` of quilt-hp, in which an account stands under its e-mail.
    QuiltHp {
        /// That e-mail, as it was typed there.
        email: String,
    },
    /// A dump of nwp500, or with an e-mail the cache of its command line.
    Nwp500 {
        /// How that release writes times.
        era: Era,
        /// The e-mail of the cache.
        email: Option<String>,
    },
    /// One token and nothing of anybody else's.
    Plain(Plain),
    /// As a person says.
    Template(Template),
    /// Some places of a JSON file that belongs to its program.
    Places(Places),
}

/// What a layout has places for besides the token.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Extras {
    /// The ID token, where the token is an access token.
    pub(crate) id_token: bool,
    /// AWS credentials.
    pub(crate) aws: bool,
}

/// Why a file cannot be written or read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Unfit {
    /// It is not JSON; where it stops being JSON, without a word of it.
    #[error("it is not JSON (line {line}, column {column})")]
    NotJson {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// It is JSON of another shape.
    #[error("it has another form than {0} has")]
    OtherForm(&'static str),
    /// A place is not there.
    #[error("it has nothing at {0}")]
    NoSuchPlace(Pointer),
    /// What is there is something else.
    #[error("at {place} it has no {expected}")]
    NotA {
        /// The place.
        place: Pointer,
        /// What was expected there.
        expected: &'static str,
    },
    /// There are several accounts and none is named.
    #[error("it has several accounts; name one by --email")]
    SeveralAccounts,
    /// The account is not there.
    #[error("it has no account {0}")]
    NoSuchEmail(String),
    /// There is no refresh token.
    #[error("it holds no refresh token")]
    NoRefreshToken,
    /// The token has characters that the form cannot carry.
    #[error("the token has characters that this form cannot carry")]
    Unquotable,
}

impl Layout {
    /// What it has places for besides the token.
    pub(crate) const fn extras(&self) -> Extras {
        match self {
            Self::Nwp500 { .. } => Extras { id_token: true, aws: true },
            Self::QuiltHp { .. } | Self::Plain(_) | Self::Template(_) | Self::Places(_) => {
                Extras { id_token: false, aws: false }
            }
        }
    }

    /// Whether its program writes the file as well, and may leave a login of its own there.
    pub(crate) const fn is_shared(&self) -> bool {
        match self {
            Self::QuiltHp { .. } | Self::Nwp500 { .. } | Self::Places(_) => true,
            Self::Plain(_) | Self::Template(_) => false,
        }
    }

    /// Whether it is JSON, whoever reads it.
    pub(crate) const fn is_json(&self) -> bool {
        match self {
            Self::QuiltHp { .. } | Self::Nwp500 { .. } | Self::Places(_) => true,
            Self::Plain(Plain::Json) => true,
            Self::Plain(Plain::Raw | Plain::Header | Plain::Env) | Self::Template(_) => false,
        }
    }

    /// Whether only places of the file are written, and the rest of it is its program's.
    pub(crate) const fn is_edited(&self) -> bool {
        matches!(self, Self::Places(_))
    }

    /// The refresh token that its program has left there.
    pub(crate) fn left_behind(&self, present: &str) -> Option<Zeroizing<String>> {
        let source = match self {
            Self::QuiltHp { .. } => Source::QuiltHp,
            Self::Nwp500 { era, .. } => Source::Nwp500(*era),
            Self::Places(places) => return places.refresh_token(present).ok().flatten(),
            Self::Plain(_) | Self::Template(_) => return None,
        };
        let taken = source.read(present, self.email(), &TimeZone::UTC);
        taken.ok().map(|taken| taken.refresh_token)
    }

    /// Where its program leaves a refresh token; `None` where that depends on the file.
    pub(crate) fn login_at(&self) -> Option<Pointer> {
        match self {
            Self::QuiltHp { email } => Some(quilt::refresh_token_of(email)),
            Self::Places(places) => places.refresh.clone(),
            Self::Nwp500 { .. } | Self::Plain(_) | Self::Template(_) => None,
        }
    }

    fn email(&self) -> Option<&str> {
        match self {
            Self::QuiltHp { email } => Some(email),
            Self::Nwp500 { email, .. } => email.as_deref(),
            Self::Plain(_) | Self::Template(_) | Self::Places(_) => None,
        }
    }

    /// Whether the format's own program takes a lock beside the file.
    pub(crate) const fn has_lock(&self) -> bool {
        matches!(self, Self::QuiltHp { .. })
    }

    /// The file's new content at `now`. `present` is what stands there, if anything does.
    ///
    /// # Errors
    ///
    /// What stands there is not what this layout is for; it is not to be overwritten.
    pub(crate) fn write(
        &self,
        facts: &Facts,
        present: Option<&str>,
        now: Timestamp,
        zone: &TimeZone,
    ) -> Result<Zeroizing<String>, Unfit> {
        match self {
            Self::QuiltHp { email } => quilt::write(facts, email, present),
            Self::Nwp500 { era, email } => {
                nwp500::write(facts, *era, email.as_deref(), present, zone)
            }
            Self::Plain(plain) => plain::write(*plain, facts),
            Self::Template(template) => Ok(template.write(facts, now)),
            Self::Places(places) => places.write(facts, present),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::sample::facts;
    use super::*;

    #[test]
    fn a_dump_of_nwp500_goes_over_nothing_but_a_dump_and_keeps_what_is_around_it() {
        let now = facts().issued_at;
        let write = |present: Option<&str>| {
            let layout = Layout::Nwp500 { era: Era::Current, email: None };
            layout.write(&facts(), present, now, &TimeZone::UTC)
        };
        let new = write(None).unwrap();
        for present in ["", " \n", "{}", &new, r#"{"accessToken": "A0"}"#] {
            assert_eq!(write(Some(present)), Ok(new.clone()), "{present}");
        }
        let around =
            |inside: &str| format!("{{ \"at\": 1.50,\n\"tokens\":{inside} , \"z\": [ ]}}\n");
        for inside in ["{}", r#"{"refresh_token": ""}"#, &new] {
            let written = write(Some(&around(inside))).unwrap();
            assert_eq!(*written, around(&new), "{inside}");
        }

        let refused = write(Some("dear diary")).unwrap_err();
        assert_eq!(refused, Unfit::NotJson { line: 1, column: 1 });
        for present in [
            "[]",
            "7",
            r#"{"name": "x"}"#,
            r#"{"pat@example.test": {"id_token": "I"}}"#,
            r#"{"tokens": {"theme": "dark"}}"#,
        ] {
            let refused = write(Some(present)).unwrap_err();
            assert_eq!(
                refused.to_string(),
                "it has another form than a dump of nwp500 has",
                "{present}"
            );
        }
    }
}

#[cfg(test)]
pub(crate) mod sample {
    //! Facts for the tests of every format.

    use super::*;

    /// Granted at 2027-01-15T08:00:00Z, good for an hour.
    pub(crate) fn facts() -> Facts {
        Facts {
            account: "boiler".into(),
            kind: "access".into(),
            token: Zeroizing::new("A1".into()),
            token_type: "Bearer".into(),
            header_name: "authorization".into(),
            header_value: Zeroizing::new("A1".into()),
            issued_at: Timestamp::from_millis(1_800_000_000_000),
            expires_at: Timestamp::from_millis(1_800_003_600_000),
            generation: 7,
            id_token: None,
            aws: None,
        }
    }

    /// Good for 50 minutes after the token was granted.
    pub(super) fn aws() -> Aws {
        Aws {
            access_key_id: Zeroizing::new("AKIA".into()),
            secret_access_key: Zeroizing::new("sk/1".into()),
            session_token: Zeroizing::new("st=".into()),
            expires_at: Timestamp::from_millis(1_800_003_000_000),
        }
    }
}
