//! Who may have what.
//!
//! A [`Peer`] is who the kernel, or the bus daemon, says it is; nothing that the peer
//! sends takes part in a decision. Default deny. Root and the daemon's own user always
//! may, within what a narrowing socket lets through. `admin` is never implied
//! by another right.

use std::fmt;

use serde::Deserialize;
use serde::Serialize;

use crate::name::AccountId;
use crate::unit::Proof;
use crate::unit::Unit;

/// The group of a peer that is told by none of its own: the id that the kernel gives to nobody.
pub const NO_GROUP: u32 = u32::MAX;

/// The user of a peer that is a unit and speaks for no user: nobody has this id either.
pub const NO_USER: u32 = u32::MAX;

/// A local process that asks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Peer {
    /// Its user; [`NO_USER`] of a unit that is asked for.
    pub uid: u32,
    /// Its group; [`NO_GROUP`] where only all of its groups are told.
    pub gid: u32,
    /// Its supplementary groups, as the kernel attested them.
    pub groups: Vec<u32>,
    /// Its process, where it is in our pid namespace.
    pub pid: Option<u32>,
    /// Its systemd system unit.
    pub unit: Unit,
}

impl Peer {
    /// A unit for which the service manager asks. Only rules that name it, and no user or group
    /// beside it, speak of it: the service manager is root, and what root may do is not what its
    /// units may do.
    pub const fn of_unit(name: Box<str>) -> Self {
        // The door has seen to it that it is the service manager who asks, which is a proof.
        let unit = Unit::Proven { name, proof: Proof::Process };
        Self { uid: NO_USER, gid: NO_GROUP, groups: Vec::new(), pid: None, unit }
    }

    /// Whether one of its groups is `gid`.
    pub fn in_group(&self, gid: u32) -> bool {
        self.gid == gid || self.groups.contains(&gid)
    }
}

/// Something that a peer may be allowed to do.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Right {
    /// Have the current token, and see how the account stands.
    Read,
    /// Have it refreshed now.
    Refresh,
    /// Say that a token was rejected.
    Report,
    /// Change the account.
    Admin,
}

impl Right {
    /// Every right.
    pub const ALL: &[Self] = &[Self::Read, Self::Refresh, Self::Report, Self::Admin];

    /// The word in the configuration and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Refresh => "refresh",
            Self::Report => "report",
            Self::Admin => "admin",
        }
    }

    const fn bit(self) -> u8 {
        match self {
            Self::Read => 1,
            Self::Refresh => 2,
            Self::Report => 4,
            Self::Admin => 8,
        }
    }
}

/// A set of rights.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
pub struct Rights(u8);

impl Rights {
    /// No right at all.
    pub const NONE: Self = Self(0);
    /// Every right.
    pub const ALL: Self = Self(15);
    /// What a rule gives that names no rights: read and report.
    pub const DEFAULT: Self = Self(1 | 4);

    /// Whether `right` is among them.
    pub const fn has(self, right: Right) -> bool {
        self.0 & right.bit() != 0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// These and `right`.
    #[must_use]
    pub const fn with(self, right: Right) -> Self {
        Self(self.0 | right.bit())
    }

    /// Those that are in either.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that are in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Each of them, in the order of [`Right`].
    pub fn iter(self) -> impl Iterator<Item = Right> {
        Right::ALL.iter().copied().filter(move |right| self.has(*right))
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl FromIterator<Right> for Rights {
    fn from_iter<I: IntoIterator<Item = Right>>(rights: I) -> Self {
        rights.into_iter().fold(Self::NONE, Self::with)
    }
}

/// One line of `allow`, its names resolved. All that it says must match.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rule {
    /// The user.
    pub user: Option<Principal>,
    /// The group.
    pub group: Option<Principal>,
    /// The system unit.
    pub unit: Option<Box<str>>,
    /// What it gives.
    pub rights: Rights,
}

/// A user or group that a rule names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Principal {
    /// Known by this number.
    Id(u32),
    /// A name that means nobody on this host (yet): matches no peer.
    Unresolved(Box<str>),
}

impl Principal {
    fn is(&self, matches: impl FnOnce(u32) -> bool) -> bool {
        match self {
            // The last number is nobody's, whatever a rule says.
            Self::Id(id) => *id != NO_USER && *id != NO_GROUP && matches(*id),
            Self::Unresolved(_) => false,
        }
    }
}

impl Rule {
    /// Whether it takes a unit to match it.
    pub const fn names_a_unit(&self) -> bool {
        self.unit.is_some()
    }

    /// Whether the rule speaks of this peer. A rule that names nobody speaks of nobody.
    ///
    /// A unit that is only known by the number of a process ([`Proof::Number`]) is enough where
    /// the rule names the user too: whose number was taken over is then still that user.
    pub fn matches(&self, peer: &Peer) -> bool {
        let Self { user, group, unit, rights: _ } = self;
        if user.is_none() && group.is_none() && unit.is_none() {
            return false;
        }
        user.as_ref().is_none_or(|user| user.is(|uid| uid == peer.uid))
            && group.as_ref().is_none_or(|group| group.is(|gid| peer.in_group(gid)))
            && unit.as_ref().is_none_or(|unit| match &peer.unit {
                Unit::Proven { name, proof: Proof::Process } => name == unit,
                Unit::Proven { name, proof: Proof::Number } => name == unit && user.is_some(),
                Unit::Unasked | Unit::Unproven(_) => false,
            })
    }
}

/// What a listening socket lets through, whoever comes; the ordinary socket has none.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Narrowing {
    /// The accounts that exist for its peers.
    pub accounts: Vec<AccountId>,
    /// The most that they may do.
    pub rights: Rights,
}

/// Which peers are the daemon's masters: root, and the user that it runs as.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Masters {
    /// The daemon's own user.
    pub own_uid: u32,
}

impl Masters {
    /// Whether the peer is one of them.
    pub const fn include(self, peer: &Peer) -> bool {
        peer.uid == 0 || peer.uid == self.own_uid
    }
}

/// What `peer` may do with an account that has these rules, through a socket with that narrowing.
pub fn rights(
    peer: &Peer,
    masters: Masters,
    account: &AccountId,
    rules: &[Rule],
    narrowing: Option<&Narrowing>,
) -> Rights {
    let granted = if masters.include(peer) {
        Rights::ALL
    } else {
        rules
            .iter()
            .filter(|rule| rule.matches(peer))
            .fold(Rights::NONE, |sum, rule| sum.or(rule.rights))
    };
    match narrowing {
        None => granted,
        Some(narrow) if narrow.accounts.contains(account) => granted.and(narrow.rights),
        Some(_) => Rights::NONE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::NoUnit;

    /// Every rule that can be made of absent, matching and other principals, against one
    /// peer: it speaks of the peer exactly if it names somebody and nothing in it differs.
    #[test]
    fn a_rule_matches_if_all_that_it_says_matches_and_it_says_something() {
        let users = [None, Some(ALICE), Some(BOB)];
        let groups = [None, Some(STAFF), Some(MAIL), Some(WHEEL)];
        let units = [None, Some("backup.service"), Some("other.service")];
        let peer = Peer { unit: backup(Proof::Process), ..alice() };

        for user in users {
            for group in groups {
                for unit in units {
                    let rule = Rule {
                        user: user.map(Principal::Id),
                        group: group.map(Principal::Id),
                        unit: unit.map(Into::into),
                        rights: Rights::DEFAULT,
                    };
                    let names_somebody = user.is_some() || group.is_some() || unit.is_some();
                    let differs =
                        user == Some(BOB) || group == Some(WHEEL) || unit == Some("other.service");
                    assert_eq!(rule.matches(&peer), names_somebody && !differs, "{rule:?}");
                }
            }
        }
    }

    #[test]
    fn a_name_that_means_nobody_matches_nobody() {
        let nobody = Principal::Unresolved("alice".into());
        for peer in [alice(), Peer { uid: 0, ..alice() }] {
            let user = Rule { user: Some(nobody.clone()), ..user(ALICE, Rights::ALL) };
            let group = Rule { group: Some(nobody.clone()), ..user_rule_of_nobody() };
            let both = Rule { group: Some(nobody.clone()), ..self::user(ALICE, Rights::ALL) };
            for rule in [user, group, both] {
                assert!(!rule.matches(&peer), "{rule:?}");
            }
        }
    }

    #[test]
    fn a_unit_that_is_not_proven_matches_no_rule() {
        let rule = Rule { unit: Some("backup.service".into()), ..user(ALICE, Rights::ALL) };
        for unit in [Unit::Unasked, Unit::Unproven(NoUnit::Outside), Unit::Unproven(NoUnit::Gone)] {
            let peer = Peer { unit, ..alice() };
            assert!(!rule.matches(&peer), "{peer:?}");
        }
    }

    #[test]
    fn a_unit_that_is_known_by_a_number_needs_the_user_beside_it() {
        let unit = Some(Box::from("backup.service"));
        let group = Some(Principal::Id(MAIL));
        let alone = Rule { unit: unit.clone(), ..user_rule_of_nobody() };
        let with_group = Rule { group, ..alone.clone() };
        let with_user = Rule { unit, ..user(ALICE, Rights::ALL) };
        #[rustfmt::skip]
        let cases = [
            // rule         by number  by process
            (&alone,        false,     true),
            (&with_group,   false,     true),
            (&with_user,    true,      true),
        ];
        for (rule, by_number, by_process) in cases {
            for (proof, expected) in [(Proof::Number, by_number), (Proof::Process, by_process)] {
                let peer = Peer { unit: backup(proof), ..alice() };
                assert_eq!(rule.matches(&peer), expected, "{rule:?}, {proof:?}");
            }
        }
    }

    #[test]
    fn a_unit_that_is_asked_for_has_what_rules_give_that_name_nothing_but_it() {
        let unit = |name: &str| Rule { unit: Some(name.into()), ..user_rule_of_nobody() };
        #[rustfmt::skip]
        let cases = [
            ("its own rule",              unit("backup.service"),                                        true),
            ("another unit's",            unit("other.service"),                                         false),
            ("root's",                    user(0, Rights::ALL),                                          false),
            ("the daemon's user's",       user(OWN, Rights::ALL),                                        false),
            ("the number of nobody's",    user(NO_USER, Rights::ALL),                                    false),
            ("a group's of that number",  Rule { group: Some(Principal::Id(NO_GROUP)), ..user_rule_of_nobody() }, false),
            ("its own, with a user",      Rule { user: Some(Principal::Id(0)), ..unit("backup.service") }, false),
        ];
        let mail = AccountId::parse("mail").unwrap();
        let masters = Masters { own_uid: OWN };
        let peer = Peer::of_unit("backup.service".into());
        assert!(rights(&peer, masters, &mail, &[], None).is_empty(), "it is no master");
        for (name, rule, expected) in cases {
            let got = rights(&peer, masters, &mail, &[rule], None);
            assert_eq!(!got.is_empty(), expected, "{name}");
        }
    }

    /// Every verdict: who comes, what the rules give, what the socket lets through.
    #[test]
    fn rights_are_what_rules_or_mastery_give_within_what_the_socket_lets_through() {
        let mail = AccountId::parse("mail").unwrap();
        let ci = AccountId::parse("ci").unwrap();
        let read = Rights::NONE.with(Right::Read);
        let peers = [(0, true), (OWN, true), (ALICE, false), (BOB, false)];

        for bits in 0..16_u8 {
            for narrow_bits in 0..16_u8 {
                let (given, most) = (Rights(bits), Rights(narrow_bits));
                let rules = [user(ALICE, given), user(ALICE, read), user(WHEEL, Rights::ALL)];
                for (uid, master) in peers {
                    let peer = Peer { uid, ..alice() };
                    let open = match (master, uid) {
                        (true, _) => Rights::ALL,
                        (false, ALICE) => given.or(read),
                        (false, _) => Rights::NONE,
                    };
                    let masters = Masters { own_uid: OWN };
                    let own = Narrowing { accounts: vec![mail.clone()], rights: most };
                    let foreign = Narrowing { accounts: vec![ci.clone()], rights: most };
                    #[rustfmt::skip]
                    let cases = [
                        ("the ordinary socket",           None,           open),
                        ("a socket for this account",     Some(&own),     open.and(most)),
                        ("a socket for another account",  Some(&foreign), Rights::NONE),
                    ];
                    for (name, narrowing, expected) in cases {
                        let got = rights(&peer, masters, &mail, &rules, narrowing);
                        assert_eq!(got, expected, "{name}, uid {uid}, {given:?}, {most:?}");
                    }
                }
            }
        }
    }

    /// The verdicts above are made of these, so they are held to what each right says alone.
    #[test]
    fn sets_of_rights_are_joined_and_met_right_by_right() {
        for (one, other) in (0..16_u8).flat_map(|one| (0..16_u8).map(move |other| (one, other))) {
            let (one, other) = (Rights(one), Rights(other));
            for right in Right::ALL.iter().copied() {
                let (in_one, in_other) = (one.has(right), other.has(right));
                assert_eq!(one.or(other).has(right), in_one || in_other, "{one:?}, {other:?}");
                assert_eq!(one.and(other).has(right), in_one && in_other, "{one:?}, {other:?}");
                for added in Right::ALL.iter().copied() {
                    assert_eq!(one.with(added).has(right), in_one || right == added, "{one:?}");
                }
            }
        }
    }

    #[test]
    fn a_rule_names_a_unit_or_does_not() {
        let unit = Rule { unit: Some("backup.service".into()), ..user_rule_of_nobody() };
        assert!(unit.names_a_unit());
        assert!(!user(ALICE, Rights::ALL).names_a_unit());
    }

    #[test]
    fn no_rule_is_no_right() {
        let mail = AccountId::parse("mail").unwrap();
        let masters = Masters { own_uid: OWN };
        assert!(rights(&alice(), masters, &mail, &[], None).is_empty());
    }

    #[test]
    fn admin_is_implied_by_nothing() {
        let others = Rights::from_iter([Right::Read, Right::Refresh, Right::Report]);
        assert!(!others.has(Right::Admin));
        assert!(!Rights::DEFAULT.has(Right::Admin));
    }

    #[test]
    fn each_right_is_its_own() {
        for right in Right::ALL {
            let alone = Rights::NONE.with(*right);
            assert_eq!(alone.iter().collect::<Vec<_>>(), [*right]);
            assert_eq!(serde_json::to_value(right).unwrap(), right.as_str());
        }
        assert_eq!(Rights::from_iter(Right::ALL.iter().copied()), Rights::ALL);
    }

    #[test]
    fn the_effective_and_the_supplementary_groups_count_alike() {
        for (gid, is_in) in [(STAFF, true), (MAIL, true), (WHEEL, false)] {
            assert_eq!(alice().in_group(gid), is_in, "{gid}");
        }
    }

    const OWN: u32 = 900;
    const ALICE: u32 = 1000;
    const BOB: u32 = 1001;
    const STAFF: u32 = 50;
    const MAIL: u32 = 8;
    const WHEEL: u32 = 10;

    fn alice() -> Peer {
        Peer { uid: ALICE, gid: STAFF, groups: vec![MAIL], pid: None, unit: Unit::Unasked }
    }

    fn backup(proof: Proof) -> Unit {
        Unit::Proven { name: "backup.service".into(), proof }
    }

    fn user(uid: u32, rights: Rights) -> Rule {
        Rule { user: Some(Principal::Id(uid)), group: None, unit: None, rights }
    }

    fn user_rule_of_nobody() -> Rule {
        Rule { user: None, group: None, unit: None, rights: Rights::ALL }
    }
}
