//! Rules by unit that let nobody in at some door, because nothing there proves a unit alone.
//!
//! The socket proves which process asks from Linux 6.5 on, a message bus from D-Bus 1.16 on, and
//! no bus does on an older kernel. Where that is missing, a rule has to name the user beside the
//! unit. The door for credentials has a proof of its own on every host, and goes by rules that name
//! a unit and nothing beside it: there the short rule is the right one, so that whoever needs both
//! has two rules, and is told nothing.

use std::fmt;

use crate::access::Right;
use crate::config::Config;
use crate::config::allow::Allow;
use crate::unit::Proof;

/// A rule by unit that names no user, where that is too little.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Weak {
    /// The account, or the key of the daemon's table, that the rule stands at.
    place: String,
    /// What it names.
    unit: Box<str>,
    /// Who does not prove it.
    unproven: Unproven,
    /// Whether the unit is given credentials by it.
    gives_credentials: bool,
}

/// Who does not prove a unit alone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Unproven {
    /// The kernel, at the socket, and therefore no bus either.
    ByKernel,
    /// The bus that the daemon is on.
    ByBus,
}

/// The rules of a configuration that are weak with such a kernel, and such a bus if there is one.
pub(super) fn weak_rules(config: &Config, kernel: Proof, bus: Option<Proof>) -> Vec<Weak> {
    let unproven = match (kernel, bus) {
        (Proof::Number, _) => Unproven::ByKernel,
        (Proof::Process, Some(Proof::Number)) => Unproven::ByBus,
        (Proof::Process, Some(Proof::Process) | None) => return Vec::new(),
    };
    let accounts = config.accounts.iter();
    let accounts = accounts.map(|(id, account)| (id.as_str(), &*account.allow, true));
    let daemon = [
        ("daemon.admin", &*config.daemon.admin, false),
        ("daemon.metrics", &*config.daemon.metrics, false),
    ];
    let mut weak = Vec::new();
    for (place, rules, is_account) in accounts.chain(daemon) {
        for rule in rules {
            let Allow { user: None, group, unit: Some(unit), rights } = rule else { continue };
            let gives_credentials = is_account && group.is_none() && rights.has(Right::Read);
            if gives_credentials && names_its_user(rules, unit) {
                continue;
            }
            let (place, unit) = (place.to_owned(), unit.clone());
            weak.push(Weak { place, unit, unproven, gives_credentials });
        }
    }
    weak
}

/// Those that are of no use at any door, with such a kernel.
pub(super) fn useless_rules(config: &Config, kernel: Proof) -> impl Iterator<Item = Weak> + use<> {
    weak_rules(config, kernel, None).into_iter().filter(Weak::is_useless)
}

/// Whether a rule beside it names the user of that unit.
fn names_its_user(rules: &[Allow], unit: &str) -> bool {
    rules.iter().any(|rule| rule.user.is_some() && rule.unit.as_deref() == Some(unit))
}

impl Weak {
    /// Whether the rule is of no use at any door.
    pub(super) fn is_useless(&self) -> bool {
        self.unproven == Unproven::ByKernel && !self.gives_credentials
    }

    /// What an administrator can do about it.
    pub(super) fn advice(&self) -> String {
        let Self { unit, .. } = self;
        let name = if self.gives_credentials {
            format!(
                "if its processes come there, add a rule beside it that names the user as well, \
                 {{ unit = '{unit}', user = '…' }}"
            )
        } else {
            "name the user of the unit in the rule as well".to_owned()
        };
        let newer = match self.unproven {
            Unproven::ByKernel => "Linux 6.5 or later",
            Unproven::ByBus => "a newer bus, dbus-daemon 1.16 or dbus-broker 37",
        };
        format!("{name}, or run {newer}")
    }
}

impl fmt::Display for Weak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, unit, unproven, gives_credentials } = self;
        let (who, where_) = match unproven {
            Unproven::ByKernel => ("this kernel", "asks at the socket or over the bus"),
            Unproven::ByBus => ("this message bus", "calls over it"),
        };
        write!(
            f,
            "{place}: {who} does not prove a unit alone, so the rule by unit {unit}, which names \
             no user, lets nobody in who {where_}"
        )?;
        if *gives_credentials {
            f.write_str("; the unit's credentials (LoadCredential=) are given by it all the same")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::File;
    use crate::config::daemon::Defaults;
    use crate::section::Mode;

    const ALLOW: &str = "'unit:a.service', { unit = 'b.service', group = 'mail' }, \
                         { unit = 'c.service', user = 'root' }, 'root', \
                         { unit = 'd.service', rights = ['refresh'] }, \
                         'unit:e.service', { unit = 'e.service', user = 'root' }";

    #[test]
    fn rules_that_name_a_unit_and_no_user_are_weak_where_a_number_is_all_the_proof() {
        let all = [
            "mail a.service given",
            "mail b.service",
            "mail d.service",
            "daemon.admin ops.service",
        ];
        #[rustfmt::skip]
        let cases = [
            // kernel        bus                    weak
            (Proof::Number,  None,                  &all[..]),
            (Proof::Number,  Some(Proof::Number),   &all[..]),
            (Proof::Process, Some(Proof::Number),   &all[..]),
            (Proof::Process, Some(Proof::Process),  &[]),
            (Proof::Process, None,                  &[]),
        ];
        for (kernel, bus, expected) in cases {
            let weak = weak_rules(&config(), kernel, bus);
            let told = weak.iter().map(|weak| {
                let given = if weak.gives_credentials { " given" } else { "" };
                format!("{} {}{given}", weak.place, weak.unit)
            });
            assert_eq!(told.collect::<Vec<_>>(), expected, "{kernel:?} {bus:?}");
        }
    }

    #[test]
    fn a_rule_that_gives_credentials_or_lets_in_at_the_socket_is_of_use() {
        let useless = |kernel, bus| {
            let weak = weak_rules(&config(), kernel, bus);
            weak.iter().filter(|weak| weak.is_useless()).count()
        };
        assert_eq!(useless(Proof::Number, None), 3);
        assert_eq!(useless(Proof::Process, Some(Proof::Number)), 0);
    }

    #[test]
    fn what_is_told_says_which_door_is_shut_and_which_is_not() {
        let [first, second, ..] = &*weak_rules(&config(), Proof::Number, None) else { panic!() };
        insta::assert_snapshot!(format!("{first}\n{}", first.advice()), @"
        mail: this kernel does not prove a unit alone, so the rule by unit a.service, which names no user, lets nobody in who asks at the socket or over the bus; the unit's credentials (LoadCredential=) are given by it all the same
        if its processes come there, add a rule beside it that names the user as well, { unit = 'a.service', user = '…' }, or run Linux 6.5 or later
        ");
        insta::assert_snapshot!(format!("{second}\n{}", second.advice()), @"
        mail: this kernel does not prove a unit alone, so the rule by unit b.service, which names no user, lets nobody in who asks at the socket or over the bus
        name the user of the unit in the rule as well, or run Linux 6.5 or later
        ");
        let [first, ..] = &*weak_rules(&config(), Proof::Process, Some(Proof::Number)) else {
            panic!()
        };
        insta::assert_snapshot!(format!("{first}\n{}", first.advice()), @"
        mail: this message bus does not prove a unit alone, so the rule by unit a.service, which names no user, lets nobody in who calls over it; the unit's credentials (LoadCredential=) are given by it all the same
        if its processes come there, add a rule beside it that names the user as well, { unit = 'a.service', user = '…' }, or run a newer bus, dbus-daemon 1.16 or dbus-broker 37
        ");
    }

    fn config() -> Config {
        let text = format!(
            "[daemon]\nadmin = ['unit:ops.service']\nmetrics = ['prometheus']\n\
             [accounts.mail]\nprovider = 'google'\nclient_id = 'x'\nallow = [{ALLOW}]\n"
        );
        let file = File { name: "config.toml".into(), text };
        Config::parse(&[file], Mode::System, Defaults::system()).ok().unwrap()
    }
}
