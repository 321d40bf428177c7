//! A host with a number of accounts: a configuration, a filled store, and the daemon on both.
//!
//! The store is filled through the library itself, so that 10,000 accounts take a second and
//! no provider has to be asked.

use std::fs;
use std::fs::DirBuilder;
use std::fs::File;
use std::fs::Permissions;
use std::io;
use std::io::Read as _;
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokenkeeper::clock;
use tokenkeeper::config::Config;
use tokenkeeper::config::daemon::Defaults;
use tokenkeeper::files;
use tokenkeeper::record::Stake;
use tokenkeeper::record::Standing;
use tokenkeeper::record::Write;
use tokenkeeper::section::Mode;
use tokenkeeper::store::Change;
use tokenkeeper::store::Store;
use tokenkeeper::store::TokenStore as _;
use tokenkeeper::store::sqlite::Place;
use tokenkeeper::store::sqlite::Sqlite;
use tokenkeeper::time::Now;
use tokenkeeper::token::Grant;
use tokenkeeper::token::Secret;
use tokenkeeper::token::TokenSet;

use crate::stage::daemon;
use crate::stage::daemon::Daemon;
use crate::stage::trouble::Trouble;

/// Size of an access token, in bytes: that of a usual JWT.
const TOKEN: usize = 1024;

/// Nothing is refreshed while this lasts.
const LIFETIME: Duration = Duration::from_secs(12 * 3600);

/// What an account of a host is to be.
pub(crate) struct Accounts<'a> {
    /// How many. Their names are `a00000` and so on.
    pub(crate) number: usize,
    /// URL of their provider, without a slash at the end.
    pub(crate) provider: &'a str,
    /// The refresh token of each.
    pub(crate) refresh_token: &'a str,
    /// Whether their tokens are good, or have just expired.
    pub(crate) tokens: Tokens,
}

/// How the tokens stand when the daemon starts.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Tokens {
    /// Good for hours.
    Good,
    /// Just expired.
    Expired,
}

impl Accounts<'static> {
    /// `number` accounts with good tokens, whose provider is never asked.
    pub(crate) const fn good(number: usize) -> Self {
        Self {
            number,
            provider: "http://127.0.0.1:9",
            refresh_token: "rt_of_a_benchmark",
            tokens: Tokens::Good,
        }
    }
}

/// Accounts in one drop-in: what writes thousands of accounts writes files of some size.
const PER_DROP_IN: usize = 100;

fn table(number: usize, accounts: &Accounts<'_>) -> String {
    let (name, provider) = (name(number), accounts.provider);
    format!(
        "[accounts.{name}]\ntoken_endpoint = \"{provider}/{name}/token\"\n\
         client_id = \"{name}\"\nrotation = \"none\"\nallow = [\"nobody\"]\n"
    )
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    File::create(path)?.write_all(text.as_bytes())?;
    fs::set_permissions(path, Permissions::from_mode(0o600))
}

/// Files of one daemon, in a directory that goes with it.
pub(crate) struct Host {
    directory: TempDir,
}

impl Host {
    /// Writes the configuration and fills the store.
    ///
    /// # Errors
    ///
    /// If either cannot be written.
    pub(crate) fn with(accounts: &Accounts<'_>) -> Result<Self, Trouble> {
        let failed = || Trouble::system("cannot make a host");
        let directory = tempfile::Builder::new()
            .prefix("tokenkeeper-bench-")
            // Other users reach the socket, and nothing else.
            .permissions(Permissions::from_mode(0o711))
            .tempdir()
            .map_err(failed())?;
        let host = Self { directory };
        DirBuilder::new().mode(0o700).create(host.state()).map_err(failed())?;
        DirBuilder::new().mode(0o700).create(host.drop_ins()).map_err(failed())?;
        write(&host.config(), &host.daemon_table()).map_err(failed())?;
        for first in (0..accounts.number).step_by(PER_DROP_IN) {
            let numbers = first..accounts.number.min(first + PER_DROP_IN);
            let text = numbers.map(|number| table(number, accounts)).collect::<String>();
            write(&host.drop_ins().join(format!("{first:06}.toml")), &text).map_err(failed())?;
        }
        host.fill(accounts)?;
        Ok(host)
    }

    /// Starts the daemon.
    ///
    /// # Errors
    ///
    /// If it does not get ready.
    pub(crate) fn start(&self) -> Result<Daemon, Trouble> {
        let binary = Path::new(env!("CARGO_BIN_EXE_tokenkeeperd"));
        Daemon::start(binary, self.directory.path(), &self.config())
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("api.sock")
    }

    /// Where it looks for the system's bus.
    pub(crate) fn bus(&self) -> PathBuf {
        self.directory.path().join(daemon::BUS)
    }

    /// Where else something may be put.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    fn config(&self) -> PathBuf {
        self.directory.path().join("config.toml")
    }

    fn drop_ins(&self) -> PathBuf {
        self.directory.path().join("config.d")
    }

    fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    fn daemon_table(&self) -> String {
        format!(
            "[daemon]\nsocket = {:?}\nstate = {:?}\nlog = \"warn\"\n",
            self.socket(),
            self.state().join("state.db")
        )
    }

    /// Commits a generation of each account, as if it had been granted.
    fn fill(&self, accounts: &Accounts<'_>) -> Result<(), Trouble> {
        let said = |error: &dyn std::error::Error| {
            Trouble::unexpected("the library", error.to_string().as_bytes())
        };
        let files = files::read(&self.config()).map_err(|errors| {
            Trouble::unexpected("the library", format!("{errors:?}").as_bytes())
        })?;
        let defaults = Defaults::below(self.directory.path(), self.directory.path());
        let config = Config::parse(&files, Mode::User, defaults).map_err(|error| said(&error))?;
        let place =
            Place { database: config.daemon.state.clone(), credentials: None, boot_id: boot_id()? };
        let mut store = Sqlite::open(&place).map_err(|error| said(&error))?;
        let issued = issued(accounts.tokens);
        let changes = config.accounts.iter().map(|(account, settings)| {
            Change::Account(Write::Commit {
                account: account.clone(),
                grant: Arc::new(grant(account.as_str(), accounts.refresh_token)),
                issued,
                now: issued,
                lineage: settings.provider.profile().lineage.clone(),
                stake: Stake::Current,
                standing: Standing::default(),
            })
        });
        let mut changes = changes.collect::<Vec<_>>();
        while !changes.is_empty() {
            let rest = changes.split_off(changes.len().min(Store::BATCH));
            for answer in store.write(std::mem::replace(&mut changes, rest)) {
                answer.map_err(|error| said(&error))?;
            }
        }
        Ok(())
    }
}

/// Name of the account with that number.
pub(crate) fn name(number: usize) -> String {
    format!("a{number:05}")
}

fn issued(tokens: Tokens) -> Now {
    let now = clock::now();
    match tokens {
        Tokens::Good => now,
        Tokens::Expired => Now { boot: now.boot.before(LIFETIME), wall: now.wall.before(LIFETIME) },
    }
}

fn grant(account: &str, refresh_token: &str) -> Grant {
    let tokens = TokenSet {
        access: Secret::new(format!("{account:.<TOKEN$}")),
        id: None,
        token_type: "Bearer".into(),
        scope: None,
    };
    Grant {
        tokens: Arc::new(tokens),
        refresh_token: Some(Secret::new(refresh_token)),
        lifetime: LIFETIME,
        refresh_lifetime: None,
        aws: None,
        subject: None,
    }
}

/// The kernel's id of this boot, as the daemon reads it.
fn boot_id() -> Result<String, Trouble> {
    let mut id = String::new();
    File::open("/proc/sys/kernel/random/boot_id")
        .and_then(|file| file.take(64).read_to_string(&mut id))
        .map_err(Trouble::system("cannot read the id of this boot"))?;
    Ok(id.trim().to_owned())
}
