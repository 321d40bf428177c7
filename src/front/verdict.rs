//! Why a rule speaks of a peer, or does not, in words.

use crate::access::Masters;
use crate::access::NO_USER;
use crate::access::Narrowing;
use crate::access::Peer;
use crate::access::Principal;
use crate::access::Rights;
use crate::access::Rule;
use crate::asking::view::words;
use crate::name::AccountId;
use crate::protocol::daemon::RuleView;
use crate::unit::Proof;
use crate::unit::Unit;

/// The rule that needs no line in the configuration: root and the daemon's own user.
pub(super) fn of_masters(masters: Masters, peer: &Peer) -> RuleView {
    let (own, uid) = (masters.own_uid, peer.uid);
    let who = if uid == NO_USER { "a unit".to_owned() } else { format!("user {uid}") };
    let matches = masters.include(peer);
    let (rule, neither) = match own {
        0 => ("root, who is the daemon's own user too".to_owned(), "is not"),
        own => (format!("root or the daemon's own user, {own}"), "is neither"),
    };
    RuleView {
        rule,
        rights: words(Rights::ALL),
        matches,
        because: if matches { format!("it is user {uid}") } else { format!("{who} {neither}") },
    }
}

/// One line of `allow`.
pub(super) fn of_rule(rule: &Rule, peer: &Peer) -> RuleView {
    RuleView {
        rule: in_words(rule),
        rights: words(rule.rights),
        matches: rule.matches(peer),
        because: because(rule, peer),
    }
}

/// What the socket lets through.
pub(super) fn of_narrowing(narrowing: &Narrowing, account: &AccountId) -> RuleView {
    let listed = narrowing.accounts.contains(account);
    let most = if listed { narrowing.rights } else { Rights::NONE };
    let because = if listed {
        "nothing else gets through this socket"
    } else {
        "the account does not exist on this socket"
    };
    RuleView {
        rule: "the socket that this was asked through, at most".to_owned(),
        rights: words(most),
        matches: listed,
        because: because.to_owned(),
    }
}

/// Why a rule with a user or a group speaks of no unit for which the service manager asks.
const OF_NO_USER: &str =
    "the service manager asks for a unit, whatever its user; the rule has to name the unit alone";

fn in_words(rule: &Rule) -> String {
    let Rule { user, group, unit, rights: _ } = rule;
    let parts = [
        user.as_ref().map(|user| format!("user {}", name(user))),
        group.as_ref().map(|group| format!("group {}", name(group))),
        unit.as_ref().map(|unit| format!("unit {unit}")),
    ];
    let parts = parts.into_iter().flatten().collect::<Vec<_>>();
    if parts.is_empty() { "nobody".to_owned() } else { parts.join(" and ") }
}

/// The first part that does not match, or that all do.
fn because(rule: &Rule, peer: &Peer) -> String {
    let Rule { user, group, unit, rights: _ } = rule;
    if user.is_none() && group.is_none() && unit.is_none() {
        return "it names nobody".to_owned();
    }
    for principal in [user, group].into_iter().flatten() {
        if let Principal::Unresolved(name) = principal {
            return format!("{name} means nobody on this host");
        }
    }
    if peer.uid == NO_USER && (user.is_some() || group.is_some()) {
        return OF_NO_USER.to_owned();
    }
    if let Some(Principal::Id(uid)) = user
        && *uid != peer.uid
    {
        return format!("the peer's user is {}", peer.uid);
    }
    if let Some(Principal::Id(gid)) = group
        && !peer.in_group(*gid)
    {
        return format!("the peer is not in group {gid}");
    }
    match (unit, &peer.unit) {
        (Some(_), Unit::Unasked) => "the peer is not said to belong to a unit".to_owned(),
        (Some(_), Unit::Unproven(why)) => format!("the peer has no unit that is known: {why}"),
        (Some(unit), Unit::Proven { name, .. }) if unit != name => {
            format!("the peer's unit is {name}")
        }
        (Some(_), Unit::Proven { proof: Proof::Number, .. }) if user.is_none() => {
            "a unit alone is not proven here; the rule has to name the user as well".to_owned()
        }
        (Some(_), Unit::Proven { .. }) | (None, _) => {
            "all that it says is true of the peer".to_owned()
        }
    }
}

fn name(principal: &Principal) -> String {
    match principal {
        Principal::Id(id) => id.to_string(),
        Principal::Unresolved(name) => name.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::NoUnit;

    /// The words and the verdict come from different code; they must not contradict.
    #[test]
    fn the_reason_agrees_with_the_verdict() {
        let ids = |matching, other| {
            [
                None,
                Some(Principal::Id(matching)),
                Some(Principal::Id(other)),
                Some(Principal::Unresolved("ghost".into())),
            ]
        };
        let own = |proof| Unit::Proven { name: "a.service".into(), proof };
        let none = [Unit::Unasked, Unit::Unproven(NoUnit::Outside)];
        for own_unit in none.into_iter().chain([own(Proof::Process), own(Proof::Number)]) {
            let peer = Peer { uid: 1, gid: 2, groups: vec![3], pid: None, unit: own_unit };
            for user in ids(1, 9) {
                for group in ids(3, 9) {
                    for unit in [None, Some("a.service"), Some("b.service")] {
                        let rule = Rule {
                            user: user.clone(),
                            group: group.clone(),
                            unit: unit.map(Into::into),
                            rights: Rights::DEFAULT,
                        };
                        let view = of_rule(&rule, &peer);
                        let says = view.because == "all that it says is true of the peer";
                        assert_eq!(view.matches, says, "{rule:?}: {}", view.because);
                    }
                }
            }
        }
    }

    #[test]
    fn the_masters_are_two_users_or_one() {
        #[rustfmt::skip]
        let cases = [
            (900, 1000, "root or the daemon's own user, 900: user 1000 is neither"),
            (900, 900,  "root or the daemon's own user, 900: it is user 900"),
            (0,   1000, "root, who is the daemon's own user too: user 1000 is not"),
            (0,   0,    "root, who is the daemon's own user too: it is user 0"),
        ];
        for (own_uid, uid, expected) in cases {
            let peer = Peer { uid, gid: uid, groups: vec![], pid: None, unit: Unit::Unasked };
            let view = of_masters(Masters { own_uid }, &peer);
            assert_eq!(format!("{}: {}", view.rule, view.because), expected);
        }
    }

    /// `LoadCredential=` is carried out by the service manager.
    #[test]
    fn a_unit_that_is_asked_for_needs_a_rule_that_names_nothing_else() {
        let peer = Peer::of_unit("a.service".into());
        let rule = |user: Option<u32>, group: Option<u32>, unit: Option<&str>| {
            let (user, group) = (user.map(Principal::Id), group.map(Principal::Id));
            Rule { user, group, unit: unit.map(Into::into), rights: Rights::DEFAULT }
        };
        #[rustfmt::skip]
        let cases = [
            (rule(None,    None,    Some("a.service")), true,  "all that it says is true of the peer"),
            (rule(None,    None,    Some("b.service")), false, "the peer's unit is a.service"),
            (rule(Some(7), None,    Some("a.service")), false, OF_NO_USER),
            (rule(None,    Some(7), None),              false, OF_NO_USER),
        ];
        for (rule, matches, because) in cases {
            let view = of_rule(&rule, &peer);
            assert_eq!((view.matches, &*view.because), (matches, because), "{rule:?}");
        }
        assert_eq!(of_masters(Masters { own_uid: 900 }, &peer).because, "a unit is neither");
    }

    #[test]
    fn rules_read_as_people_say_them() {
        let peer = Peer { uid: 1, gid: 2, groups: vec![], pid: None, unit: Unit::Unasked };
        let rule = Rule {
            user: Some(Principal::Id(1)),
            group: Some(Principal::Unresolved("home".into())),
            unit: None,
            rights: Rights::DEFAULT,
        };
        let view = of_rule(&rule, &peer);
        assert_eq!(view.rule, "user 1 and group home");
        assert_eq!(view.because, "home means nobody on this host");
        assert_eq!(view.rights, ["read", "report"]);
    }
}
