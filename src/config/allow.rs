//! `allow` and its like: who may have something. Names are resolved elsewhere, because a
//! name that means nobody yet is no error.

use crate::access::Right;
use crate::access::Rights;
use crate::section::Section;
use crate::section::complaint::Problem;
use crate::section::value::Value;
use crate::unit;

/// One line of `allow`. All that it says must match.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Allow {
    /// A user, by name or by number.
    pub user: Option<Box<str>>,
    /// A group, by name or by number.
    pub group: Option<Box<str>>,
    /// A systemd unit, with its suffix.
    pub unit: Option<Box<str>>,
    /// What it gives.
    pub rights: Rights,
}

const RULES: &str = "a list of rules such as \"alice\", \"group:mail\" or \"unit:backup.service\"";
const RULE: &str = "a user such as \"alice\", \"group:NAME\" or \"unit:NAME.service\"";
const USER: &str = "the name or number of a user";
const GROUP: &str = "the name or number of a group";
const UNIT: &str = "a system unit with its suffix, and its instance if it is one of a template, \
                    such as \"backup.service\" or \"backup@home.service\"";

/// Longest name of a user or group, in bytes: Linux's limit, with what a domain may add.
const LONGEST_NAME: usize = 255;

/// Every right by its word, as a choice.
const RIGHTS: &[(&str, Right)] = &[
    (Right::Read.as_str(), Right::Read),
    (Right::Refresh.as_str(), Right::Refresh),
    (Right::Report.as_str(), Right::Report),
    (Right::Admin.as_str(), Right::Admin),
];

/// What the rules of a list give.
#[derive(Clone, Copy)]
pub(super) enum Gives {
    /// What each says, or read and report.
    Stated,
    /// All the same.
    Always(Rights),
}

/// Reads a list of rules.
pub(super) fn read(value: &Value<'_>, gives: Gives) -> Vec<Allow> {
    let items = value.list(RULES).unwrap_or_default();
    let mut rules = Vec::with_capacity(items.len());
    for item in &items {
        let rule = if item.is_table() { read_table(item, gives) } else { read_word(item, gives) };
        rules.extend(rule);
    }
    rules
}

/// Reads a list of rights.
pub(super) fn rights(section: &mut Section<'_>, key: &'static str) -> Option<Rights> {
    const EXPECTED: &str = "a list of \"read\", \"refresh\", \"report\" and \"admin\"";

    let value = section.value(key)?;
    let items = value.list(EXPECTED)?;
    if items.is_empty() {
        value.complain(Problem::Kind { expected: EXPECTED.into(), found: "an empty list" });
    }
    Some(items.iter().filter_map(|item| item.choice(RIGHTS)).collect())
}

fn read_word(value: &Value<'_>, gives: Gives) -> Option<Allow> {
    let text = value.text(RULE)?;
    let rights = match gives {
        Gives::Stated => Rights::DEFAULT,
        Gives::Always(rights) => rights,
    };
    let nobody = Allow { user: None, group: None, unit: None, rights };
    if let Some(group) = text.strip_prefix("group:") {
        Some(Allow { group: Some(principal(value, group, GROUP)?), ..nobody })
    } else if let Some(unit) = text.strip_prefix("unit:") {
        Some(Allow { unit: Some(unit_name(value, unit)?), ..nobody })
    } else {
        Some(Allow { user: Some(principal(value, text, RULE)?), ..nobody })
    }
}

fn read_table(value: &Value<'_>, gives: Gives) -> Option<Allow> {
    let mut section = value.section(RULE)?;
    let user = section.value("user");
    let group = section.value("group");
    let unit = section.value("unit");
    if user.is_none() && group.is_none() && unit.is_none() {
        section.complain(Problem::Rule("expected at least one of user, group and unit".into()));
    }
    let rights = match gives {
        Gives::Stated => rights(&mut section, "rights").unwrap_or(Rights::DEFAULT),
        Gives::Always(rights) => rights,
    };
    section.finish();
    Some(Allow {
        user: user.and_then(|user| principal(&user, user.text(USER)?, USER)),
        group: group.and_then(|group| principal(&group, group.text(GROUP)?, GROUP)),
        unit: unit.and_then(|unit| unit_name(&unit, unit.text(UNIT)?)),
        rights,
    })
}

/// The name or number of a user or group: what `useradd` could have made, and what a
/// directory service may add (`@`, a domain, a space).
fn principal(value: &Value<'_>, name: &str, expected: &'static str) -> Option<Box<str>> {
    let fits = !name.is_empty()
        && name.len() <= LONGEST_NAME
        && !name.starts_with(['-', ' '])
        && !name.contains([':', '/', ',']);
    checked(value, fits.then_some(name), expected)
}

/// The name of a unit that a process can belong to.
fn unit_name(value: &Value<'_>, name: &str) -> Option<Box<str>> {
    checked(value, unit::is_name(name).then_some(name), UNIT)
}

/// A name that fits, or a complaint that there is none.
fn checked(value: &Value<'_>, name: Option<&str>, expected: &'static str) -> Option<Box<str>> {
    if name.is_none() {
        value.complain(Problem::Value { expected: expected.into(), nearest: None });
    }
    name.map(Box::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_right_has_its_word() {
        let words = RIGHTS.iter().map(|(_, right)| *right).collect::<Vec<_>>();
        assert_eq!(words, Right::ALL);
    }
}
