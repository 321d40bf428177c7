//! Who the names in the rules are on this host.

use std::collections::BTreeMap;

use nix::unistd::Group;
use nix::unistd::Uid;
use nix::unistd::User;

use crate::access::Principal;
use crate::access::Rule;
use crate::config::allow::Allow;

/// Rules with their names resolved, and the names that mean nobody here (yet).
#[derive(Default)]
pub struct Resolved {
    /// The rules, in their order.
    pub rules: Vec<Rule>,
    /// What does not resolve, as `user alice` or `group mail`.
    pub unknown: Vec<String>,
}

/// Looks names up, each once: thousands of accounts speak of the same few.
#[derive(Default)]
pub struct Names {
    users: BTreeMap<Box<str>, Option<u32>>,
    groups: BTreeMap<Box<str>, Option<u32>>,
}

impl Names {
    /// Looks up who `allow` speaks of. A name that does not resolve matches nobody.
    pub fn resolve(&mut self, allow: &[Allow]) -> Resolved {
        let mut resolved = Resolved { rules: Vec::with_capacity(allow.len()), unknown: Vec::new() };
        for entry in allow {
            let user = entry.user.as_deref().map(|name| {
                let known = self.users.entry(name.into()).or_insert_with(|| user(name));
                principal(name, "user", *known, &mut resolved.unknown)
            });
            let group = entry.group.as_deref().map(|name| {
                let known = self.groups.entry(name.into()).or_insert_with(|| group(name));
                principal(name, "group", *known, &mut resolved.unknown)
            });
            let unit = entry.unit.clone();
            resolved.rules.push(Rule { user, group, unit, rights: entry.rights });
        }
        resolved
    }
}

/// A user as a message says it: `user alice (1000)`, or the number alone.
pub fn of_user(uid: u32) -> String {
    match User::from_uid(Uid::from_raw(uid)) {
        Ok(Some(user)) => format!("user {} ({uid})", user.name.escape_debug()),
        Ok(None) | Err(_) => format!("user {uid}"),
    }
}

/// A number is the user of that number, any other name the host's.
fn user(name: &str) -> Option<u32> {
    let look_up = || User::from_name(name).ok().flatten().map(|user| user.uid.as_raw());
    name.parse().ok().or_else(look_up)
}

fn group(name: &str) -> Option<u32> {
    let look_up = || Group::from_name(name).ok().flatten().map(|group| group.gid.as_raw());
    name.parse().ok().or_else(look_up)
}

fn principal(name: &str, what: &str, id: Option<u32>, unknown: &mut Vec<String>) -> Principal {
    id.map_or_else(
        || {
            unknown.push(format!("{what} {name}"));
            Principal::Unresolved(name.into())
        },
        Principal::Id,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Rights;

    #[test]
    fn a_user_is_told_by_name_and_number_and_a_stranger_by_number() {
        assert_eq!(of_user(0), "user root (0)");
        assert_eq!(of_user(u32::MAX - 7), "user 4294967288");
    }

    #[test]
    fn names_and_numbers_resolve_and_strangers_match_nobody() {
        let allow = |user: Option<&str>, group: Option<&str>| Allow {
            user: user.map(Into::into),
            group: group.map(Into::into),
            unit: None,
            rights: Rights::DEFAULT,
        };
        let entries = [
            allow(Some("root"), Some("root")),
            allow(Some("4711"), None),
            allow(None, Some("nosuchgroup")),
        ];

        let resolved = Names::default().resolve(&entries);

        let [first, second, third] = <[Rule; 3]>::try_from(resolved.rules).unwrap();
        assert_eq!((first.user, first.group), (Some(Principal::Id(0)), Some(Principal::Id(0))));
        assert_eq!(second.user, Some(Principal::Id(4711)));
        assert_eq!(third.group, Some(Principal::Unresolved("nosuchgroup".into())));
        assert_eq!(resolved.unknown, ["group nosuchgroup"]);
    }
}
