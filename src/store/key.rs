//! The store key: 32 bytes that unwrap the data key, and where they come from.
//!
//! The service manager passes it as the credential [`CREDENTIAL`], sealed to the TPM or
//! the host. Without one it is a file beside the state, which protects against a leaked
//! backup of the database and nothing else; `doctor` says so.
//!
//! A key is only ever made where there is no database yet, and it is durable before the
//! database is begun: no crash can leave sealed tokens without their key.

use std::path::Path;
use std::path::PathBuf;

use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::io::Errno;
use sha2::Digest;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::random;
use crate::store::dir::StateDir;
use crate::store::dir::read_capped;
use crate::store::refusal::OpenError;
use crate::token::hex;

/// Name of the systemd credential.
pub const CREDENTIAL: &str = "tokenkeeper.store-key";

/// Name of the key file, beside the database.
pub const KEY_FILE: &str = "store.key";

/// Bytes of a key.
const KEY_LEN: usize = 32;

/// Longest text that can be a key: its hex digits and a newline.
const TEXT_LEN: usize = 2 * KEY_LEN + 1;

/// Where the store key that is in use comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeySource {
    /// A credential of the service manager.
    Credential,
    /// A file beside the state: whoever steals the directory has both.
    File,
}

/// The key that wraps the data key.
pub(super) struct StoreKey {
    bytes: Zeroizing<[u8; KEY_LEN]>,
    source: KeySource,
    path: PathBuf,
}

impl StoreKey {
    /// Finds the key: the credential if it was passed, else the key file; `None` if
    /// there is neither.
    pub(super) fn find(
        dir: &StateDir,
        credentials: Option<&Path>,
    ) -> Result<Option<Self>, OpenError> {
        if let Some(path) = credentials.map(|directory| directory.join(CREDENTIAL))
            && let Some(text) = read_credential(&path)?
        {
            return Self::parse(&text, KeySource::Credential, path).map(Some);
        }
        dir.read(KEY_FILE, TEXT_LEN)?
            .map(|text| Self::parse(&text, KeySource::File, dir.path(KEY_FILE)))
            .transpose()
    }

    /// Makes a new key and its file, durable when this returns. Never replaces a file.
    pub(super) fn create(dir: &StateDir) -> Result<Self, OpenError> {
        let mut bytes = Zeroizing::new([0; KEY_LEN]);
        random::fill(bytes.as_mut());
        dir.create(KEY_FILE, &hex_line(&bytes))
            .map_err(|errno| OpenError::io("create", &dir.path(KEY_FILE), errno))?;
        Ok(Self { bytes, source: KeySource::File, path: dir.path(KEY_FILE) })
    }

    /// The key itself.
    pub(super) fn bytes(&self) -> &[u8; KEY_LEN] {
        &self.bytes
    }

    /// A name for the key that does not tell it: of a random key, a hash gives nothing away.
    pub(super) fn id(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(b"tokenkeeper store key id\0");
        hash.update(self.bytes.as_slice());
        let hash: [u8; 32] = hash.finalize().into();
        let [a, b, c, d, ..] = hash;
        hex(&[a, b, c, d])
    }

    /// Where it comes from.
    pub(super) fn source(&self) -> KeySource {
        self.source
    }

    /// The file that it was read from.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn parse(text: &[u8], source: KeySource, path: PathBuf) -> Result<Self, OpenError> {
        let mut bytes = Zeroizing::new([0; KEY_LEN]);
        let digits = text.strip_suffix(b"\n").unwrap_or(text);
        let found = if text.len() == KEY_LEN {
            bytes.copy_from_slice(text);
            return Ok(Self { bytes, source, path });
        } else if text.len() > TEXT_LEN {
            "more than 65 bytes"
        } else if text.is_empty() {
            "an empty file"
        } else if digits.len() != 2 * KEY_LEN {
            "another length"
        } else if read_hex(digits, &mut bytes).is_some() {
            return Ok(Self { bytes, source, path });
        } else {
            "64 characters that are not all hex digits"
        };
        Err(OpenError::KeyMalformed { path, found })
    }
}

/// Credentials are the service manager's files: read-only, on a file system of their own,
/// and not always owned by us, so they are not held to the rules of the state directory.
fn read_credential(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, OpenError> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(OpenError::io("open", path, errno)),
    };
    read_capped(file.into(), TEXT_LEN).map(Some).map_err(|errno| OpenError::io("read", path, errno))
}

fn hex_line(bytes: &[u8; KEY_LEN]) -> Zeroizing<Vec<u8>> {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";

    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0');
    let mut line = Zeroizing::new(Vec::with_capacity(TEXT_LEN));
    line.extend(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]));
    line.push(b'\n');
    line
}

fn read_hex(digits: &[u8], bytes: &mut [u8; KEY_LEN]) -> Option<()> {
    let (pairs, _) = digits.as_chunks::<2>();
    for ([high, low], byte) in pairs.iter().zip(bytes) {
        let value = char::from(*high).to_digit(16)? << 4 | char::from(*low).to_digit(16)?;
        *byte = u8::try_from(value).ok()?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::dir::tests::private_dir;
    use crate::store::dir::tests::state_dir;

    #[test]
    fn a_key_is_32_bytes_or_64_hex_digits_and_nothing_else() {
        let hex = "00ff10203040506070809000a0b0c0d0e0f0112233445566778899AABBCCDDee";
        let line = format!("{hex}\n");
        let two_lines = format!("{hex}\n\n");
        let not_hex = hex.replace("00", "0g");
        #[rustfmt::skip]
        let cases: &[(&str, &[u8], bool)] = &[
            ("raw",             &[7; 32],              true),
            ("hex",             hex.as_bytes(),        true),
            ("hex and newline", line.as_bytes(),       true),
            ("two newlines",    two_lines.as_bytes(),  false),
            ("not hex",         not_hex.as_bytes(),    false),
            ("empty",           b"",                   false),
            ("31 bytes",        &[7; 31],              false),
            ("33 bytes",        &[7; 33],              false),
            ("a megabyte",      &[b'a'; 1 << 20],      false),
        ];
        for (name, text, good) in cases {
            let (_at, dir) = state_dir();
            dir.create(KEY_FILE, text).unwrap();
            let found = StoreKey::find(&dir, None).map(|key| key.is_some());
            assert_eq!(found.is_ok(), *good, "{name}");
            if let Err(refused) = found {
                assert!(refused.to_string().contains("expected 32 raw bytes"), "{refused}");
            }
        }
    }

    #[test]
    fn a_created_key_reads_back_as_the_same_key() {
        let (_at, dir) = state_dir();
        assert!(StoreKey::find(&dir, None).unwrap().is_none());
        let made = StoreKey::create(&dir).unwrap();
        let read = StoreKey::find(&dir, None).unwrap().unwrap();
        assert_eq!(made.bytes(), read.bytes());
        assert_eq!(made.id(), read.id());
        assert_eq!(read.source(), KeySource::File);
    }

    #[test]
    fn a_second_key_is_never_made_over_the_first() {
        let (_at, dir) = state_dir();
        let first = StoreKey::create(&dir).unwrap();
        assert!(StoreKey::create(&dir).is_err());
        assert_eq!(StoreKey::find(&dir, None).unwrap().unwrap().bytes(), first.bytes());
    }

    #[test]
    fn the_credential_goes_before_the_key_file() {
        let (_at, dir) = state_dir();
        StoreKey::create(&dir).unwrap();
        let (credentials, passed) = state_dir();
        passed.create(CREDENTIAL, &[9; 32]).unwrap();

        let key = StoreKey::find(&dir, Some(credentials.path())).unwrap().unwrap();
        assert_eq!((key.bytes(), key.source()), (&[9; 32], KeySource::Credential));

        let none_passed = private_dir();
        let key = StoreKey::find(&dir, Some(none_passed.path())).unwrap().unwrap();
        assert_eq!(key.source(), KeySource::File);
    }
}
