//! Why a store key was not made or changed.

use std::io;

use tokenkeeper::daemon::Failure;
use tokenkeeper::envelope::NoRecipient;
use tokenkeeper::envelope::Unsealed;
use tokenkeeper::error::Code;
use tokenkeeper::limits;
use tokenkeeper::store::refusal::OpenError;

use crate::credstore::CredstoreError;
use crate::keeping::Refusal;
use crate::owner::OwnerError;
use crate::sealed::SealedError;

/// Why a store key was not made or changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    /// Sealed credentials are for services of the host.
    #[error(
        "the daemon of a session is passed no sealed credential, so its store key stays a file; \
         \"tokenctl --user rekey\" changes it"
    )]
    OfSession,
    /// Only root reads and writes credentials.
    #[error("only root can {0} the sealed store key; try again with sudo")]
    NotRoot(&'static str),
    /// What was found does not allow it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The configuration does not say where the store is.
    #[error(transparent)]
    Config(#[from] Failure),
    /// The store is not to be had.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The credential is not to be had.
    #[error(transparent)]
    Credstore(#[from] CredstoreError),
    /// There is no acting as the owner of the store.
    #[error(transparent)]
    Owner(#[from] OwnerError),
    /// A recipient is none. It is told by its number: what stands there may be the key that opens.
    #[error("--recovery-recipient number {number}: {why}")]
    Recipient {
        /// Which, from 1.
        number: usize,
        /// What is wrong.
        why: NoRecipient,
    },
    /// More recipients than a copy has room for.
    #[error("--recovery-recipient stands more than {} times", limits::RECIPIENTS)]
    Recipients,
    /// The recovery copy cannot be sealed.
    #[error("the recovery copy: {0}")]
    Unsealed(#[from] Unsealed),
    /// The recovery copy cannot be written.
    #[error("the recovery copy: {0}; nothing was changed")]
    Unwritten(SealedError),
    /// The system refuses.
    #[error("{0}: {1}")]
    System(&'static str, io::Error),
}

impl KeyError {
    /// Exit status of the process, after sysexits.h: 71 is the system's own refusal.
    pub(crate) const fn exit_status(&self) -> u8 {
        match self {
            Self::OfSession
            | Self::Refused(Refusal::NoStore)
            | Self::Recipient { .. }
            | Self::Recipients => Code::BadRequest.exit_status(),
            Self::NotRoot(_) | Self::Owner(OwnerError::NotYours { .. }) => {
                Code::InsufficientPermissions.exit_status()
            }
            Self::Refused(Refusal::InUse(_)) => Code::StoreUnavailable.exit_status(),
            Self::Refused(Refusal::Elsewhere { .. }) => Code::ConfigInvalid.exit_status(),
            Self::Config(failure) => failure.exit_status(),
            Self::Store(refused) => refused.exit_status(),
            Self::Credstore(CredstoreError::Unwritten(why)) | Self::Unwritten(why) => {
                why.exit_status()
            }
            Self::Credstore(_)
            | Self::Owner(OwnerError::System { .. })
            | Self::Unsealed(_)
            | Self::System(..) => 71,
        }
    }

    /// The code that programs read.
    pub(crate) const fn code(&self) -> Code {
        match self.exit_status() {
            2 => Code::BadRequest,
            77 => Code::InsufficientPermissions,
            78 => Code::ConfigInvalid,
            74 | 75 => Code::StoreUnavailable,
            _ => Code::Internal,
        }
    }
}
