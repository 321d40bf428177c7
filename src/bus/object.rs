//! The objects, by their paths.

use zbus::ObjectPath;

use crate::name::AccountId;

/// Where the manager is.
pub(super) const ROOT: &str = "/org/tokenkeeper1";

/// Below which the accounts are.
pub(super) const ACCOUNTS: &str = "/org/tokenkeeper1/account";

/// Where the log is, as org.freedesktop.LogControl1(5) wants it.
pub(super) const LOG: &str = "/org/freedesktop/LogControl1";

/// What is at a path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Object {
    /// Nothing but the way to others: the next parts of their paths.
    Way(&'static [&'static str]),
    /// The manager.
    Manager,
    /// The way to the accounts.
    Accounts,
    /// An account, which may be there or not.
    Account(AccountId),
    /// The log.
    Log,
}

impl Object {
    /// What is at that path; `None` if nothing can be.
    pub fn at(path: &str) -> Option<Self> {
        match path {
            "/" => Some(Self::Way(&["org"])),
            "/org" => Some(Self::Way(&["freedesktop", "tokenkeeper1"])),
            "/org/freedesktop" => Some(Self::Way(&["LogControl1"])),
            LOG => Some(Self::Log),
            ROOT => Some(Self::Manager),
            ACCOUNTS => Some(Self::Accounts),
            _ => {
                let label = path.strip_prefix(ACCOUNTS)?.strip_prefix('/')?;
                Some(Self::Account(account_of(label)?))
            }
        }
    }
}

/// The path of an account.
pub(super) fn path_of(account: &AccountId) -> ObjectPath<'static> {
    // A label of letters, digits and underscores always makes a path.
    ObjectPath::from_string_unchecked(format!("{ACCOUNTS}/{}", label_of(account)))
}

/// The last part of an account's path: what is neither letter nor digit, and a digit at the
/// beginning, is an underscore and its code in hex, as systemd writes labels.
pub(super) fn label_of(account: &AccountId) -> String {
    let mut label = String::new();
    for (at, character) in account.as_str().char_indices() {
        if character.is_ascii_alphabetic() || (at > 0 && character.is_ascii_digit()) {
            label.push(character);
        } else {
            label.push_str(&format!("_{:02x}", u32::from(character)));
        }
    }
    label
}

/// The account of a label; only the one way to write it counts.
fn account_of(label: &str) -> Option<AccountId> {
    let mut name = String::new();
    let mut rest = label.chars();
    while let Some(character) = rest.next() {
        if character == '_' {
            let digits = [rest.next()?, rest.next()?];
            let code = digits.iter().try_fold(0, |sum, digit| Some(sum * 16 + digit.to_digit(16)?));
            name.push(char::from_u32(code?)?);
        } else {
            name.push(character);
        }
    }
    let account = AccountId::parse(&name).ok()?;
    (label_of(&account) == label).then_some(account)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_objects_and_others_to_nothing() {
        let mail = Object::Account(AccountId::parse("mail").unwrap());
        #[rustfmt::skip]
        let cases = [
            ("/org/tokenkeeper1",                     Some(Object::Manager)),
            ("/org/tokenkeeper1/account",             Some(Object::Accounts)),
            ("/org/tokenkeeper1/account/mail",        Some(mail)),
            ("/org/freedesktop/LogControl1",          Some(Object::Log)),
            ("/",                                     Some(Object::Way(&["org"]))),
            ("/org/tokenkeeper1/account/",            None),
            ("/org/tokenkeeper1/account/ma_69l",      None),
            ("/org/tokenkeeper1/account/a_2",         None),
            ("/org/tokenkeeper1/account/a_2D",        None),
            ("/org/tokenkeeper1/account/Mail",        None),
            ("/org/tokenkeeper1/account/mail/x",      None),
            ("/org/tokenkeeper1/accountmail",         None),
            ("/com",                                  None),
        ];
        for (path, expected) in cases {
            assert_eq!(Object::at(path), expected, "{path}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_account_has_a_path_that_leads_to_it(name in "[a-z0-9][a-z0-9_-]{0,39}") {
            let account = AccountId::parse(&name).unwrap();
            let path = path_of(&account);
            assert!(ObjectPath::try_from(path.as_str()).is_ok(), "{path}");
            assert_eq!(Object::at(path.as_str()), Some(Object::Account(account)));
        }
    }
}
