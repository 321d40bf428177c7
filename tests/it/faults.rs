//! What programs see while something around the daemon is out of order.
//!
//! One table: the manual prints it, which the test here compares, and `host::faults` makes each
//! row happen under a real systemd and finds that it is so.

use std::collections::BTreeSet;

use tokenkeeper::error::code::Code;
use tokenkeeper::message::Message;

const PAGE: &str = include_str!("../../packaging/man/tokenkeeperd.8");

/// Something around the daemon that is out of order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    /// Nobody carries messages, and the daemon's connection is cut.
    NoBus,
    /// Nobody takes the records of the log.
    NoJournal,
    /// No byte is left for the store, and none in reserve.
    FullDisk,
    /// The state directory cannot be written when the daemon starts.
    ReadOnlyDisk,
    /// Nobody listens where the provider was.
    NoProvider,
    /// The file on disk is wrong, and a reload was tried.
    WrongConfiguration,
}

/// What a fault leaves to be seen.
pub(crate) struct Sight {
    /// What it is called in the manual.
    pub(crate) name: &'static str,
    /// What a refresh fails with, and a request for a token that has expired; `None` where
    /// accounts are refreshed all the same.
    pub(crate) code: Option<Code>,
    /// What `tokenctl doctor` says of it, in part.
    pub(crate) finding: Option<&'static str>,
    /// The records that the journal has of it.
    pub(crate) records: &'static [Message],
    /// Those that it has when the fault is over.
    pub(crate) records_after: &'static [Message],
}

impl Fault {
    /// Every row, in the order of the manual.
    pub(crate) const ALL: &[Self] = &[
        Self::NoBus,
        Self::NoJournal,
        Self::FullDisk,
        Self::ReadOnlyDisk,
        Self::NoProvider,
        Self::WrongConfiguration,
    ];

    /// What is to be seen of it.
    pub(crate) const fn sight(self) -> Sight {
        match self {
            Self::NoBus => Sight {
                name: "There is no message bus",
                code: None,
                finding: Some("programs do not find the daemon on the system's bus"),
                records: &[Message::BusLost],
                records_after: &[Message::BusServed],
            },
            Self::NoJournal => Sight {
                name: "There is no journal",
                code: None,
                finding: None,
                // They come as lines without a kind, or not at all.
                records: &[],
                records_after: &[],
            },
            Self::FullDisk => Sight {
                name: "The disk is full",
                code: Some(Code::StoreUnavailable),
                finding: Some("the store has no room in reserve"),
                records: &[Message::ReserveUsed, Message::WriteFailed, Message::RefreshFailed],
                records_after: &[Message::Recovered],
            },
            Self::ReadOnlyDisk => Sight {
                name: "The disk is read-only at the start",
                code: Some(Code::StoreUnavailable),
                finding: Some("the store's disk is mounted read-only: what could be lost is not"),
                records: &[Message::WriteFailed, Message::RefreshFailed],
                records_after: &[Message::Recovered],
            },
            Self::NoProvider => Sight {
                name: "The provider is gone",
                code: Some(Code::ProviderUnreachable),
                finding: Some("fails and is no problem yet: PROVIDER_UNREACHABLE"),
                records: &[Message::RefreshFailed],
                records_after: &[Message::Recovered],
            },
            Self::WrongConfiguration => Sight {
                name: "The configuration is wrong",
                code: None,
                finding: Some("the configuration on disk was refused"),
                records: &[Message::ReloadRefused],
                records_after: &[Message::Reloaded],
            },
        }
    }
}

#[test]
fn the_manual_has_every_fault_with_its_codes_and_its_records_and_no_other() {
    let (_, section) = PAGE.split_once(".Sh FAULTS\n").unwrap();
    let (section, _) = section.split_once("\n.Sh ").unwrap();
    let rows = section.split("\n.It Em ").skip(1).map(|row| row.split_once('\n').unwrap());
    let told = rows.map(|(name, text)| {
        let words = text.lines().filter_map(|line| line.strip_prefix(".Li "));
        let words = words.map(|word| word.split(' ').next().unwrap_or(word));
        (name, words.collect::<BTreeSet<_>>())
    });
    let wanted = Fault::ALL.iter().map(|fault| {
        let Sight { name, code, records, records_after, .. } = fault.sight();
        let records = records.iter().chain(records_after).map(|record| record.as_str());
        (name, records.chain(code.map(Code::as_str)).collect::<BTreeSet<_>>())
    });
    assert_eq!(told.collect::<Vec<_>>(), wanted.collect::<Vec<_>>());
}
