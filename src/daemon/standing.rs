//! One line for `systemctl status`: how many accounts there are, whether one fails or needs
//! somebody and by which codes, and what happens next.
//!
//! Moments are told by the clock and not as spans, so that the line stays true while nothing
//! happens.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;

use crate::clock;
use crate::error::code::Code;
use crate::keeper::Directory;
use crate::name::AccountId;
use crate::notice::Notice;
use crate::notify::Manager;
use crate::snapshot::Snapshot;
use crate::time::Moment;
use crate::time::Now;

/// Between two lines, at the least: in a storm of failures nobody reads them all. What comes right
/// after a line is told within a second all the same.
const PAUSE: Duration = Duration::from_millis(500);

/// And more for each account: what counts them shares a thread with their exchanges.
const PAUSE_OF_AN_ACCOUNT: Duration = Duration::from_millis(1);

/// Accounts that are looked at in one go, which takes less than 0.1 ms.
const IN_ONE_GO: usize = 256;

/// What the line is made of.
pub(super) struct Standing {
    /// Every account.
    pub(super) directory: watch::Receiver<Arc<Directory>>,
    /// What happens to them.
    pub(super) notices: broadcast::Receiver<Arc<Notice>>,
    pub(super) manager: Manager,
}

impl Standing {
    /// Tells the service manager, for as long as this is polled.
    pub(super) async fn tell(mut self) {
        let mut told = String::new();
        loop {
            // Whatever was told until this moment is in the line that follows.
            self.notices = self.notices.resubscribe();
            let directory = self.directory.borrow_and_update().clone();
            let line = line(&directory, clock::now()).await;
            if line != told {
                self.manager.status(&line);
                told = line;
            }
            tokio::time::sleep(pause(directory.seats.len())).await;
            let over = tokio::select! {
                changed = self.directory.changed() => changed.is_err(),
                heard = self.notices.recv() => matches!(heard, Err(RecvError::Closed)),
            };
            if over {
                // The supervisor has ended, so the daemon is about to.
                return std::future::pending().await;
            }
        }
    }
}

/// Ten thousand accounts are looked at every ten seconds.
fn pause(accounts: usize) -> Duration {
    let accounts = u32::try_from(accounts).unwrap_or(u32::MAX);
    PAUSE.max(PAUSE_OF_AN_ACCOUNT.saturating_mul(accounts))
}

async fn line(directory: &Directory, now: Now) -> String {
    let mut count = Count::default();
    for (index, (account, seat)) in directory.seats.iter().enumerate() {
        if index % IN_ONE_GO == IN_ONE_GO - 1 {
            tokio::task::yield_now().await;
        }
        count.add(account, &seat.snapshot.borrow(), now);
    }
    count.line(now)
}

/// What is to be told of the accounts.
#[derive(Default)]
struct Count<'a> {
    accounts: usize,
    needy: Marked,
    /// Those whose failure needs nobody yet.
    failing: Marked,
    next: Option<(Moment, &'a AccountId)>,
}

impl<'a> Count<'a> {
    fn add(&mut self, account: &'a AccountId, snapshot: &Snapshot, now: Now) {
        self.accounts += 1;
        if snapshot.needs_attention(now) {
            self.needy.add(snapshot.refusal().code);
        } else if snapshot.failure.is_some() {
            self.failing.add(snapshot.refusal().code);
        }
        if let Some(moment) = snapshot.next
            && self.next.is_none_or(|(first, _)| moment < first)
        {
            self.next = Some((moment, account));
        }
    }

    fn line(&self, now: Now) -> String {
        let mut line = match self.accounts {
            0 => return "no account yet: tokenkeeper.toml(5) says how to add one".into(),
            1 => "1 account".to_owned(),
            more => format!("{more} accounts"),
        };
        let Marked { accounts: failing, .. } = self.failing;
        if failing > 0 {
            line.push_str(&format!(", {failing} failing ({})", self.failing.codes()));
        }
        let Marked { accounts: needy, .. } = self.needy;
        if needy > 0 {
            let need = if needy == 1 { "needs" } else { "need" };
            let codes = self.needy.codes();
            line.push_str(&format!(", {needy} {need} attention ({codes}): tokenctl status"));
        }
        if let Some((moment, account)) = self.next {
            line.push_str(&format!("; next is {account} at {}", now.wall_at(moment)));
        }
        line
    }
}

/// Accounts of which there is something to be said, and by which codes.
#[derive(Default)]
struct Marked {
    accounts: usize,
    codes: BTreeSet<Code>,
}

impl Marked {
    fn add(&mut self, code: Code) {
        self.accounts += 1;
        self.codes.insert(code);
    }

    fn codes(&self) -> String {
        self.codes.iter().map(|code| code.as_str()).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::RefreshError;
    use crate::notice::Event;
    use crate::record::Failure;
    use crate::snapshot::StateName;
    use crate::time::Timestamp;
    use crate::token::Generation;

    #[test]
    fn the_line_counts_the_accounts_and_names_the_next() {
        let now = Now { boot: Moment::default(), wall: Timestamp::from_millis(1_800_000_000_000) };
        let at = |secs| Some(now.boot + Duration::from_secs(secs));
        #[rustfmt::skip]
        let cases = [
            (vec![],
             "no account yet: tokenkeeper.toml(5) says how to add one"),
            (vec![("a", StateName::Frozen, None)],
             "1 account"),
            (vec![("a", StateName::Fresh, at(60)), ("b", StateName::Fresh, at(5))],
             "2 accounts; next is b at 2027-01-15T08:00:05Z"),
            (vec![("a", StateName::Vacant, None), ("b", StateName::Vacant, None), ("c", StateName::Fresh, at(5))],
             "3 accounts, 2 need attention (TOKEN_MISSING): tokenctl status; next is c at 2027-01-15T08:00:05Z"),
        ];
        for (accounts, line) in cases {
            let names = accounts.iter().map(|(name, ..)| AccountId::parse(name).unwrap());
            let names = names.collect::<Vec<_>>();
            let mut count = Count::default();
            for (name, (_, state, next)) in names.iter().zip(accounts) {
                count.add(name, &standing(state, next), now);
            }
            assert_eq!(count.line(now), line);
        }
    }

    #[test]
    fn the_line_tells_failures_by_their_codes() {
        let now = Now { boot: Moment::default(), wall: Timestamp::from_millis(1_800_000_000_000) };
        let [mail, ci, home] = ["mail", "ci", "home"].map(|name| AccountId::parse(name).unwrap());
        let away = || failing(RefreshError::Unreachable("no route".into()), None);
        let lost = failing(RefreshError::BornExpired, Some(Code::NeedsLogin));
        let lost = Snapshot { alarm: Some(now.boot), ..lost };
        let mut count = Count::default();
        count.add(&mail, &away(), now);
        count.add(&ci, &lost, now);
        count.add(&home, &away(), now);
        assert_eq!(
            count.line(now),
            "3 accounts, 2 failing (PROVIDER_UNREACHABLE), 1 needs attention (NEEDS_LOGIN): \
             tokenctl status"
        );
    }

    #[test]
    fn many_accounts_are_looked_at_less_often() {
        for (accounts, millis) in [(0, 500), (500, 500), (1_000, 1_000), (10_000, 10_000)] {
            assert_eq!(pause(accounts), Duration::from_millis(millis));
        }
    }

    /// A storm of notices is over with the line that follows it, and not a pause for each later.
    #[tokio::test(start_paused = true)]
    async fn what_was_told_before_a_line_is_no_reason_for_the_next() {
        let (notices, heard) = broadcast::channel(16);
        let (_directory, directory) = watch::channel(Arc::default());
        let manager = Manager::find().unwrap();
        let telling = Standing { directory, notices: heard, manager }.tell();
        for _ in 0..9 {
            let account = AccountId::parse("mail").unwrap();
            let snapshot = Arc::new(Snapshot::vacant());
            let at = clock::now();
            let event = Event::StateChanged;
            assert!(notices.send(Arc::new(Notice { account, at, event, snapshot })).is_ok());
        }
        tokio::pin!(telling);
        assert!(tokio::time::timeout(PAUSE / 2, &mut telling).await.is_err());
        assert_eq!(notices.len(), 0);
    }

    fn failing(error: RefreshError, told_as: Option<Code>) -> Snapshot {
        let failure = Failure { error, since_ms: 0, attempt: 1, not_before_ms: None, told_as };
        let failure = Some(Arc::new(failure));
        Snapshot { state: StateName::Waiting, failure, ..Snapshot::vacant() }
    }

    fn standing(state: StateName, next: Option<Moment>) -> Snapshot {
        let generation = Generation(0);
        Snapshot { state, generation, next, ..Snapshot::vacant() }
    }
}
