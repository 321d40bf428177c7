//! `[[hooks]]` and `[[accounts.NAME.hooks]]`: what is called when something happens.
//!
//! The tables are the same. Those of the file itself are about every account and come first;
//! an account's own follow, in the order in which they are written.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::listen::read_mode;
use crate::hook::Deed;
use crate::hook::Hook;
use crate::hook::Manager;
use crate::hook::Role;
use crate::hook::Template;
use crate::limits;
use crate::name::AccountId;
use crate::notice::EventName;
use crate::section::Mode;
use crate::section::Section;
use crate::section::complaint::Complaint;
use crate::section::complaint::Place;
use crate::section::complaint::Problem;
use crate::section::complaint::Report;
use crate::section::value::Value;

/// What both kinds of tables are called where something else stands.
pub(super) const TABLES: &str = "[[hooks]] tables";

/// A hook that nobody has compared with the others of its accounts yet.
#[derive(Clone)]
pub(super) struct Draft {
    hook: Arc<Hook>,
    /// Where its name stands.
    name: (Place, Box<str>),
}

impl Draft {
    /// Reads one table.
    pub(super) fn read(value: &Value<'_>) -> Option<Self> {
        let mut section = value.section("a table")?;
        let name = section.value("name");
        if name.is_none() {
            section.missing("name", NAME);
        }
        let on = section.value("on");
        if on.is_none() {
            section.missing("on", EVENTS);
        }
        let name = name.and_then(|name| Some((name.here(), read_name(&name)?)));
        let on = on.and_then(|on| read_events(&on));
        let deed = read_deed(&mut section, on.as_deref());
        section.finish();
        let (place, name) = name?;
        Some(Self { hook: Arc::new(Hook { name, on: on?, deed: deed? }), name: place })
    }
}

/// Reads the tables of one list.
pub(super) fn read_all(value: &Value<'_>) -> Vec<Draft> {
    let items = value.list(TABLES).unwrap_or_default();
    items.iter().filter_map(Draft::read).collect()
}

/// The hooks of an account: `general`, which are those of all accounts, then its `own`. Complains
/// of what is wrong with its own only beside the others.
pub(super) fn conclude(general: &[Arc<Hook>], own: &[Draft], report: &Report) -> Arc<[Arc<Hook>]> {
    let mut hooks = general.to_vec();
    for Draft { hook, name: (place, key) } in own {
        let complain = |rule: String| {
            report.error(Complaint {
                place: Some(place.clone()),
                key: key.clone(),
                problem: Problem::Rule(rule.into()),
            });
        };
        if hooks.iter().any(|other| other.name == hook.name) {
            complain("another hook of the same accounts has this name".to_owned());
        }
        if hook.is_gate() && hooks.iter().any(|other| other.is_gate()) {
            complain("an account has one gate at the most, and this is its second".to_owned());
        }
        if hooks.len() == limits::HOOKS {
            complain(format!("an account has {} hooks at the most", limits::HOOKS));
        }
        hooks.push(Arc::clone(hook));
    }
    hooks.into()
}

const NAME: &str = "a name: 1 to 40 of a-z, 0-9, \"_\" and \"-\", first a letter or a digit";

fn read_name(value: &Value<'_>) -> Option<Box<str>> {
    // The rule for the names of accounts is a good one.
    match AccountId::parse(value.text(NAME)?) {
        Ok(name) => Some(name.as_str().into()),
        Err(_) => {
            value.complain(Problem::Value { expected: NAME.into(), nearest: None });
            None
        }
    }
}

const EVENTS: &str = "a list of events such as [\"token_changed\", \"alarm\"]";

fn read_events(value: &Value<'_>) -> Option<Box<[EventName]>> {
    let items = value.list(EVENTS)?;
    if items.is_empty() {
        value.complain(Problem::Kind { expected: EVENTS.into(), found: "an empty list" });
        return None;
    }
    let words = Hook::EVENTS.iter().map(|event| (event.as_str(), *event)).collect::<Vec<_>>();
    // Every word is looked at before the first wrong one ends it.
    let events = items.iter().map(|item| item.choice(&words)).collect::<Vec<_>>();
    events.into_iter().collect()
}

fn read_deed(section: &mut Section<'_>, on: Option<&[EventName]>) -> Option<Deed> {
    let command = section.value("command");
    let unit = section.value("unit");
    let directory = section.value("directory");
    let mode = section.value("mode");
    let timeout = section.value("timeout");
    let token = section.value("token");
    let gate = section.value("gate");
    let without_command = |values: &[&Option<Value<'_>>]| {
        for value in values.iter().copied().flatten() {
            let rule = "it means nothing without a command".into();
            value.complain_of_key(Problem::Rule(rule));
        }
    };
    if let (Some(mode), None) = (&mode, &directory) {
        mode.complain_of_key(Problem::Rule("it means nothing without a directory".into()));
    }
    match (command, unit, directory) {
        (Some(command), None, None) => {
            let role = read_role(token.as_ref(), gate.as_ref(), on);
            let longest = match role {
                Some(Role::Gate) => Hook::LONGEST_GATE,
                Some(Role::Follower | Role::Bearer) | None => Hook::LONGEST_TIMEOUT,
            };
            let timeout = read_timeout(timeout.as_ref(), longest);
            let argv = command.argv()?.into();
            Some(Deed::Run { argv, timeout: timeout?, role: role? })
        }
        (None, Some(unit), None) => {
            without_command(&[&token, &gate]);
            let timeout = read_timeout(timeout.as_ref(), Hook::LONGEST_TIMEOUT);
            let manager = match unit.mode() {
                Mode::System => Manager::Host,
                Mode::User => Manager::User,
            };
            Some(Deed::Start { template: read_template(&unit)?, manager, timeout: timeout? })
        }
        (None, None, Some(directory)) => {
            without_command(&[&timeout, &token, &gate]);
            let mode = mode.map_or(Some(Hook::FILE_MODE), |mode| read_mode(&mode));
            let directory = Path::new(directory.path(limits::PATH)?).into();
            Some(Deed::File { directory, mode: mode? })
        }
        _ => {
            let rule = "expected exactly one of command = [\"/PROGRAM\"], \
                        unit = \"NAME@.service\" and directory = \"/PATH\"";
            section.complain(Problem::Rule(rule.into()));
            None
        }
    }
}

fn read_template(unit: &Value<'_>) -> Option<Template> {
    const EXPECTED: &str = "a template of units such as \"tokenkeeper-hook@.service\"";

    let template = Template::parse(unit.text(EXPECTED)?);
    if template.is_none() {
        unit.complain(Problem::Value { expected: EXPECTED.into(), nearest: None });
    }
    template
}

fn read_role(
    token: Option<&Value<'_>>,
    gate: Option<&Value<'_>>,
    on: Option<&[EventName]>,
) -> Option<Role> {
    let wants = |value: Option<&Value<'_>>| value.map_or(Some(false), Value::flag);
    let (token_is_wanted, is_gate) = (wants(token)?, wants(gate)?);
    // What it is called about may be wrong itself, which is told already.
    let only = |event| on.is_none_or(|on| on == [event]);
    let refuse = |value: Option<&Value<'_>>, rule: &'static str| {
        value?.complain(Problem::Rule(rule.into()));
        None
    };
    match (token_is_wanted, is_gate) {
        (false, false) => Some(Role::Follower),
        (true, _) if !only(EventName::TokenChanged) => {
            refuse(token, "the token comes with on = [\"token_changed\"] alone")
        }
        (true, false) => Some(Role::Bearer),
        (_, true) if !only(EventName::RefreshStarted) => {
            refuse(gate, "a gate is asked with on = [\"refresh_started\"] alone")
        }
        (_, true) => Some(Role::Gate),
    }
}

fn read_timeout(value: Option<&Value<'_>>, longest: Duration) -> Option<Duration> {
    let Some(value) = value else { return Some(Hook::TIMEOUT) };
    let span = value.span()?;
    if span.is_zero() || span > longest {
        let rule = format!("expected a duration from \"1s\" to \"{}s\"", longest.as_secs());
        value.complain(Problem::Rule(rule.into()));
        return None;
    }
    Some(span)
}
