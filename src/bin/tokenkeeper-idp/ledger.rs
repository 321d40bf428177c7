//! What every token request came to: the provider's side of the story, which a test compares
//! with the client's.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;

use serde::Serialize;
use serde::Serializer;

use crate::clock::Moment;
use crate::operation::Operation;
use crate::service::Service;

/// Entries that are kept; the oldest give way, and [`Ledger::dropped`] counts them.
const MOST_ENTRIES: usize = 1_000_000;

/// What the provider made of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// Tokens for the current refresh token, or for the client itself.
    Granted,
    /// Tokens for a superseded refresh token inside its grace.
    Replayed,
    /// No tokens: a superseded refresh token outside its grace.
    Reused,
    /// A challenge that comes before tokens.
    Challenged,
    /// What was asked for, without tokens.
    Done,
    /// No tokens, with this error code.
    Refused(Cow<'static, str>),
    /// A scripted fault took the place of a decision.
    Fault(Rc<str>),
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Granted => out.write_str("granted"),
            Self::Replayed => out.write_str("replayed"),
            Self::Reused => out.write_str("reused"),
            Self::Challenged => out.write_str("challenged"),
            Self::Done => out.write_str("done"),
            Self::Refused(code) => write!(out, "refused:{code}"),
            Self::Fault(name) => write!(out, "fault:{name}"),
        }
    }
}

/// One token request.
#[derive(Debug, Serialize)]
pub(crate) struct Entry {
    /// Position in the ledger, from 1; never used twice.
    pub(crate) seq: u64,
    /// When the request arrived, in ms since the process started.
    pub(crate) at_ms: u64,
    /// When the request arrived, in ms since 1970.
    pub(crate) wall_ms: u64,
    /// Whose token endpoint it was.
    #[serde(serialize_with = "text")]
    pub(crate) account: Rc<str>,
    /// Which protocol it was.
    #[serde(serialize_with = "text")]
    pub(crate) service: Service,
    /// What the request asked for.
    #[serde(serialize_with = "text")]
    pub(crate) operation: Operation,
    /// The protocol's own word for that (in OAuth the `grant_type`), if the request could be read.
    pub(crate) grant: Option<Cow<'static, str>>,
    /// Which refresh token was presented: the first 16 hexadecimal digits of its SHA-256.
    #[serde(rename = "refresh_token_sha256", serialize_with = "hex")]
    pub(crate) fingerprint: Option<u64>,
    /// Generation of that token, if the provider knows it.
    pub(crate) generation: Option<u32>,
    /// What the provider made of it.
    #[serde(serialize_with = "text")]
    pub(crate) verdict: Verdict,
    /// The one-time code that was mailed to the user, if any.
    pub(crate) mailed_code: Option<String>,
    /// Whether the refresh token was rotated.
    pub(crate) committed: bool,
    /// Whether the whole reply was written to the socket of a client that had not closed it.
    pub(crate) replied: bool,
    /// The scripted fault that struck, if any.
    #[serde(serialize_with = "optional_text")]
    pub(crate) fault: Option<Rc<str>>,
}

impl Entry {
    /// A request of `account` that arrived at `at`, before anything else is known of it.
    pub(crate) fn new(account: Rc<str>, at: Moment, verdict: Verdict) -> Self {
        Self {
            seq: 0,
            at_ms: at.at_ms(),
            wall_ms: at.wall_ms(),
            account,
            service: Service::Oauth2,
            operation: Operation::Unknown,
            grant: None,
            fingerprint: None,
            generation: None,
            verdict,
            mailed_code: None,
            committed: false,
            replied: false,
            fault: None,
        }
    }
}

/// The token requests of all accounts in the order of their decisions.
#[derive(Debug)]
pub(crate) struct Ledger {
    entries: VecDeque<Entry>,
    most: usize,
    dropped: u64,
}

impl Ledger {
    /// An empty ledger.
    pub(crate) fn new() -> Self {
        Self { entries: VecDeque::new(), most: MOST_ENTRIES, dropped: 0 }
    }

    /// Adds an entry and gives it its number.
    pub(crate) fn add(&mut self, mut entry: Entry) -> u64 {
        entry.seq = self.last_seq() + 1;
        if self.entries.len() == self.most {
            self.entries.pop_front();
            self.dropped += 1;
        }
        let seq = entry.seq;
        self.entries.push_back(entry);
        seq
    }

    /// Notes that the reply to entry `seq` was written whole.
    pub(crate) fn replied(&mut self, seq: u64) {
        let offset = seq.checked_sub(self.dropped + 1).and_then(|it| usize::try_from(it).ok());
        if let Some(entry) = offset.and_then(|offset| self.entries.get_mut(offset)) {
            entry.replied = true;
        }
    }

    /// Entries after `since`, of one account or of all.
    pub(crate) fn after<'a>(
        &'a self,
        since: u64,
        account: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Entry> {
        let skipped = usize::try_from(since.saturating_sub(self.dropped)).unwrap_or(usize::MAX);
        self.entries
            .iter()
            .skip(skipped)
            .filter(move |entry| account.is_none_or(|account| *entry.account == *account))
    }

    /// Number of the newest entry; 0 without any.
    pub(crate) fn last_seq(&self) -> u64 {
        self.dropped + u64::try_from(self.entries.len()).unwrap_or(u64::MAX)
    }

    /// Entries that gave way to newer ones.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }
}

fn text<T: fmt::Display, S: Serializer>(value: &T, out: S) -> Result<S::Ok, S::Error> {
    out.collect_str(value)
}

fn optional_text<S: Serializer>(value: &Option<Rc<str>>, out: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => out.serialize_str(value),
        None => out.serialize_none(),
    }
}

fn hex<S: Serializer>(value: &Option<u64>, out: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => out.collect_str(&format_args!("{value:016x}")),
        None => out.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_entry_reads_as_documented() {
        let mut ledger = Ledger::new();
        let mut entry = entry("a");
        entry.verdict = Verdict::Refused("invalid_grant".into());
        entry.operation = Operation::Refresh;
        entry.grant = Some("refresh_token".into());
        entry.fingerprint = Some(0xab);
        entry.generation = Some(2);
        let seq = ledger.add(entry);
        ledger.replied(seq);

        let told = serde_json::to_value(ledger.after(0, None).collect::<Vec<_>>()).unwrap();
        assert_eq!(
            told,
            json!([{
                "seq": 1, "at_ms": 0, "wall_ms": 0, "account": "a", "service": "oauth2",
                "operation": "refresh", "grant": "refresh_token",
                "refresh_token_sha256": "00000000000000ab", "generation": 2,
                "verdict": "refused:invalid_grant", "mailed_code": null, "committed": false, "replied": true,
                "fault": null,
            }])
        );
    }

    #[test]
    fn a_full_ledger_drops_the_oldest_keeps_its_numbers_and_says_so() {
        let mut ledger = Ledger { most: 3, ..Ledger::new() };
        for account in ["a", "b", "a", "b", "a"] {
            ledger.add(entry(account));
        }
        ledger.replied(1);
        ledger.replied(4);

        assert_eq!(ledger.dropped(), 2);
        assert_eq!(ledger.last_seq(), 5);
        let seqs = |since, account| {
            ledger.after(since, account).map(|entry| entry.seq).collect::<Vec<_>>()
        };
        assert_eq!(seqs(0, None), [3, 4, 5]);
        assert_eq!(seqs(4, None), [5]);
        assert_eq!(seqs(9, None), Vec::<u64>::new());
        assert_eq!(seqs(0, Some("a")), [3, 5]);
        let replied = ledger.after(0, None).filter(|it| it.replied).map(|it| it.seq);
        assert_eq!(replied.collect::<Vec<_>>(), [4]);
    }

    fn entry(account: &str) -> Entry {
        Entry::new(account.into(), Moment::default(), Verdict::Granted)
    }
}
