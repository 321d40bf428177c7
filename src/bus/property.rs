//! What is shown of an account, of the manager and of the log.

use std::collections::BTreeMap;

use zbus::Variant;

use crate::config::daemon::LogLevel;
use crate::keeper::Seat;
use crate::snapshot::Snapshot;
use crate::time::Now;
use crate::time::Timestamp;
use crate::wording;

/// What is shown of an account. Times are seconds since 1970, 0 where there is none.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Shown {
    name: String,
    provider: &'static str,
    state: &'static str,
    generation: u64,
    issued_at: u64,
    expires_at: u64,
    next_at: u64,
    login_ends_at: u64,
    login_ends_soon: bool,
    paused: bool,
    released: bool,
    unsaved: bool,
    alarm: bool,
    failing_since: u64,
    failure_code: &'static str,
    failure_message: String,
    failure_remedy: &'static str,
}

impl Shown {
    /// An account as it stands with that snapshot.
    pub(super) fn of(seat: &Seat, snapshot: &Snapshot, now: Now) -> Self {
        let held = snapshot.held.as_ref();
        let failure = snapshot.failure.as_deref();
        let raised = failure.map(|_| snapshot.refusal());
        let ends = snapshot.login_ends();
        Self {
            name: seat.account.to_string(),
            provider: seat.profile().name,
            state: snapshot.state.as_str(),
            generation: snapshot.generation.0,
            issued_at: held.map_or(0, |held| seconds(held.issued_at)),
            expires_at: held.map_or(0, |held| seconds(held.expires_wall)),
            next_at: snapshot.next.map_or(0, |next| seconds(now.wall_at(next))),
            login_ends_at: ends.map_or(0, |ends| seconds(Timestamp::from_millis(ends.at_ms))),
            login_ends_soon: ends.is_some_and(|ends| ends.told_ms.is_some()),
            paused: snapshot.is_paused(),
            released: snapshot.released,
            unsaved: snapshot.unsaved,
            alarm: snapshot.is_alarming(now),
            failing_since: failure
                .map_or(0, |failure| seconds(Timestamp::from_millis(failure.since_ms))),
            failure_code: raised.as_ref().map_or("", |refusal| refusal.code.as_str()),
            failure_message: raised
                .as_ref()
                .map(|refusal| wording::message(refusal, Some(&seat.account)))
                .unwrap_or_default(),
            failure_remedy: raised.map_or("", |refusal| refusal.code.remedy().as_str()),
        }
    }

    /// All of it.
    pub(super) fn properties(&self) -> BTreeMap<&'static str, Variant<'static>> {
        BTreeMap::from([
            ("Name", Variant::from(self.name.clone())),
            ("Provider", self.provider.into()),
            ("State", self.state.into()),
            ("Generation", self.generation.into()),
            ("IssuedAt", self.issued_at.into()),
            ("ExpiresAt", self.expires_at.into()),
            ("NextAt", self.next_at.into()),
            ("LoginEndsAt", self.login_ends_at.into()),
            ("LoginEndsSoon", self.login_ends_soon.into()),
            ("Paused", self.paused.into()),
            ("Released", self.released.into()),
            ("Unsaved", self.unsaved.into()),
            ("Alarm", self.alarm.into()),
            ("FailingSince", self.failing_since.into()),
            ("FailureCode", self.failure_code.into()),
            ("FailureMessage", self.failure_message.clone().into()),
            ("FailureRemedy", self.failure_remedy.into()),
        ])
    }

    /// What is not as it was.
    pub(super) fn changed_since(&self, older: &Self) -> BTreeMap<&'static str, Variant<'static>> {
        let (mut changed, older) = (self.properties(), older.properties());
        changed.retain(|name, value| older.get(name) != Some(value));
        changed
    }
}

/// What is shown of the manager.
pub(super) fn of_manager() -> BTreeMap<&'static str, Variant<'static>> {
    BTreeMap::from([("Version", env!("CARGO_PKG_VERSION").into())])
}

/// Where the log goes: standard error, in the word of org.freedesktop.LogControl1(5).
pub(super) const LOG_TARGET: &str = "console";

/// What is shown of the log.
pub(super) fn of_log(level: LogLevel) -> BTreeMap<&'static str, Variant<'static>> {
    BTreeMap::from([
        ("LogLevel", priority(level).into()),
        ("LogTarget", LOG_TARGET.into()),
        ("SyslogIdentifier", "tokenkeeperd".into()),
    ])
}

/// The word of syslog(3) for a level.
const fn priority(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Error => "err",
        LogLevel::Warn => "warning",
        LogLevel::Info => "info",
        LogLevel::Debug | LogLevel::Trace => "debug",
    }
}

/// The level for a word of syslog(3): nothing that it would let through is left out.
pub(super) fn level(priority: &str) -> Option<LogLevel> {
    match priority {
        "emerg" | "alert" | "crit" | "err" => Some(LogLevel::Error),
        "warning" => Some(LogLevel::Warn),
        "notice" | "info" => Some(LogLevel::Info),
        "debug" => Some(LogLevel::Debug),
        _ => None,
    }
}

/// Whole seconds since 1970, never more than have passed.
pub(super) fn seconds(time: Timestamp) -> u64 {
    u64::try_from(time.as_secs()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const DESCRIPTIONS: [&str; 3] = [
        include_str!("../../packaging/dbus/org.tokenkeeper1.Manager.xml"),
        include_str!("../../packaging/dbus/org.tokenkeeper1.Account.xml"),
        include_str!("../../packaging/dbus/org.freedesktop.LogControl1.xml"),
    ];

    #[test]
    fn what_is_shown_is_what_the_descriptions_promise() {
        let shown = [of_manager(), shown().properties(), of_log(LogLevel::Info)];
        for (xml, shown) in DESCRIPTIONS.into_iter().zip(shown) {
            let told = xml.lines().filter_map(|line| {
                let (_, rest) = line.split_once("<property name=\"")?;
                let (name, rest) = rest.split_once("\" type=\"")?;
                Some((name.to_owned(), rest.split('"').next()?.to_owned()))
            });
            let served = shown
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.value_signature().to_string()));
            assert_eq!(served.collect::<BTreeSet<_>>(), told.collect::<BTreeSet<_>>());
        }
    }

    #[test]
    fn only_what_changed_is_told() {
        let newer = Shown { generation: 8, state: "saving", ..shown() };
        let changed = newer.changed_since(&shown());
        assert_eq!(changed.keys().copied().collect::<Vec<_>>(), ["Generation", "State"]);
        assert!(shown().changed_since(&shown()).is_empty());
    }

    #[test]
    fn every_level_that_can_be_had_can_be_set() {
        for had in LogLevel::ALL {
            let back = level(priority(*had)).unwrap();
            assert!(back == *had || (back, *had) == (LogLevel::Debug, LogLevel::Trace));
        }
        assert_eq!(level("loud"), None);
    }

    fn shown() -> Shown {
        Shown {
            name: "mail".into(),
            provider: "oauth2",
            state: "fresh",
            generation: 7,
            issued_at: 0,
            expires_at: 0,
            next_at: 0,
            login_ends_at: 0,
            login_ends_soon: false,
            paused: false,
            released: false,
            unsaved: false,
            alarm: false,
            failing_since: 0,
            failure_code: "",
            failure_message: String::new(),
            failure_remedy: "",
        }
    }
}
