//! Users and groups of this host, by name or number, for `access`.
//!
//! Looked up here and not in the daemon, whose sandbox may see fewer of them.

use std::ffi::CString;

use nix::unistd::Gid;
use nix::unistd::Group;
use nix::unistd::Uid;
use nix::unistd::User;
use nix::unistd::getgrouplist;

/// Somebody, as the kernel would say of one of its processes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Person {
    /// Its user.
    pub(crate) uid: u32,
    /// Its group.
    pub(crate) gid: u32,
    /// All its groups.
    pub(crate) groups: Vec<u32>,
}

/// Why there is no such person.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NobodyKnown {
    /// No user of this name.
    #[error("this host has no user \"{0}\"")]
    User(String),
    /// No group of this name.
    #[error("this host has no group \"{0}\"")]
    Group(String),
    /// A number without an entry, so its groups are not known.
    #[error("this host does not know uid {0}, so say its groups by --group")]
    Groups(u32),
    /// The lookup itself failed.
    #[error("users and groups cannot be looked up: {0}")]
    Lookup(#[from] nix::Error),
}

impl Person {
    /// The user of this name, in its own groups and in `more`.
    ///
    /// # Errors
    ///
    /// A name that this host does not know.
    pub(crate) fn named(name: &str, more: &[String]) -> Result<Self, NobodyKnown> {
        let user = User::from_name(name)?.ok_or_else(|| NobodyKnown::User(name.into()))?;
        Self::from_entry(&user, more)
    }

    /// The user of this number, in its own groups and in `more`.
    ///
    /// # Errors
    ///
    /// A number without an entry and without a group, or a group that this host does not know.
    pub(crate) fn numbered(uid: u32, more: &[String]) -> Result<Self, NobodyKnown> {
        if let Some(user) = User::from_uid(Uid::from_raw(uid))? {
            return Self::from_entry(&user, more);
        }
        let groups = numbers(more)?;
        let gid = *groups.first().ok_or(NobodyKnown::Groups(uid))?;
        Ok(Self { uid, gid, groups })
    }

    fn from_entry(user: &User, more: &[String]) -> Result<Self, NobodyKnown> {
        let name =
            CString::new(user.name.as_str()).map_err(|_| NobodyKnown::User(user.name.clone()))?;
        let own = getgrouplist(&name, user.gid)?.into_iter().map(Gid::as_raw);
        let mut groups = own.chain(numbers(more)?).collect::<Vec<_>>();
        groups.sort_unstable();
        groups.dedup();
        Ok(Self { uid: user.uid.as_raw(), gid: user.gid.as_raw(), groups })
    }
}

fn numbers(groups: &[String]) -> Result<Vec<u32>, NobodyKnown> {
    groups.iter().map(|group| number(group)).collect()
}

fn number(group: &str) -> Result<u32, NobodyKnown> {
    if let Ok(gid) = group.parse() {
        return Ok(gid);
    }
    let found = Group::from_name(group)?;
    Ok(found.ok_or_else(|| NobodyKnown::Group(group.into()))?.gid.as_raw())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_known_by_name_and_by_number() {
        let root = Person::named("root", &[]).unwrap();
        assert_eq!((root.uid, root.gid), (0, 0));
        assert!(root.groups.contains(&0));
        assert_eq!(Person::numbered(0, &[]).unwrap(), root);
    }

    #[test]
    fn groups_that_are_said_are_added_once() {
        let root = Person::named("root", &["4000000001".into(), "4000000001".into()]).unwrap();
        assert_eq!(root.groups.iter().filter(|gid| **gid == 4_000_000_001).count(), 1);
    }

    #[test]
    fn a_number_without_an_entry_needs_a_group() {
        let unknown = 4_000_000_001;
        let error = Person::numbered(unknown, &[]).unwrap_err();
        assert!(matches!(error, NobodyKnown::Groups(uid) if uid == unknown));
        let person = Person::numbered(unknown, &["7".into(), "8".into()]).unwrap();
        assert_eq!(person, Person { uid: unknown, gid: 7, groups: vec![7, 8] });
    }

    #[test]
    fn names_that_nobody_has_are_named() {
        let user = Person::named("no such user", &[]).unwrap_err();
        assert_eq!(user.to_string(), "this host has no user \"no such user\"");
        let group = Person::named("root", &["no such group".into()]).unwrap_err();
        assert_eq!(group.to_string(), "this host has no group \"no such group\"");
    }
}
