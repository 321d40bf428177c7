//! Who the names in the rules are on this host.

use nix::unistd::Group;
use nix::unistd::User;

use crate::access::Principal;
use crate::access::Rule;
use crate::config::Allow;

/// Rules with their names resolved, and the names that mean nobody here (yet).
#[derive(Default)]
pub struct Resolved {
    /// The rules, in their order.
    pub rules: Vec<Rule>,
    /// What does not resolve, as `user alice` or `group mail`.
    pub unknown: Vec<String>,
}

/// Looks up who `allow` speaks of. A name that does not resolve matches nobody.
pub fn resolve(allow: &[Allow]) -> Resolved {
    let mut resolved = Resolved { rules: Vec::with_capacity(allow.len()), unknown: Vec::new() };
    for entry in allow {
        let user = entry.user.as_deref().map(|name| {
            principal(name, "user", &mut resolved.unknown, |name| {
                User::from_name(name).ok().flatten().map(|user| user.uid.as_raw())
            })
        });
        let group = entry.group.as_deref().map(|name| {
            principal(name, "group", &mut resolved.unknown, |name| {
                Group::from_name(name).ok().flatten().map(|group| group.gid.as_raw())
            })
        });
        let unit = entry.unit.clone();
        resolved.rules.push(Rule { user, group, unit, rights: entry.rights });
    }
    resolved
}

fn principal(
    name: &str,
    what: &str,
    unknown: &mut Vec<String>,
    look_up: impl FnOnce(&str) -> Option<u32>,
) -> Principal {
    if let Ok(id) = name.parse() {
        return Principal::Id(id);
    }
    look_up(name).map_or_else(
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

        let resolved = resolve(&entries);

        let [first, second, third] = <[Rule; 3]>::try_from(resolved.rules).unwrap();
        assert_eq!((first.user, first.group), (Some(Principal::Id(0)), Some(Principal::Id(0))));
        assert_eq!(second.user, Some(Principal::Id(4711)));
        assert_eq!(third.group, Some(Principal::Unresolved("nosuchgroup".into())));
        assert_eq!(resolved.unknown, ["group nosuchgroup"]);
    }
}
