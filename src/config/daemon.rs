//! `[daemon]`: what concerns the daemon as a whole.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::account;
use super::allow;
use super::allow::Allow;
use super::allow::Gives;
use crate::access::Right;
use crate::access::Rights;
use crate::limits;
use crate::plan::EXPIRY_AHEAD;
use crate::section::Section;
use crate::section::complaint::Problem;
use crate::section::value::Value;

/// Without a word about it, a failure is an alarm from this long before the expiry.
const ALARM_BEFORE: Duration = Duration::from_secs(600);

/// What concerns the daemon as a whole.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Daemon {
    /// Where programs ask for tokens.
    pub socket: PathBuf,
    /// The database.
    pub state: PathBuf,
    /// What is logged.
    pub log: LogLevel,
    /// Who may order the daemon about, besides its masters.
    pub admin: Vec<Allow>,
    /// Who may read metrics, besides its masters.
    pub metrics: Vec<Allow>,
    /// For accounts that do not say it: a failure that lasts into this span before the
    /// expiry is an alarm.
    pub alarm_before: Duration,
    /// The same: how long before the end of a login that is told, longest first.
    pub expiry_ahead: Arc<[Duration]>,
    /// The bus on which it is asked as well.
    pub dbus: Bus,
    /// Where the service manager asks for credentials of units, if the daemon makes that socket.
    pub credential_socket: Option<PathBuf>,
    /// What such a credential is waited for.
    pub credentials: CredentialTerms,
}

/// How long a unit that starts waits for its credential, and for what.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CredentialTerms {
    /// How long, in all.
    pub wait: Duration,
    /// How long the token must still be good.
    pub min_ttl: Duration,
}

/// Where the daemon's files are if the configuration does not say.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Defaults {
    /// The socket.
    pub socket: PathBuf,
    /// The database.
    pub state: PathBuf,
    /// The bus.
    pub dbus: Bus,
}

impl Defaults {
    /// Those of the host's service.
    pub fn system() -> Self {
        let files = Self::below(Path::new("/run"), Path::new("/var/lib"));
        Self { dbus: Bus::System, ..files }
    }

    /// Those of a user's service, below `$XDG_RUNTIME_DIR` and `$XDG_STATE_HOME`.
    pub fn below(runtime: &Path, state: &Path) -> Self {
        Self {
            socket: runtime.join("tokenkeeper/api.sock"),
            state: state.join("tokenkeeper/state.db"),
            dbus: Bus::Session,
        }
    }
}

/// A message bus.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Bus {
    /// The host's.
    System,
    /// The user's.
    Session,
    /// None.
    Off,
}

impl Bus {
    /// Every choice by its word in the configuration.
    const WORDS: &[(&str, Self)] =
        &[("system", Self::System), ("session", Self::Session), ("off", Self::Off)];
}

/// The least severe event that is logged.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum LogLevel {
    /// What somebody must see to.
    Error,
    /// What may become that.
    Warn,
    /// What happened.
    #[default]
    Info,
    /// Why it happened.
    Debug,
    /// Every step.
    Trace,
}

impl LogLevel {
    /// Every level, the most severe first.
    pub const ALL: &[Self] = &[Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];

    /// Every level by its word in the configuration.
    const WORDS: &[(&str, Self)] = &[
        ("error", Self::Error),
        ("warn", Self::Warn),
        ("info", Self::Info),
        ("debug", Self::Debug),
        ("trace", Self::Trace),
    ];
}

/// The keys of the table, as far as they are there.
#[derive(Default)]
pub(super) struct Keys {
    socket: Option<PathBuf>,
    state: Option<PathBuf>,
    log: Option<LogLevel>,
    admin: Option<Vec<Allow>>,
    metrics: Option<Vec<Allow>>,
    alarm_before: Option<Duration>,
    expiry_ahead: Option<Arc<[Duration]>>,
    dbus: Option<Bus>,
    credential_socket: Option<PathBuf>,
    credential_wait: Option<Duration>,
    credential_min_ttl: Option<Duration>,
}

impl Keys {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let rules = |section: &mut Section<'_>, key, rights| {
            Some(allow::read(&section.value(key)?, Gives::Always(rights)))
        };
        Self {
            socket: section.value("socket").and_then(|value| socket_path(&value)),
            state: section.value("state").and_then(|it| it.path(limits::PATH)).map(PathBuf::from),
            log: section.choice("log", LogLevel::WORDS),
            admin: rules(section, "admin", Rights::NONE.with(Right::Admin)),
            metrics: rules(section, "metrics", Rights::NONE.with(Right::Read)),
            alarm_before: section.span("alarm_before"),
            expiry_ahead: section.value("expiry_ahead").and_then(|it| account::read_ladder(&it)),
            dbus: section.choice("dbus", Bus::WORDS),
            credential_socket: section
                .value("credential_socket")
                .and_then(|value| socket_path(&value)),
            credential_wait: section.value("credential_wait").and_then(|value| read_wait(&value)),
            credential_min_ttl: section.span("credential_min_ttl"),
        }
    }

    /// Takes over what a later file says.
    pub(super) fn overlay(&mut self, later: Self) {
        let Self {
            socket,
            state,
            log,
            admin,
            metrics,
            alarm_before,
            expiry_ahead,
            dbus,
            credential_socket,
            credential_wait,
            credential_min_ttl,
        } = later;
        self.socket = socket.or(self.socket.take());
        self.state = state.or(self.state.take());
        self.log = log.or(self.log);
        self.admin = admin.or(self.admin.take());
        self.metrics = metrics.or(self.metrics.take());
        self.alarm_before = alarm_before.or(self.alarm_before);
        self.expiry_ahead = expiry_ahead.or(self.expiry_ahead.take());
        self.dbus = dbus.or(self.dbus);
        self.credential_socket = credential_socket.or(self.credential_socket.take());
        self.credential_wait = credential_wait.or(self.credential_wait);
        self.credential_min_ttl = credential_min_ttl.or(self.credential_min_ttl);
    }

    pub(super) fn conclude(self, defaults: Defaults) -> Daemon {
        Daemon {
            socket: self.socket.unwrap_or(defaults.socket),
            state: self.state.unwrap_or(defaults.state),
            log: self.log.unwrap_or_default(),
            admin: self.admin.unwrap_or_default(),
            metrics: self.metrics.unwrap_or_default(),
            alarm_before: self.alarm_before.unwrap_or(ALARM_BEFORE),
            expiry_ahead: self.expiry_ahead.unwrap_or_else(|| EXPIRY_AHEAD.into()),
            dbus: self.dbus.unwrap_or(defaults.dbus),
            credential_socket: self.credential_socket,
            credentials: CredentialTerms {
                wait: self.credential_wait.unwrap_or(limits::CREDENTIAL_WAIT),
                min_ttl: self.credential_min_ttl.unwrap_or(limits::CREDENTIAL_MIN_TTL),
            },
        }
    }
}

/// How long a unit may be kept from starting.
fn read_wait(value: &Value<'_>) -> Option<Duration> {
    let span = value.span()?;
    if span.is_zero() || span > limits::CREDENTIAL_LONGEST_WAIT {
        let hours = limits::CREDENTIAL_LONGEST_WAIT.as_secs() / 3_600;
        let expected = format!("a duration of more than nothing and at most {hours} h");
        value.complain(Problem::Value { expected: expected.into(), nearest: None });
        return None;
    }
    Some(span)
}

/// The path of a socket. It fits what the kernel takes, and so does the name in the same
/// directory under which the socket is made.
pub(super) fn socket_path(value: &Value<'_>) -> Option<PathBuf> {
    let path = value.path(limits::SOCKET_PATH)?;
    let directory = path.rfind('/').map_or(0, |slash| slash + 1);
    if directory + limits::SOCKET_BESIDE > limits::SOCKET_PATH {
        value.complain(Problem::Kind {
            expected: "an absolute path".into(),
            found: "one whose directory is too long",
        });
        return None;
    }
    Some(path.into())
}
