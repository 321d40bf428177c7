//! Sealing to age recipients, and opening what was sealed.
//!
//! The format is the one of age (<https://c2sp.org/age>), version 1, binary, so that a file
//! can be opened without this program. Only its native X25519 keys are known: a passphrase
//! would have to be guarded like the tokens themselves, and a plugin is a program.
//!
//! The file key and the nonce are drawn inside of the `age` crate, from the system.

use std::io;
use std::io::Read as _;
use std::io::Write as _;

use age::DecryptError;
use age::Decryptor;
use age::Encryptor;
use age::x25519;
use zeroize::Zeroizing;

use crate::limits;

/// How every age file begins.
const INTRO: &[u8] = b"age-encryption.org/";

/// Whoever can open what is sealed: a public key.
pub struct Recipient(x25519::Recipient);

/// What is written as a recipient and is none.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NoRecipient {
    /// A key that opens was given in the place of one that seals.
    #[error(
        "it is an identity, which opens backups: it must not leave its file; the recipient is \
         the public key beside it, age1…"
    )]
    Identity,
    /// It is something else.
    #[error("expected the public key of an age identity: age1 and 58 letters and digits")]
    Malformed,
}

impl Recipient {
    /// Reads a recipient, `age1…`.
    ///
    /// # Errors
    ///
    /// Any [`NoRecipient`], which does not repeat the text.
    pub fn parse(text: &str) -> Result<Self, NoRecipient> {
        if is_identity(text) {
            return Err(NoRecipient::Identity);
        }
        text.parse().map(Self).map_err(|_| NoRecipient::Malformed)
    }
}

/// What could not be sealed.
#[derive(Debug, thiserror::Error)]
pub enum Unsealed {
    /// There is nobody to open it.
    #[error("there is no recipient")]
    NoRecipient,
    /// It could not be written.
    #[error("it cannot be sealed: {0}")]
    Io(#[from] io::Error),
}

/// Seals `plain` to every one of `recipients`.
///
/// # Errors
///
/// Any [`Unsealed`].
pub fn seal(plain: &[u8], recipients: &[Recipient]) -> Result<Vec<u8>, Unsealed> {
    let recipients = recipients.iter().map(|Recipient(key)| key as &dyn age::Recipient);
    let encryptor = Encryptor::with_recipients(recipients).map_err(|_| Unsealed::NoRecipient)?;
    let mut writer = encryptor.wrap_output(Vec::with_capacity(plain.len() + FRAME))?;
    writer.write_all(plain)?;
    Ok(writer.finish()?)
}

/// What sealing adds at the most: the header of [`limits::RECIPIENTS`], and 16 bytes for each
/// 64 KiB of [`limits::BACKUP`].
const FRAME: usize = 16 * 1024;

/// Longest file that can be a sealed backup, in bytes.
pub const LONGEST: usize = limits::BACKUP + FRAME;

/// The keys of an identity file, which open what was sealed to one of them.
pub struct Identities(Vec<x25519::Identity>);

/// Why a file is no identity file.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NoIdentity {
    /// A line of it is none.
    #[error(
        "line {0} is no identity of age: one is AGE-SECRET-KEY-1 and 58 letters and digits, as \
         age-keygen writes it"
    )]
    Malformed(usize),
    /// A line of it is the key that seals.
    #[error("line {0} is a recipient, which only seals; the identity is AGE-SECRET-KEY-1…")]
    Recipient(usize),
    /// The file itself is sealed.
    #[error("the identity file is sealed itself; open it first, with age --decrypt")]
    Sealed,
    /// Nothing but comments.
    #[error("there is no identity in it")]
    Empty,
    /// More than anybody has.
    #[error("it has more than {} identities", limits::RECIPIENTS)]
    TooMany,
}

impl Identities {
    /// Reads an identity file as `age-keygen` writes it: a key a line, `#` begins a comment.
    ///
    /// # Errors
    ///
    /// Any [`NoIdentity`], which repeats nothing of it.
    pub fn parse(text: &str) -> Result<Self, NoIdentity> {
        if text.starts_with("age-encryption.org/") || text.starts_with("-----BEGIN AGE") {
            return Err(NoIdentity::Sealed);
        }
        let mut keys = Vec::new();
        for (index, line) in text.lines().map(str::trim).enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if keys.len() >= limits::RECIPIENTS {
                return Err(NoIdentity::TooMany);
            }
            if line.starts_with("age1") {
                return Err(NoIdentity::Recipient(index + 1));
            }
            keys.push(line.parse().map_err(|_| NoIdentity::Malformed(index + 1))?);
        }
        if keys.is_empty() { Err(NoIdentity::Empty) } else { Ok(Self(keys)) }
    }
}

/// Why a file does not open.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unopened {
    /// It is no age file of this form.
    #[error("it is no backup: a backup is a binary age file")]
    NotSealed,
    /// It is sealed in a way that backups are not.
    #[error("it is no backup: it is sealed with a passphrase, and a backup to a key")]
    Passphrase,
    /// It was sealed to others.
    #[error("no identity in that file opens it: it was sealed to others")]
    WrongIdentity,
    /// It was sealed to us and is not what was sealed.
    #[error("it is damaged or cut short")]
    Damaged,
    /// More than a backup.
    #[error("it is no backup: it is larger than one can be")]
    TooLarge,
}

/// Opens what was sealed to one of `identities`.
///
/// # Errors
///
/// Any [`Unopened`]. Nothing of a file that is damaged anywhere is given out.
pub fn open(sealed: &[u8], identities: &Identities) -> Result<Zeroizing<Vec<u8>>, Unopened> {
    if sealed.len() > LONGEST {
        return Err(Unopened::TooLarge);
    }
    if !sealed.starts_with(INTRO) {
        return Err(Unopened::NotSealed);
    }
    let decryptor = Decryptor::new_buffered(sealed).map_err(|error| unopened(&error))?;
    if decryptor.is_scrypt() {
        return Err(Unopened::Passphrase);
    }
    let keys = identities.0.iter().map(|key| key as &dyn age::Identity);
    let reader = decryptor.decrypt(keys).map_err(|error| unopened(&error))?;
    // What is opened is shorter than what was sealed, so this never grows.
    let mut plain = Zeroizing::new(Vec::with_capacity(sealed.len()));
    let limit = u64::try_from(sealed.len()).unwrap_or(u64::MAX);
    reader.take(limit).read_to_end(&mut plain).map_err(|_| Unopened::Damaged)?;
    Ok(plain)
}

fn unopened(error: &DecryptError) -> Unopened {
    if matches!(error, DecryptError::NoMatchingKeys) {
        Unopened::WrongIdentity
    } else if matches!(error, DecryptError::UnknownFormat) {
        Unopened::NotSealed
    } else {
        // A header that ends too soon, or that somebody changed.
        Unopened::Damaged
    }
}

fn is_identity(text: &str) -> bool {
    const PREFIX: &str = "AGE-SECRET-KEY-";

    text.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn every_recipient_opens_what_was_sealed_and_nobody_else() {
        let [ours, theirs, strangers] = [(); 3].map(|()| x25519::Identity::generate());
        let recipients = [&ours, &theirs].map(|key| Recipient(key.to_public()));
        for plain in [&b""[..], b"hush", &vec![7; 200_000]] {
            let sealed = seal(plain, &recipients).unwrap();
            assert!(plain.is_empty() || !sealed.windows(plain.len()).any(|it| it == plain));
            for key in [&ours, &theirs] {
                let keys = Identities(vec![strangers.clone(), key.clone()]);
                assert_eq!(open(&sealed, &keys).unwrap().as_slice(), plain);
            }
            let keys = Identities(vec![strangers.clone()]);
            assert_eq!(open(&sealed, &keys), Err(Unopened::WrongIdentity));
        }
    }

    #[test]
    fn a_file_that_is_changed_or_cut_anywhere_gives_nothing() {
        let key = x25519::Identity::generate();
        let sealed = seal(b"hush", &[Recipient(key.to_public())]).unwrap();
        let keys = Identities(vec![key]);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(open(&changed, &keys).is_err(), "byte {at} changed");
            assert!(open(&sealed[..at], &keys).is_err(), "cut at {at}");
        }
        let mut longer = sealed;
        longer.push(0);
        assert_eq!(open(&longer, &keys), Err(Unopened::Damaged));
    }

    #[test]
    fn the_longest_backup_fits_what_is_read_of_a_file() {
        /// What age adds to each chunk of 64 KiB: a tag of Poly1305.
        const TAG: usize = 16;
        /// More than the line of random length that keeps readers of headers honest.
        const GREASE: usize = 1024;
        let recipients = [(); limits::RECIPIENTS].map(|()| x25519::Identity::generate());
        let recipients = recipients.map(|key| Recipient(key.to_public()));
        let one_chunk = seal(b"x", &recipients).unwrap().len();
        let longest = one_chunk + GREASE + limits::BACKUP + limits::BACKUP / 65_536 * TAG;
        assert!(longest <= LONGEST, "{longest} > {LONGEST}");
    }

    #[test]
    fn files_that_are_no_backups_are_told_what_they_are() {
        let keys = Identities(vec![x25519::Identity::generate()]);
        let passphrase = Encryptor::with_user_passphrase("hush".to_owned().into());
        let mut writer = passphrase.wrap_output(Vec::new()).unwrap();
        writer.write_all(b"x").unwrap();
        let passphrase = writer.finish().unwrap();
        #[rustfmt::skip]
        let cases: [(&str, &[u8], Unopened); 6] = [
            ("nothing",           b"",                                   Unopened::NotSealed),
            ("a text",            b"dear diary",                         Unopened::NotSealed),
            ("armored",           b"-----BEGIN AGE ENCRYPTED FILE-----", Unopened::NotSealed),
            ("a later age",       b"age-encryption.org/v9\n",            Unopened::NotSealed),
            ("a passphrase",      &passphrase,                           Unopened::Passphrase),
            ("far too large",     &vec![0; LONGEST + 1],                 Unopened::TooLarge),
        ];
        for (name, sealed, expected) in cases {
            assert_eq!(open(sealed, &keys), Err(expected), "{name}");
        }
    }

    #[test]
    fn recipients_and_identities_are_told_apart() {
        let key = x25519::Identity::generate();
        let (identity, recipient) = (key.to_string(), key.to_public().to_string());
        let identity = identity.expose_secret();
        assert!(Recipient::parse(&recipient).is_ok());
        assert_eq!(Recipient::parse(identity).err(), Some(NoRecipient::Identity));
        let cut = &recipient[..recipient.len() - 1];
        for wrong in ["", "age1", "ssh-ed25519 AAAA", cut] {
            assert_eq!(Recipient::parse(wrong).err(), Some(NoRecipient::Malformed), "{wrong}");
        }

        let many = format!("{identity}\n").repeat(limits::RECIPIENTS + 1);
        let commented = format!("# created: today\n# public key: {recipient}\n\n  {identity}  \n");
        #[rustfmt::skip]
        let cases = [
            ("as age-keygen writes it", commented,                                        None),
            ("nothing",                 String::new(),                                    Some(NoIdentity::Empty)),
            ("comments alone",          "# none\n".to_owned(),                            Some(NoIdentity::Empty)),
            ("a recipient",             format!("#\n{recipient}\n"),                      Some(NoIdentity::Recipient(2))),
            ("something else",          format!("{identity}\nhush\n"),                    Some(NoIdentity::Malformed(2))),
            ("a sealed one",            "age-encryption.org/v1\n-> scrypt".to_owned(),    Some(NoIdentity::Sealed)),
            ("too many",                many,                                             Some(NoIdentity::TooMany)),
        ];
        for (name, text, expected) in cases {
            assert_eq!(Identities::parse(&text).err(), expected, "{name}");
        }
    }
}
