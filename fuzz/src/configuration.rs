//! A configuration: one file, or several with `%%` between two.
//!
//! Promises: a file that is read twice means the same; a complaint steers no terminal, there are
//! no more of them than are of use, and a secret in the place of a reference is not repeated;
//! what is valid has a host, asks at least once, and names its places by absolute paths.

use std::path::Path;

use tokenkeeper::config::Config;
use tokenkeeper::config::File;
use tokenkeeper::config::Invalid;
use tokenkeeper::config::daemon::Defaults;
use tokenkeeper::section::Mode;
use tokenkeeper::time::spoken;

use super::hygiene;
use super::hygiene::OWN;
use super::input;

/// The most lines that a person is told at once, the one that counts the others included.
const MOST_LINES: usize = 201;

/// Reads the input as a configuration.
pub fn run(input: &[u8]) {
    let files = input::parts(input).into_iter().enumerate().map(|(index, text)| File {
        name: format!("{index}.toml"),
        text: String::from_utf8_lossy(text).into_owned(),
    });
    let mut files = files.collect::<Vec<_>>();
    let valid = [Mode::System, Mode::User].map(|mode| match parse(&files, mode) {
        Ok(config) => {
            valid(&config);
            let again = parse(&files, mode).unwrap_or_else(|invalid| panic!("{invalid}"));
            let prints = |config: &Config| {
                let accounts = config.accounts.iter();
                accounts.map(|(id, it)| (id.clone(), it.fingerprint)).collect::<Vec<_>>()
            };
            assert_eq!(prints(&config), prints(&again), "it reads differently the second time");
            true
        }
        Err(invalid) => {
            complaints(&invalid);
            false
        }
    });

    // A secret where a reference belongs is an error of its own, beside all others.
    files.push(File {
        name: "secret.toml".into(),
        text: format!("[accounts.xx-canary]\nprovider = 'navien'\npassword = '{OWN}'\n"),
    });
    let refused = parse(&files, Mode::System).err().expect("a literal secret is refused");
    assert!(!format!("{refused} {refused:?}").contains(OWN), "a secret shows: {refused}");
    assert!(!valid[0] || refused.to_string().contains("xx-canary"), "{refused}");
}

fn parse(files: &[File], mode: Mode) -> Result<Config, Invalid> {
    let defaults = match mode {
        Mode::System => Defaults::system(),
        Mode::User => Defaults::below(Path::new("/run/user/1000"), Path::new("/home/p/.local")),
    };
    Config::parse(files, mode, defaults)
}

fn valid(config: &Config) {
    for warning in &config.warnings {
        hygiene::legible(&warning.to_string());
    }
    for (id, account) in &config.accounts {
        let profile = account.provider.profile();
        assert!(!profile.host.is_empty(), "{id} has no host");
        assert!(profile.requests >= 1, "{id} asks nobody");
        assert!(!profile.default_lifetime().is_zero(), "{id} has tokens of no lifetime");
        hygiene::legible(&spoken(account.plan.alarm_before));
    }
    for socket in &config.listen {
        assert!(socket.path.is_absolute(), "{}", socket.path.display());
        assert_eq!(socket.mode & !0o777, 0, "{:o}", socket.mode);
    }
    assert!(config.daemon.socket.is_absolute() && config.daemon.state.is_absolute());
}

fn complaints(invalid: &Invalid) {
    assert!(!invalid.complaints.is_empty(), "it is invalid and nothing is wrong with it");
    let text = invalid.to_string();
    assert!(text.lines().count() <= MOST_LINES, "{text}");
    for complaint in invalid.complaints.iter().take(MOST_LINES) {
        hygiene::legible(&complaint.to_string());
    }
}
