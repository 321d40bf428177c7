//! The keys of an `exec` account.

use std::sync::Arc;
use std::time::Duration;

use super::Exec;
use super::Provider;
use crate::limits;
use crate::plan::Entry;
use crate::plan::Rotation;
use crate::provider::Profile;
use crate::provider::Transport;
use crate::provider::call::Callee;
use crate::provider::oauth2::GrantType;
use crate::provider::oauth2::settings::GRANTS;
use crate::provider::oauth2::settings::KINDS;
use crate::provider::oauth2::settings::parameter::read_header;
use crate::provider::oauth2::settings::parameter::read_lifetime;
use crate::provider::place;
use crate::record::Lineage;
use crate::section::SecretRef;
use crate::section::Section;
use crate::section::complaint::Problem;
use crate::section::value::Value;
use crate::token::Kind;

/// Every name that a secret of an `exec` account can have, sorted.
const SLOTS: &[&str] = &[
    "api_key",
    "certificate",
    "client_secret",
    "passphrase",
    "password",
    "pin",
    "private_key",
    "secret",
    "session",
    "totp_secret",
];

/// Most entries of `context`.
const MOST_CONTEXT: usize = 32;

/// The longest `timeout`: no exchange may take longer.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Reads the keys.
pub(super) fn configure(section: &mut Section<'_>) -> Option<Arc<dyn Provider>> {
    Some(Arc::new(read(section)?))
}

pub(super) fn read(section: &mut Section<'_>) -> Option<Exec> {
    let callee = read_callee(section);
    let grant = section.choice("grant", GRANTS).unwrap_or(GrantType::RefreshToken);
    let username = section.text("username", "the name of a user, a string");
    let context = section.value("context").map(|it| read_context(&it)).unwrap_or_default();
    let secrets = section.value("secrets").map(|it| read_secrets(&it)).unwrap_or_default();
    let limit = section.value("timeout").and_then(|value| read_timeout(&value));
    let default_lifetime = section.value("default_lifetime").and_then(|it| read_lifetime(&it));
    let header = section.value("header").and_then(|value| read_header(&value));
    let default_kind = section.choice("token", KINDS).unwrap_or(Kind::Access);
    let login = read_login(section, grant);

    let callee = callee?;
    let has_refresh_token = grant == GrantType::RefreshToken;
    let profile = Profile {
        name: "exec",
        host: callee.path().into(),
        client: username.unwrap_or_default().into(),
        lineage: lineage(&callee, username, grant, &context),
        has_refresh_token,
        rotation: if has_refresh_token { Rotation::Unknown } else { Rotation::Never },
        lifetime: default_lifetime,
        email: None,
        default_kind,
        header: header.map(Box::new),
        secrets,
        sign_in: login.then(Vec::new),
        entry: if login { Entry::Login } else { Entry::Import },
        aws: false,
        requests: 1,
        transport: Transport::default(),
    };
    Some(Exec {
        account: section.name().into(),
        callee,
        username: username.map(Box::from),
        context,
        limit,
        profile,
    })
}

fn read_callee(section: &mut Section<'_>) -> Option<Callee> {
    let command = section.value("command");
    let socket = section.value("socket");
    match (command, socket) {
        (Some(command), None) => Some(Callee::Program(command.argv()?.into())),
        (None, Some(socket)) => Some(Callee::Socket(socket.path(limits::SOCKET_PATH)?.into())),
        (Some(_), Some(socket)) => {
            let rule = "command and socket exclude each other; keep one of them";
            socket.complain_of_key(Problem::Rule(rule.into()));
            None
        }
        (None, None) => {
            section.missing("command", "command = [\"/PROGRAM\", …] or socket = \"/PATH\"");
            None
        }
    }
}

/// Whether the program logs in with the secrets alone.
fn read_login(section: &mut Section<'_>, grant: GrantType) -> bool {
    let Some(value) = section.value("login") else { return false };
    let login = value.flag().unwrap_or(false);
    if login && grant == GrantType::ClientCredentials {
        let rule = "the grant \"client_credentials\" needs no login; leave one of them out";
        value.complain_of_key(Problem::Rule(rule.into()));
    }
    login
}

/// Strings by name. What is named like a secret is refused: it would stand in the open here.
fn read_context(value: &Value<'_>) -> Vec<(Box<str>, Box<str>)> {
    let Some(section) = value.section("a table of strings") else { return Vec::new() };
    let mut context = Vec::new();
    for (name, value) in section.into_entries() {
        if name == "refresh_token" || SLOTS.contains(&name) {
            let rule = "a secret does not belong in the configuration; secrets = { … } says \
                        where one comes from";
            value.complain_of_key(Problem::Rule(rule.into()));
        } else if let Some(text) = value.text("a string") {
            context.push((name.into(), text.into()));
        }
    }
    if context.len() > MOST_CONTEXT {
        value.complain(Problem::Rule("more than 32 entries".into()));
    }
    context.sort_unstable();
    context
}

/// References by name. An empty table is the slot of that name in the store.
fn read_secrets(value: &Value<'_>) -> Vec<(&'static str, SecretRef)> {
    const EXPECTED: &str = "a table such as { password = {} }";

    let Some(section) = value.section(EXPECTED) else { return Vec::new() };
    let mut secrets = Vec::new();
    for (name, value) in section.into_entries() {
        let Some(slot) = SLOTS.iter().find(|slot| **slot == name) else {
            let rule = format!("no name of a secret; known are {}", SLOTS.join(", "));
            value.complain_of_key(Problem::Rule(rule.into()));
            continue;
        };
        let stored = value.is_table()
            && value.section(EXPECTED).is_some_and(|inner| inner.into_entries().is_empty());
        let reference = if stored { Some(SecretRef::Slot) } else { value.secret() };
        secrets.extend(reference.map(|reference| (*slot, reference)));
    }
    secrets
}

fn read_timeout(value: &Value<'_>) -> Option<Duration> {
    let span = value.span()?;
    if span.is_zero() || span > LONGEST_TIMEOUT {
        value.complain(Problem::Rule("expected a duration from \"1s\" to \"60s\"".into()));
        return None;
    }
    Some(span)
}

/// A refresh token is bound to the program that gave it, and to all that the program is told
/// about where it comes from.
fn lineage(
    callee: &Callee,
    username: Option<&str>,
    grant: GrantType,
    context: &[(Box<str>, Box<str>)],
) -> Lineage {
    let grant = match grant {
        GrantType::RefreshToken => "refresh_token",
        GrantType::ClientCredentials => "client_credentials",
    };
    let mut parts = vec!["exec", grant, username.unwrap_or_default()];
    match callee {
        Callee::Program(argv) => {
            parts.push("command");
            parts.extend(argv.iter().map(|word| &**word));
        }
        Callee::Socket(path) => parts.extend(["socket", path]),
    }
    parts.push("context");
    parts.extend(context.iter().flat_map(|(name, value)| [&**name, &**value]));
    place::lineage(&parts)
}
