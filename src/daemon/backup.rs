//! A backup: what the store knows, with what the configuration says of it, sealed.
//!
//! It is sealed here and not by whoever asks for it, so that no refresh token crosses a
//! socket outwards, not even to an administrator (see `docs/decisions/backup.md`).

use data_encoding::BASE64;

use super::steward::Steward;
use super::steward::ill;
use crate::backup;
use crate::backup::Backup;
use crate::backup::Kept;
use crate::backup::TooLarge;
use crate::clock;
use crate::envelope;
use crate::envelope::NoRecipient;
use crate::envelope::Recipient;
use crate::envelope::Unsealed;
use crate::error::code::Code;
use crate::keeper::Directory;
use crate::limits;
use crate::plan::Rotation;
use crate::protocol::daemon::BackupAccount;
use crate::protocol::daemon::BackupView;
use crate::record::Hold;
use crate::snapshot::Refusal;
use crate::store::Exported;

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
enum Unmade {
    #[error("a backup has 1 to {} recipients", limits::RECIPIENTS)]
    Recipients,
    #[error("recipient {number}: {wrong}")]
    Recipient { number: usize, wrong: NoRecipient },
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    #[error(transparent)]
    Unsealed(#[from] Unsealed),
    #[error("the sealing ended in a panic")]
    Broken,
}

impl From<Unmade> for Refusal {
    fn from(unmade: Unmade) -> Self {
        let code = match unmade {
            Unmade::Recipients | Unmade::Recipient { .. } => Code::BadRequest,
            Unmade::TooLarge(_) => Code::NotSupported,
            Unmade::Unsealed(_) | Unmade::Broken => Code::Internal,
        };
        Self::new(code, unmade.to_string())
    }
}

impl Steward {
    /// Seals everything that the store knows.
    pub(super) async fn backup(&self, recipients: &[String]) -> Result<BackupView, Refusal> {
        let recipients = read(recipients)?;
        let Exported { mut accounts, damage } =
            self.store.export().await.map_err(|error| ill(&error))?;
        for kept in &mut accounts {
            if let Some(settings) = self.cast.config().accounts.get(&kept.account) {
                kept.rotation = settings.plan.rotation;
            }
        }
        let directory = self.keeper.directory();
        let views = accounts.iter().map(|kept| view(kept, &directory)).collect();
        let made_at = clock::now().wall;
        let backup = Backup { made_at, accounts };
        // Ten thousand accounts take longer to seal and to spell than an exchange may have to wait.
        let sealing = tokio::task::spawn_blocking(move || seal(&backup, &recipients));
        let sealed = sealing.await.map_err(|_| Unmade::Broken)??;
        Ok(BackupView { sealed, made_at: made_at.to_string(), accounts: views, damage })
    }
}

/// The sealed backup, in base64.
fn seal(backup: &Backup, recipients: &[Recipient]) -> Result<String, Unmade> {
    let plain = backup::write(backup)?;
    Ok(BASE64.encode(&envelope::seal(&plain, recipients)?))
}

/// Reads the recipients, of which one that is wrong is told by its number.
fn read(recipients: &[String]) -> Result<Vec<Recipient>, Unmade> {
    if recipients.is_empty() || recipients.len() > limits::RECIPIENTS {
        return Err(Unmade::Recipients);
    }
    let parsed = recipients.iter().zip(1..).map(|(text, number)| {
        Recipient::parse(text).map_err(|wrong| Unmade::Recipient { number, wrong })
    });
    parsed.collect()
}

fn view(kept: &Kept, directory: &Directory) -> BackupAccount {
    let unsaved = directory.seats.get(&kept.account).is_some_and(|seat| seat.now().unsaved);
    BackupAccount {
        account: kept.account.to_string(),
        generation: kept.generation.0,
        refresh_token: kept.refresh_token.is_some(),
        rotates: kept.refresh_token.is_some() && kept.rotation != Rotation::Never,
        doubtful: kept.under_way || unsaved,
        released: kept.hold == Hold::Released,
        secrets: kept.secrets.keys().cloned().collect(),
    }
}
