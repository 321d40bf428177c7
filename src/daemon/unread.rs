//! Accounts of which the store cannot say what it holds are held back: whoever took them for new ones
//! would have a login made that is perhaps not needed, and stored where nothing can be.

use crate::config::Config;
use crate::error::RefreshError;
use crate::name::AccountId;
use crate::record::Failure;
use crate::record::Hold;
use crate::record::Lineage;
use crate::record::Record;
use crate::record::Standing;
use crate::store::Loaded;
use crate::time::Timestamp;

/// Has every account of `config` held back, and why, of which `loaded` may be without what the
/// store has. One that lives without a refresh token has nothing to be held back for.
pub(super) fn hold_back(loaded: &mut Loaded, config: &Config, now: Timestamp) {
    let unread = std::mem::take(&mut loaded.unreadable);
    for record in &mut loaded.records {
        if unread.contains(&record.account) && has_to_lose(config, &record.account) {
            hold(&mut record.standing, now);
        }
    }
    if !loaded.partial {
        return;
    }
    for account in config.accounts.keys() {
        let is_there = loaded.records.iter().any(|record| record.account == *account);
        if !is_there && has_to_lose(config, account) {
            let mut record = unknown(account);
            hold(&mut record.standing, now);
            loaded.records.push(record);
        }
    }
}

fn has_to_lose(config: &Config, account: &AccountId) -> bool {
    config.accounts.get(account).is_some_and(|it| it.provider.profile().has_refresh_token)
}

fn hold(standing: &mut Standing, now: Timestamp) {
    if standing.hold == Hold::None {
        standing.hold = Hold::Paused;
    }
    standing.failure = Some(Box::new(Failure {
        error: RefreshError::StoreUnreadable,
        since_ms: now.as_millis(),
        attempt: 0,
        not_before_ms: None,
        told_as: None,
    }));
}

fn unknown(account: &AccountId) -> Record {
    Record {
        account: account.clone(),
        lineage: Lineage::default(),
        subject: None,
        current: None,
        staged: None,
        staged_mark: None,
        intent: None,
        staged_intent: None,
        attempts: Vec::new(),
        standing: Standing::default(),
        unsaved: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::File;
    use crate::config::daemon::Defaults;
    use crate::section::Mode;

    #[test]
    fn what_the_store_may_have_of_an_account_is_not_taken_for_nothing() {
        let text = "[accounts.mail]\nprovider = 'google'\nclient_id = 'x'\n\
                    [accounts.plain]\nprovider = 'google'\nclient_id = 'y'\n\
                    [accounts.ci]\ntoken_endpoint = 'https://idp.example/token'\nclient_id = 'x'\n\
                    grant = 'client_credentials'\n";
        let file = File { name: "config.toml".into(), text: text.into() };
        let config = Config::parse(&[file], Mode::System, Defaults::system());
        let config = config.map_err(|wrong| wrong.to_string()).unwrap();
        let id = |name| AccountId::parse(name).unwrap();
        let now = Timestamp::from_millis(1_700_000_000_000);
        #[rustfmt::skip]
        let cases: &[(&str, &[&str], bool, &[&str])] = &[
            ("all was read",          &[],       false, &[]),
            ("one was not",           &["mail"], false, &["mail"]),
            ("there may be others",   &[],       true,  &["plain"]),
            ("and one of these",      &["mail"], true,  &["mail", "plain"]),
        ];
        for (name, unreadable, partial, held) in cases {
            let mut loaded = Loaded {
                records: vec![unknown(&id("mail"))],
                unreadable: unreadable.iter().copied().map(id).collect(),
                partial: *partial,
                ..Loaded::default()
            };
            hold_back(&mut loaded, &config, now);
            let paused = loaded.records.iter().filter(|it| it.standing.hold == Hold::Paused);
            let paused = paused.map(|record| record.account.as_str()).collect::<Vec<_>>();
            assert_eq!(paused, *held, "{name}");
        }
    }
}
