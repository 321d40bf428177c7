//! What `backup` says of the file that it wrote, and `restore` of each account.

use serde::Serialize;
use tokenkeeper::error::foreign::shown;
use tokenkeeper::protocol::daemon::BackupAccount;
use tokenkeeper::protocol::daemon::BackupView;

use crate::print::status::counted;

/// What is in a backup, as JSON.
#[derive(Serialize)]
pub(crate) struct Contents<'a> {
    made_at: &'a str,
    accounts: &'a [BackupAccount],
    damage: &'a [String],
}

impl<'a> Contents<'a> {
    /// Of what the daemon sealed, without the sealed part.
    pub(crate) fn of(view: &'a BackupView) -> Self {
        Self { made_at: &view.made_at, accounts: &view.accounts, damage: &view.damage }
    }
}

/// What is in a backup, and what becomes of it with time.
pub(crate) fn page(view: &BackupView) -> String {
    let count = counted(view.accounts.len() as u64, "account");
    let mut page = format!("{count}, as of {}\n", shown(&view.made_at));
    let width = view.accounts.iter().map(|it| it.account.len()).max().unwrap_or_default();
    for account in &view.accounts {
        let name = shown(&account.account);
        page.push_str(&format!("  {name:width$}  {}\n", shown(&parts(account))));
    }
    if view.accounts.iter().any(|account| account.rotates) {
        page.push_str(
            "A backup ages: with the next refresh of an account that rotates, its refresh token \
             in here is\nspent. Take another one whenever you mean to need it.\n",
        );
    }
    page
}

fn parts(account: &BackupAccount) -> String {
    let mut parts = Vec::new();
    if account.refresh_token {
        parts.push(format!("generation {}", account.generation));
        if account.rotates {
            parts.push("good until its next refresh".to_owned());
        }
        if account.doubtful {
            parts.push("perhaps spent: a refresh was under way".to_owned());
        }
    }
    if account.released {
        parts.push("handed out: its refresh token is its new owner's, and not in here".to_owned());
    }
    match account.secrets.as_slice() {
        [] => {}
        slots => parts.push(format!("its {}", slots.join(", "))),
    }
    parts.join("; ")
}

/// What became of an account of a backup.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// Its credential was proven and taken over.
    Restored,
    /// It has no refresh token; its secrets were taken over.
    Secrets,
    /// What a real run would do.
    Planned,
    /// It was left alone.
    LeftAlone,
    /// It was tried, and it did not work.
    Failed,
    /// It was not tried, because another one failed.
    Untouched,
}

/// One line of `restore`.
#[derive(Serialize)]
pub(crate) struct Told<'a> {
    /// The account.
    pub(crate) account: &'a str,
    /// What became of it.
    pub(crate) outcome: Outcome,
    /// The code of what the daemon refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error_code: Option<&'a str>,
    /// In words.
    pub(crate) message: String,
}

/// The line of one account, its newline included.
pub(crate) fn line(told: &Told<'_>) -> String {
    let what = match told.outcome {
        Outcome::Restored => "restored",
        Outcome::Secrets => "secrets restored",
        Outcome::Planned => "would be restored",
        Outcome::LeftAlone => "left alone",
        Outcome::Failed => "not restored",
        Outcome::Untouched => "not touched",
    };
    let account = shown(told.account);
    if told.message.is_empty() {
        format!("{account}: {what}\n")
    } else {
        format!("{account}: {what}: {}\n", shown(&told.message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_is_told_account_by_account_and_that_it_ages() {
        let mail = BackupAccount {
            account: "mail".into(),
            generation: 7,
            refresh_token: true,
            rotates: true,
            doubtful: false,
            released: false,
            secrets: vec!["client_secret".into()],
        };
        let plugs = BackupAccount {
            account: "plugs".into(),
            rotates: false,
            doubtful: true,
            secrets: Vec::new(),
            ..mail
        };
        let given = BackupAccount {
            account: "given".into(),
            refresh_token: false,
            rotates: false,
            doubtful: false,
            released: true,
            secrets: Vec::new(),
            ..plugs
        };
        let boiler = BackupAccount {
            account: "boiler".into(),
            refresh_token: false,
            rotates: false,
            secrets: vec!["client_secret".into(), "password".into()],
            ..mail
        };
        let view = |accounts| BackupView {
            sealed: String::new(),
            made_at: "2023-11-14T22:13:20Z".into(),
            accounts,
            damage: Vec::new(),
        };
        insta::assert_snapshot!(page(&view(vec![boiler.clone(), given, mail, plugs])), @r"
        4 accounts, as of 2023-11-14T22:13:20Z
          boiler  its client_secret, password
          given   handed out: its refresh token is its new owner's, and not in here
          mail    generation 7; good until its next refresh; its client_secret
          plugs   generation 7; perhaps spent: a refresh was under way
        A backup ages: with the next refresh of an account that rotates, its refresh token in here is
        spent. Take another one whenever you mean to need it.
        ");
        insta::assert_snapshot!(page(&view(vec![boiler])), @r"
        1 account, as of 2023-11-14T22:13:20Z
          boiler  its client_secret, password
        ");
    }

    #[test]
    fn a_line_is_one_line_whatever_a_daemon_says() {
        let told = Told {
            account: "mail",
            outcome: Outcome::Failed,
            error_code: None,
            message: "a\nb\u{1b}[2J".into(),
        };
        assert_eq!(line(&told), "mail: not restored: a\\u{a}b\\u{1b}[2J\n");
    }
}
