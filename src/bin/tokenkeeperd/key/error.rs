//! Why a store key was not made or changed, and how that is said.

use std::io;
use std::path::PathBuf;

use tokenkeeper::daemon::Failure;
use tokenkeeper::envelope::NoRecipient;
use tokenkeeper::envelope::Unsealed;
use tokenkeeper::error::code::Code;
use tokenkeeper::error::code::Remedy;
use tokenkeeper::error::foreign::shown;
use tokenkeeper::files::Unreadable;
use tokenkeeper::limits;
use tokenkeeper::protocol::error::ErrorBody;
use tokenkeeper::regular::Unwritten;
use tokenkeeper::store::refusal::OpenError;
use tokenkeeper::time::Timestamp;

use super::credstore::CredstoreError;
use super::keeping::Refusal;
use super::kept::KeptError;
use super::owner::OwnerError;

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
    /// A user who may not read the configuration of the host's daemon.
    #[error(
        "the store key of the host's daemon is changed by root; try again with sudo, or type \
         \"tokenctl --user rekey\" for the daemon of your own"
    )]
    OfHost,
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
    /// It is not known what the service manager keeps.
    #[error(transparent)]
    Kept(#[from] KeptError),
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
    #[error("the recovery copy: cannot write {}: {why}; nothing was changed", .path.display())]
    Unwritten {
        /// Where it was to lie.
        path: PathBuf,
        /// Why not.
        why: Unwritten,
    },
    /// The system refuses.
    #[error("{0}: {1}")]
    System(&'static str, io::Error),
}

impl KeyError {
    /// The configuration of the host's daemon, which nobody named, was not readable.
    pub(crate) fn of_host(failure: Failure) -> Self {
        let denied = |unreadable: &Unreadable| {
            matches!(unreadable, Unreadable::Io { error, .. }
                if error.kind() == io::ErrorKind::PermissionDenied)
        };
        if let Failure::Unreadable(errors) = &failure
            && errors.iter().any(denied)
        {
            return Self::OfHost;
        }
        failure.into()
    }

    /// Exit status of the process, after sysexits.h: 71 is the system's own refusal.
    pub(crate) const fn exit_status(&self) -> u8 {
        match self {
            Self::OfSession
            | Self::Refused(Refusal::NoStore)
            | Self::Recipient { .. }
            | Self::Recipients => Code::BadRequest.exit_status(),
            Self::NotRoot(_) | Self::OfHost | Self::Owner(OwnerError::NotYours { .. }) => {
                Code::InsufficientPermissions.exit_status()
            }
            Self::Refused(Refusal::InUse(_) | Refusal::Unsaved { .. }) => {
                Code::StoreUnavailable.exit_status()
            }
            Self::Refused(Refusal::Elsewhere { .. }) => Code::ConfigInvalid.exit_status(),
            Self::Config(failure) => failure.exit_status(),
            Self::Store(refused) => refused.exit_status(),
            Self::Credstore(CredstoreError::Unwritten(why)) | Self::Unwritten { why, .. } => {
                match why {
                    Unwritten::NotRegular => Code::BadRequest.exit_status(),
                    Unwritten::Io(_) => 74,
                }
            }
            Self::Credstore(_)
            | Self::Kept(_)
            | Self::Owner(OwnerError::System { .. })
            | Self::Unsealed(_)
            | Self::System(..) => 71,
        }
    }

    /// For people, without the last newline.
    pub(crate) fn text(&self) -> String {
        // What is wrong with a configuration has a line each.
        let message = self.to_string();
        let lines = message.lines().map(shown).collect::<Vec<_>>();
        format!("tokenkeeperd: {}", lines.join("\n"))
    }

    /// For programs, without the last newline: in the shape of the errors at the socket.
    pub(crate) fn json(&self, now: Timestamp) -> String {
        let body = ErrorBody {
            error: "tokenkeeperd".to_owned(),
            message: self.to_string(),
            error_code: self.code(),
            timestamp: now.to_string(),
            account: None,
            retry_at: None,
            remedy: Remedy::Reconfigure,
            provider_error: None,
        };
        // A struct of strings always has a JSON form.
        serde_json::to_string(&body).unwrap_or_default()
    }

    const fn code(&self) -> Code {
        match self.exit_status() {
            2 => Code::BadRequest,
            77 => Code::InsufficientPermissions,
            78 => Code::ConfigInvalid,
            74 | 75 => Code::StoreUnavailable,
            _ => Code::Internal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::binding::Binding;
    use super::*;

    #[test]
    fn an_error_is_said_in_the_shape_of_the_sockets_and_steers_no_terminal() {
        let error = KeyError::System("a\u{9b}31m\nb", io::ErrorKind::NotFound.into());
        assert_eq!(error.text(), "tokenkeeperd: a\\u{9b}31m\nb: entity not found");
        let now = Timestamp::from_millis(1_700_000_000_000);
        insta::assert_snapshot!(KeyError::OfSession.json(now), @r#"{"error":"tokenkeeperd","message":"the daemon of a session is passed no sealed credential, so its store key stays a file; \"tokenctl --user rekey\" changes it","error_code":"BAD_REQUEST","timestamp":"2023-11-14T22:13:20Z","remedy":"reconfigure"}"#);
    }

    #[test]
    fn a_credential_that_does_not_open_is_told_with_what_it_takes_and_the_way_back() {
        let why = "Failed to load HMAC key in TPM".to_owned();
        let error = KeyError::Credstore(CredstoreError::Shut { binding: Binding::Both, why });
        assert_eq!(error.exit_status(), 71);
        insta::assert_snapshot!(error, @r#"/etc/credstore.encrypted/tokenkeeper.store-key does not open here: it takes the TPM and the /var/lib/systemd/credential.secret that it was sealed to. systemd-creds says: Failed to load HMAC key in TPM. No daemon starts with it; the recovery copy brings the key back (tokenkeeperd(8), "The store key")"#);
    }

    #[test]
    fn whoever_may_not_read_the_hosts_configuration_is_told_of_the_one_of_their_own() {
        let unreadable = |kind: io::ErrorKind| {
            let path = "/etc/tokenkeeper/config.toml".into();
            Failure::Unreadable(vec![Unreadable::Io { path, error: kind.into() }])
        };
        let denied = KeyError::of_host(unreadable(io::ErrorKind::PermissionDenied));
        assert!(matches!(denied, KeyError::OfHost), "{denied}");
        assert_eq!(denied.exit_status(), 77);
        let broken = KeyError::of_host(unreadable(io::ErrorKind::InvalidData));
        assert_eq!(broken.exit_status(), 78, "{broken}");
    }

    #[test]
    fn a_copy_that_cannot_be_written_is_told_with_its_file() {
        let unwritten = |why| KeyError::Unwritten { path: "/srv/key.age".into(), why };
        let directory = unwritten(Unwritten::NotRegular);
        let said = "the recovery copy: cannot write /srv/key.age: it is no regular file; nothing \
                    was changed";
        assert_eq!((&*directory.to_string(), directory.exit_status()), (said, 2));
        assert_eq!(unwritten(Unwritten::Io(io::ErrorKind::StorageFull.into())).exit_status(), 74);
    }
}
