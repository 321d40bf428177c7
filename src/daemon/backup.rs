//! A backup: what the store knows, with what the configuration says of it, sealed.
//!
//! It is sealed here and not by whoever asks for it, so that no refresh token crosses a
//! socket outwards, not even to an administrator (see `ARCHITECTURE.md`, *Decisions*).

use data_encoding::BASE64;

use super::steward::Steward;
use super::steward::ill;
use crate::backup;
use crate::backup::Backup;
use crate::backup::Kept;
use crate::clock;
use crate::envelope;
use crate::envelope::Recipient;
use crate::error::Code;
use crate::keeper::Directory;
use crate::limits;
use crate::plan::Rotation;
use crate::protocol::BackupAccount;
use crate::protocol::BackupView;
use crate::snapshot::Refusal;
use crate::store::Exported;

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
        // Ten thousand accounts take longer to seal than an exchange may have to wait.
        let sealing = tokio::task::spawn_blocking(move || seal(&backup, &recipients));
        let sealed = sealing.await.map_err(|_| internal("the sealing ended in a panic"))??;
        Ok(BackupView {
            sealed: BASE64.encode(&sealed),
            made_at: made_at.to_string(),
            accounts: views,
            damage,
        })
    }
}

fn seal(backup: &Backup, recipients: &[Recipient]) -> Result<Vec<u8>, Refusal> {
    let plain = backup::write(backup)
        .map_err(|too_large| Refusal::new(Code::NotSupported, too_large.to_string()))?;
    envelope::seal(&plain, recipients).map_err(|unsealed| internal(&unsealed.to_string()))
}

/// Reads the recipients, of which one that is wrong is told by its number.
fn read(recipients: &[String]) -> Result<Vec<Recipient>, Refusal> {
    if recipients.is_empty() || recipients.len() > limits::RECIPIENTS {
        let message = format!("a backup has 1 to {} recipients", limits::RECIPIENTS);
        return Err(Refusal::new(Code::BadRequest, message));
    }
    let parsed = recipients.iter().enumerate().map(|(index, text)| {
        Recipient::parse(text).map_err(|wrong| {
            let message = format!("recipient {}: {wrong}", index + 1);
            Refusal::new(Code::BadRequest, message)
        })
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
        secrets: kept.secrets.keys().cloned().collect(),
    }
}

fn internal(message: &str) -> Refusal {
    Refusal::new(Code::Internal, message)
}
