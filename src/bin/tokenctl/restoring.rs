//! What becomes of each account of a backup: which are left alone and why, and in which
//! order the others are handed in.
//!
//! Pure: from the backup and how the accounts stand here to a [`Plan`]. The daemon proves
//! each credential again before it replaces anything; what is decided here is which ones are
//! worth being proven, since a spent refresh token that is sent once more may end a login.
//!
//! # Invariants
//!
//! * The first of [`Plan::proven`] is the canary, and the one that can lose least.
//! * What the daemon would refuse without sending it, because it was taken over already or the
//!   account is paused, is not handed in: no run is stopped by what a dry run promised.
//! * What is newer here than in the backup is left alone. Dates tell it, since the next store
//!   counts generations from 1 again; generations do where the dates are the same.
//! * A credential is sent to no other place than it came from.
//! * What was handed out, there or here, is its new owner's.
//!
//! The last three hold unless they are overruled ([`Overrule::Yes`]).

use std::cmp::Ordering;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use tokenkeeper::backup::Backup;
use tokenkeeper::backup::Kept;
use tokenkeeper::name::AccountId;
use tokenkeeper::plan::Rotation;
use tokenkeeper::protocol::account::AccountView;
use tokenkeeper::record::Condition;
use tokenkeeper::record::Hold;
use tokenkeeper::time::Timestamp;

/// Whether what speaks against an account is overruled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Overrule {
    /// It counts.
    No,
    /// `--force`.
    Yes,
}

/// What becomes of the accounts of a backup.
pub(crate) struct Plan<'a> {
    /// Those whose credential is handed in, in this order.
    pub(crate) proven: Vec<&'a Kept>,
    /// Those that have secrets and no refresh token.
    pub(crate) secrets: Vec<&'a Kept>,
    /// Those that are left alone.
    pub(crate) left: Vec<(&'a Kept, Left)>,
}

/// Why an account is left alone.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Left {
    /// The daemon has no such account, or shows none to this user.
    #[error("no such account is configured here")]
    NotConfigured,
    /// The user may see it and not change it.
    #[error("you are no administrator of it")]
    NotYours,
    /// Its configuration leads elsewhere.
    #[error("it is configured for another issuer, client or user than it had; --force tries it")]
    Elsewhere,
    /// It was handed out, when the backup was made or since.
    #[error("its refresh token was handed out, and is its new owner's; --force tries it")]
    HandedOut,
    /// The store has this generation of it, or took this refresh token over.
    #[error("the store has this very credential")]
    Same,
    /// The store has a later one.
    #[error("the store has a newer credential, {here}; the backup's is {there}; --force tries it")]
    Newer {
        /// The one of the store.
        here: Age,
        /// The one of the backup.
        there: Age,
    },
    /// An account that is paused takes no credential over.
    #[error("it is paused here; resume it first")]
    Paused,
    /// The provider had refused it already.
    #[error("the provider had refused it when the backup was made; --force tries it")]
    Refused,
}

impl Left {
    /// Whether the account is the one that the backup is of, so that secrets of it fit that it
    /// has none of here.
    pub(crate) const fn takes_secrets(&self) -> bool {
        match self {
            Self::NotConfigured | Self::NotYours | Self::Elsewhere | Self::HandedOut => false,
            Self::Same | Self::Newer { .. } | Self::Paused | Self::Refused => true,
        }
    }
}

/// How old a credential is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Age {
    /// Counts what one store saved; the next store begins at 1 again.
    generation: u64,
    /// When it was granted, in whole seconds of the clock of the host that got it.
    issued_at: Option<Timestamp>,
}

impl Age {
    fn here(view: &AccountView) -> Self {
        let issued_at = view.issued_at.as_deref().and_then(Timestamp::parse);
        Self { generation: view.generation, issued_at }
    }

    const fn there(kept: &Kept) -> Self {
        Self { generation: kept.generation.0, issued_at: kept.issued_at }
    }

    /// Which of two is the later one: by their dates, and by their generations where the dates
    /// are the same or one of them is not known.
    fn against(&self, other: &Self) -> Ordering {
        let dates = match (self.issued_at, other.issued_at) {
            (Some(own), Some(other)) => own.cmp(&other),
            (None, _) | (_, None) => Ordering::Equal,
        };
        dates.then(self.generation.cmp(&other.generation))
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "generation {}", self.generation)?;
        self.issued_at.map_or(Ok(()), |at| write!(f, " of {at}"))
    }
}

/// Decides for each account of `backup`, or for those in `wanted` if there are any. `here` is
/// how the daemon's accounts stand.
pub(crate) fn plan<'a>(
    backup: &'a Backup,
    wanted: &[AccountId],
    here: &[AccountView],
    overrule: Overrule,
) -> Plan<'a> {
    let here = here.iter().map(|view| (view.account.as_str(), view)).collect::<BTreeMap<_, _>>();
    let mut plan = Plan { proven: Vec::new(), secrets: Vec::new(), left: Vec::new() };
    for kept in &backup.accounts {
        if !wanted.is_empty() && !wanted.contains(&kept.account) {
            continue;
        }
        match against(kept, here.get(kept.account.as_str()).copied(), overrule) {
            Some(left) => plan.left.push((kept, left)),
            None if kept.refresh_token.is_some() => plan.proven.push(kept),
            None => plan.secrets.push(kept),
        }
    }
    plan.proven.sort_by_key(|kept| (kept.under_way, Reverse(forgiveness(kept.rotation))));
    plan
}

/// What speaks against handing it in.
fn against(kept: &Kept, here: Option<&AccountView>, overrule: Overrule) -> Option<Left> {
    let Some(here) = here else { return Some(Left::NotConfigured) };
    // The lineage is shown to administrators alone.
    let Some(lineage) = here.lineage.as_deref() else { return Some(Left::NotYours) };
    let refused = refused_unsent(kept, here);
    if overrule == Overrule::Yes {
        return refused;
    }
    // Secrets that were stored before the first login have no lineage yet.
    if !kept.lineage.0.is_empty() && *kept.lineage.0 != *lineage {
        return Some(Left::Elsewhere);
    }
    if kept.hold == Hold::Released || here.released {
        return Some(Left::HandedOut);
    }
    // Secrets have no age, and no provider has spoken of them.
    kept.refresh_token.as_ref()?;
    if refused == Some(Left::Same) {
        return refused;
    }
    if here.state != "vacant"
        && let Some(left) = against_by_age(Age::here(here), Age::there(kept))
    {
        return Some(left);
    }
    if kept.condition == Condition::NeedsLogin { Some(Left::Refused) } else { refused }
}

/// What the daemon would refuse without sending it, forced or not.
fn refused_unsent(kept: &Kept, here: &AccountView) -> Option<Left> {
    let refresh_token = kept.refresh_token.as_ref()?;
    // Whoever has it may give back what was handed out, which ends the pause that came with it.
    if here.released {
        None
    } else if here.taken_over.as_deref() == Some(&*refresh_token.mark()) {
        Some(Left::Same)
    } else {
        here.paused.then_some(Left::Paused)
    }
}

fn against_by_age(here: Age, there: Age) -> Option<Left> {
    match here.against(&there) {
        Ordering::Less => None,
        Ordering::Equal => Some(Left::Same),
        Ordering::Greater => Some(Left::Newer { here, there }),
    }
}

/// How long a refresh token that was spent already is forgiven.
fn forgiveness(rotation: Rotation) -> Duration {
    match rotation {
        Rotation::Never => Duration::MAX,
        Rotation::Unknown | Rotation::Grace(_) | Rotation::Strict => {
            rotation.grace().unwrap_or(Duration::ZERO)
        }
    }
}

#[cfg(test)]
mod tests {
    use tokenkeeper::record::Lineage;
    use tokenkeeper::token::Generation;
    use tokenkeeper::token::Secret;

    use super::*;
    use crate::print::sample::view;

    #[test]
    fn an_account_is_left_alone_for_a_reason_and_that_can_be_overruled_where_somebody_may() {
        let vacant = AccountView { issued_at: None, generation: 0, ..mine("vacant") };
        let logged_out = AccountView { issued_at: None, ..mine("vacant") };
        let older = AccountView { issued_at: Some(BEFORE.into()), generation: 6, ..mine("fresh") };
        let by_count = AccountView { generation: 8, ..mine("fresh") };
        let moved_on =
            AccountView { issued_at: Some(BEFORE.into()), generation: 9, ..mine("fresh") };
        let undated = AccountView { issued_at: None, generation: 8, ..mine("fresh") };
        let mark = Some(Secret::new("rt").mark().into_string());
        let the_same = AccountView { taken_over: mark.clone(), generation: 9, ..mine("fresh") };
        let the_same_before = AccountView { issued_at: Some(BEFORE.into()), ..the_same.clone() };
        let given_back =
            AccountView { released: true, paused: true, taken_over: mark, ..mine("frozen") };
        let paused = AccountView { paused: true, ..older.clone() };
        let paused_later = AccountView { paused: true, ..by_count.clone() };
        let by_date = AccountView { issued_at: Some(AFTER.into()), generation: 1, ..mine("fresh") };
        let elsewhere = AccountView { lineage: Some("other".into()), ..mine("vacant") };
        let not_ours = AccountView { lineage: None, ..mine("fresh") };
        let dead = Kept { condition: Condition::NeedsLogin, ..kept("mail") };
        let given_up = AccountView { released: true, ..mine("frozen") };
        let handed_out = Kept { hold: Hold::Released, refresh_token: None, ..kept("mail") };
        let there = Age { generation: 7, issued_at: Timestamp::parse(ISSUED) };
        let newer = |generation, at: &str| {
            let here = Age { generation, issued_at: Timestamp::parse(at) };
            Some(Left::Newer { here, there })
        };
        #[rustfmt::skip]
        let cases = [
            // name                                      backup         here              left alone                     forced
            ("a new host has nothing of it",             kept("mail"),  Some(vacant),     None,                          true),
            ("it was logged out since",                  kept("mail"),  Some(logged_out), None,                          true),
            ("the state was rolled back",                kept("mail"),  Some(older),      None,                          true),
            ("nothing happened since",                   kept("mail"),  Some(mine("fresh")), Some(Left::Same),           true),
            ("it was refreshed since",                   kept("mail"),  Some(by_count),   newer(8, ISSUED),              true),
            ("it was logged in anew in another store",   kept("mail"),  Some(by_date),    newer(1, AFTER),               true),
            ("it went on in another store, and came back", kept("mail"), Some(moved_on),  None,                          true),
            ("generations tell it where a date does not", kept("mail"), Some(undated),   newer(8, ""),                  true),
            ("it never rotates, and was refreshed since", kept("mail"), Some(the_same),  Some(Left::Same),              false),
            ("it never rotates, and came back",          kept("mail"),  Some(the_same_before), Some(Left::Same),        false),
            ("it was handed out and is given back",      kept("mail"),  Some(given_back), Some(Left::HandedOut),        true),
            ("it is older here, and paused",             kept("mail"),  Some(paused),     Some(Left::Paused),            false),
            ("it is newer here, and paused",             kept("mail"),  Some(paused_later), newer(8, ISSUED),           false),
            ("it has another issuer here",               kept("mail"),  Some(elsewhere),  Some(Left::Elsewhere),         true),
            ("it was dead already",                      dead,          Some(AccountView { generation: 0, ..mine("vacant") }), Some(Left::Refused), true),
            ("it was handed out there",                  handed_out,    Some(AccountView { generation: 0, ..mine("vacant") }), Some(Left::HandedOut), true),
            ("it was handed out here since",             kept("mail"),  Some(given_up),   Some(Left::HandedOut),         true),
            ("somebody else's",                          kept("mail"),  Some(not_ours),   Some(Left::NotYours),          false),
            ("it is not configured",                     kept("mail"),  None,             Some(Left::NotConfigured),     false),
        ];
        for (name, kept, here, expected, can_be_forced) in cases {
            assert_eq!(against(&kept, here.as_ref(), Overrule::No), expected, "{name}");
            let forced = against(&kept, here.as_ref(), Overrule::Yes);
            assert_eq!(forced.is_none(), can_be_forced, "{name}");
        }
    }

    #[test]
    fn secrets_alone_are_handed_in_whatever_credential_is_there_but_not_to_another_place() {
        let password = Kept { refresh_token: None, ..kept("mail") };
        let early = Kept { lineage: Lineage::default(), refresh_token: None, ..kept("mail") };
        let other = AccountView { lineage: Some("other".into()), ..mine("fresh") };
        assert_eq!(against(&password, Some(&mine("fresh")), Overrule::No), None);
        assert_eq!(against(&early, Some(&other), Overrule::No), None);
        assert_eq!(against(&password, Some(&other), Overrule::No), Some(Left::Elsewhere));
    }

    #[test]
    fn whoever_can_lose_least_goes_first() {
        let with = |name, rotation| Kept { rotation, ..kept(name) };
        let secs = |secs| Rotation::Grace(Duration::from_secs(secs));
        let accounts = vec![
            with("a-strict", Rotation::Strict),
            with("b-unknown", Rotation::Unknown),
            with("c-minute", secs(60)),
            Kept { under_way: true, ..with("d-under-way", Rotation::Never) },
            with("e-never", Rotation::Never),
            with("f-short", secs(5)),
            Kept { refresh_token: None, ..kept("g-secrets") },
        ];
        let views = accounts
            .iter()
            .map(|kept| AccountView { account: kept.account.to_string(), ..mine("vacant") })
            .collect::<Vec<_>>();
        let backup = Backup { made_at: Timestamp::default(), accounts };

        let all = plan(&backup, &[], &views, Overrule::No);
        let order = all.proven.iter().map(|kept| kept.account.as_str()).collect::<Vec<_>>();
        let expected = ["e-never", "c-minute", "b-unknown", "f-short", "a-strict", "d-under-way"];
        assert_eq!(order, expected);
        assert_eq!((all.secrets.len(), all.left.len()), (1, 0));

        let wanted = [AccountId::parse("f-short").unwrap()];
        let one = plan(&backup, &wanted, &views, Overrule::No);
        assert_eq!((one.proven.len(), one.secrets.len(), one.left.len()), (1, 0, 0));
    }

    const BEFORE: &str = "2023-11-14T21:00:00Z";
    const ISSUED: &str = "2023-11-14T22:13:20Z";
    const AFTER: &str = "2023-11-15T00:00:00Z";

    fn kept(account: &str) -> Kept {
        Kept {
            lineage: Lineage("place".into()),
            generation: Generation(7),
            issued_at: Timestamp::parse(ISSUED),
            refresh_token: Some(Secret::new("rt")),
            ..Kept::new(AccountId::parse(account).unwrap())
        }
    }

    fn mine(state: &str) -> AccountView {
        AccountView {
            generation: 7,
            issued_at: Some(ISSUED.into()),
            lineage: Some("place".into()),
            ..view("mail", state)
        }
    }
}
