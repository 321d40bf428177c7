//! What SQLite's errors mean for the store.
//!
//! SQLite's own words are kept for the message: they name tables and files, never values.

use rusqlite::Error;
use rusqlite::ErrorCode;
use rustix::io::Errno;

use crate::record::StoreError;
use crate::store::refusal::OpenError;

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        let Error::SqliteFailure(failure, _) = &error else {
            return Self::Damaged(error.to_string());
        };
        #[allow(clippy::wildcard_enum_match_arm, reason = "the list is SQLite's and grows")]
        match failure.code {
            ErrorCode::DiskFull => Self::Full,
            ErrorCode::ReadOnly => Self::ReadOnly,
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::Held,
            ErrorCode::SystemIoFailure | ErrorCode::CannotOpen => {
                Self::Io(format!("{error} ({})", failure.extended_code))
            }
            _ => Self::Damaged(error.to_string()),
        }
    }
}

impl From<Errno> for StoreError {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::NOSPC | Errno::DQUOT => Self::Full,
            Errno::ROFS => Self::ReadOnly,
            errno => Self::Io(errno.to_string()),
        }
    }
}

impl From<OpenError> for StoreError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Held { .. } => Self::Held,
            error @ (OpenError::Unsafe { .. }
            | OpenError::KeyMissing { .. }
            | OpenError::KeyMalformed { .. }
            | OpenError::KeyWrong { .. }
            | OpenError::NewerFormat { .. }
            | OpenError::LogAlone { .. }
            | OpenError::Damaged { .. }
            | OpenError::Io { .. }) => Self::Io(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    #[test]
    fn each_fault_has_its_own_remedy() {
        let of = |code| StoreError::from(Error::SqliteFailure(ffi::Error::new(code), None));
        assert_eq!(of(ffi::SQLITE_FULL), StoreError::Full);
        assert_eq!(of(ffi::SQLITE_READONLY_DBMOVED), StoreError::ReadOnly);
        for code in [ffi::SQLITE_BUSY, ffi::SQLITE_BUSY_RECOVERY, ffi::SQLITE_LOCKED] {
            assert_eq!(of(code), StoreError::Held, "{code}");
        }
        for code in [ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_IOERR_WRITE, ffi::SQLITE_CANTOPEN] {
            assert!(matches!(of(code), StoreError::Io(_)), "{code}");
        }
        for code in [ffi::SQLITE_CORRUPT, ffi::SQLITE_NOTADB, ffi::SQLITE_CONSTRAINT] {
            assert!(matches!(of(code), StoreError::Damaged(_)), "{code}");
        }
        assert_eq!(StoreError::from(Errno::DQUOT), StoreError::Full);
        assert_eq!(StoreError::from(Errno::ROFS), StoreError::ReadOnly);
        assert!(matches!(StoreError::from(Errno::IO), StoreError::Io(_)));
    }
}
