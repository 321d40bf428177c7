//! Where the daemon's files are.

use std::env;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::path::PathBuf;

use super::Failure;
use super::Options;
use crate::config::Config;
use crate::config::daemon::Defaults;
use crate::credential::subject::Scope;
use crate::files;
use crate::section::Mode;
use crate::store::sqlite;

/// Where things are for this process.
pub(super) struct Places {
    /// The main file of the configuration.
    pub(super) config: PathBuf,
    /// `$CREDENTIALS_DIRECTORY`.
    pub(super) credentials: Option<PathBuf>,
    mode: Mode,
    defaults: Defaults,
}

impl Places {
    /// Looks at the environment.
    pub(super) fn find(options: &Options) -> Result<Self, Failure> {
        let credentials = env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        let (mode, defaults, usual) = if options.user {
            let runtime = named("XDG_RUNTIME_DIR").ok_or(Failure::Homeless("XDG_RUNTIME_DIR"))?;
            let home = || named("HOME").ok_or(Failure::Homeless("HOME"));
            let state = match named("XDG_STATE_HOME") {
                Some(state) => state,
                None => home()?.join(".local/state"),
            };
            let config = match named("XDG_CONFIG_HOME") {
                Some(config) => config,
                None => home()?.join(".config"),
            };
            (Mode::User, Defaults::below(&runtime, &state), config)
        } else {
            (Mode::System, Defaults::system(), PathBuf::from("/etc"))
        };
        let config = match &options.config {
            Some(config) => config.clone(),
            None => usual.join("tokenkeeper/config.toml"),
        };
        Ok(Self { config, credentials, mode, defaults })
    }

    /// Reads and checks the configuration.
    pub(super) fn read(&self) -> Result<Config, Failure> {
        let files = files::read(&self.config).map_err(Failure::Unreadable)?;
        Ok(Config::parse(&files, self.mode, self.defaults.clone())?)
    }

    /// Whose units are served with credentials, by a daemon of this user.
    pub(super) const fn scope(&self, uid: u32) -> Scope {
        match self.mode {
            Mode::System => Scope::Host,
            Mode::User => Scope::User { uid },
        }
    }

    /// What to do about a store key that lies in a file.
    pub(super) const fn advice_on_the_key(&self) -> &'static str {
        match self.mode {
            Mode::System => {
                "seal it to this machine: systemctl stop 'tokenkeeper*.socket' tokenkeeper && \
                 tokenctl init && systemctl start tokenkeeper"
            }
            Mode::User => {
                "encrypt the disk that it is on: a user's daemon is passed no sealed credential"
            }
        }
    }

    /// Where the store is.
    pub(super) fn store(&self, config: &Config) -> sqlite::Place {
        sqlite::Place {
            database: config.daemon.state.clone(),
            credentials: self.credentials.clone(),
            boot_id: boot_id(),
        }
    }
}

/// A directory that the environment names with an absolute path; others do not count.
fn named(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}

/// The kernel's id of this boot. A sandbox may hide it, and the unit passes it in then.
/// Without any, every start counts as a new boot, which costs nothing but precision.
fn boot_id() -> String {
    if let Ok(id) = env::var("TOKENKEEPER_BOOT_ID") {
        return id;
    }
    let mut id = String::new();
    let read = File::open(Path::new("/proc/sys/kernel/random/boot_id"))
        .and_then(|file| file.take(64).read_to_string(&mut id));
    match read {
        Ok(_) => id.trim().to_owned(),
        Err(_) => String::new(),
    }
}
