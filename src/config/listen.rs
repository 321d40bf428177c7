//! `[[listen]]`: further sockets, which narrow what can be had through them.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

use super::Named;
use super::allow;
use super::daemon::socket_path;
use super::lies_beside;
use super::out_of_reach;
use crate::access::Rights;
use crate::limits;
use crate::name::AccountId;
use crate::section::complaint::Complaint;
use crate::section::complaint::Place;
use crate::section::complaint::Problem;
use crate::section::complaint::Report;
use crate::section::value::Value;
use crate::spelling::nearest;

/// A further listening socket.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listen {
    /// Where.
    pub path: PathBuf,
    /// The accounts that exist for its peers.
    pub accounts: Vec<AccountId>,
    /// The most that its peers may do.
    pub rights: Rights,
    /// The file's mode, at most 0o777.
    pub mode: u32,
}

/// A socket whose accounts nobody has looked for yet.
pub(super) struct Draft {
    listen: Listen,
    /// Where `path` stands.
    path: (Place, Box<str>),
    /// Where each account's name stands.
    accounts: Vec<(Place, Box<str>)>,
}

impl Draft {
    /// Reads one `[[listen]]` table.
    pub(super) fn read(value: &Value<'_>) -> Option<Self> {
        let mut section = value.section("a table")?;
        let path = section.value("path");
        if path.is_none() {
            section.missing("path", "the absolute path of a socket");
        }
        let names = section.value("accounts");
        if names.is_none() {
            section.missing("accounts", ACCOUNTS);
        }
        let names = names.map(|names| read_accounts(&names)).unwrap_or_default();
        let rights = allow::rights(&mut section, "rights").unwrap_or(Rights::DEFAULT);
        let mode =
            section.value("mode").and_then(|mode| read_mode(&mode)).unwrap_or(limits::SOCKET_MODE);
        section.finish();

        let path = path?;
        let (places, accounts) = names.into_iter().unzip();
        Some(Self {
            listen: Listen { path: socket_path(&path)?, accounts, rights, mode },
            path: path.here(),
            accounts: places,
        })
    }

    /// Complains if another socket has the same path.
    pub(super) fn check_path(&self, report: &Report, taken: &mut BTreeMap<PathBuf, Place>) {
        let (place, key) = &self.path;
        match taken.get(&self.listen.path) {
            None => {
                taken.insert(self.listen.path.clone(), place.clone());
            }
            Some(first) => report.error(Complaint {
                place: Some(place.clone()),
                key: key.clone(),
                problem: Problem::Twice { first: first.clone() },
            }),
        }
    }

    /// Complains of each account that is not configured.
    pub(super) fn check_accounts(&self, report: &Report, known: &BTreeMap<AccountId, Named>) {
        let missing = |(name, _): &(&AccountId, _)| !known.contains_key(*name);
        for (name, (place, key)) in self.listen.accounts.iter().zip(&self.accounts).filter(missing)
        {
            let near = nearest(name.as_str(), known.keys().map(AccountId::as_str));
            report.error(Complaint {
                place: Some(place.clone()),
                key: key.clone(),
                problem: Problem::Value {
                    expected: "the name of a configured account".into(),
                    nearest: near.map(Box::from),
                },
            });
        }
    }

    /// Warns of a socket that others cannot reach.
    pub(super) fn check_reach(&self, report: &Report, state: &Path) {
        if lies_beside(&self.listen.path, state) {
            let (place, key) = &self.path;
            report.warning(out_of_reach(Some(place.clone()), key.clone()));
        }
    }

    pub(super) fn conclude(self) -> Listen {
        self.listen
    }
}

const ACCOUNTS: &str = "a list of names of accounts";

fn read_accounts(value: &Value<'_>) -> Vec<((Place, Box<str>), AccountId)> {
    let Some(items) = value.list(ACCOUNTS) else { return Vec::new() };
    if items.is_empty() {
        value.complain(Problem::Kind { expected: ACCOUNTS.into(), found: "an empty list" });
    }
    let name = |item: &Value<'_>| {
        let id = AccountId::parse(item.text("the name of an account")?);
        if let Err(bad) = id {
            item.complain(Problem::Rule(bad.to_string().into()));
        }
        Some((item.here(), id.ok()?))
    };
    items.iter().filter_map(name).collect()
}

/// A file mode as `chmod` and systemd write it.
pub(super) fn read_mode(value: &Value<'_>) -> Option<u32> {
    const EXPECTED: &str = "an octal mode in quotes such as \"0660\"";

    let text = value.text(EXPECTED)?;
    let digits = text.strip_prefix('0').filter(|rest| rest.len() == 3).unwrap_or(text);
    let octal = digits.len() == 3 && digits.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    if !octal {
        value.complain(Problem::Value { expected: EXPECTED.into(), nearest: None });
        return None;
    }
    u32::from_str_radix(digits, 8).ok()
}
