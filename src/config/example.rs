//! Holds `config.example.toml` and the code together.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use toml::Table;
use toml::Value;

use super::Config;
use super::File;
use super::Invalid;
use super::daemon::Defaults;
use crate::section::Mode;
use crate::section::complaint::Problem;

const EXAMPLE: &str = include_str!("../../config.example.toml");

/// A key that nothing asks for and that is spelt like none.
const STRANGE: &str = "qqqq";

#[test]
fn the_example_is_valid_as_it_is_and_with_every_key_switched_on() {
    for text in [EXAMPLE.to_owned(), switched_on()] {
        match parse(&text) {
            Ok(config) => assert!(config.warnings.is_empty(), "{:?}\n{text}", config.warnings),
            Err(invalid) => panic!("{invalid}\n{text}"),
        }
    }
}

/// Each table gets a strange key, so that its complaint lists the keys that the code asks for.
#[test]
fn the_example_has_every_key_that_the_code_asks_for() {
    let mut tree = switched_on().parse::<Table>().unwrap();
    let mut written = BTreeMap::new();
    plant(&mut tree, "", &mut written);
    let invalid = parse(&tree.to_string()).err().expect("the strange keys are complained of");

    let mut asked = BTreeMap::<String, BTreeSet<String>>::new();
    for complaint in &invalid.complaints {
        let Problem::Unknown { known } = &complaint.problem else { panic!("{complaint}") };
        let table = shape(complaint.key.strip_suffix(STRANGE).unwrap().trim_end_matches('.'));
        let keys = known.split('"').skip(1).step_by(2).map(str::to_owned);
        asked.entry(table).or_default().extend(keys);
    }
    // A reference has one of its keys at a time; the others stand in the sentence above it.
    for secret in ["accounts.*.client_secret", "accounts.*.password"] {
        let reference = asked.remove(secret).unwrap();
        for key in reference {
            assert!(EXAMPLE.contains(&format!("{{ {key} = ")), "{key}");
        }
        written.remove(secret);
    }
    let reference = asked.remove("accounts.*.secrets.private_key").unwrap();
    assert!(reference.contains("file"), "{reference:?}");
    written.remove("accounts.*.secrets.private_key");
    // Names and parameters are the administrator's.
    written.remove("accounts");
    written.remove("accounts.*.context");
    written.remove("accounts.*.secrets");
    written.remove("accounts.*.secrets.password");
    written.remove("accounts.*.token_params");
    written.remove("accounts.*.auth_params");
    assert_eq!(written, asked);
}

#[test]
fn the_defaults_that_the_example_names_are_the_defaults() {
    let stated = parse(&switched_on()).ok().unwrap();
    let silent = parse(EXAMPLE).ok().unwrap();
    assert_eq!(stated.daemon.socket, silent.daemon.socket);
    assert_eq!(stated.daemon.state, silent.daemon.state);
    assert_eq!(stated.daemon.log, silent.daemon.log);
    assert_eq!(stated.daemon.dbus, silent.daemon.dbus);
    assert_eq!(stated.daemon.credentials, silent.daemon.credentials);
    assert_eq!(stated.daemon.alarm_before, silent.daemon.alarm_before);
    assert_eq!(stated.daemon.expiry_ahead, silent.daemon.expiry_ahead);
    for name in ["mail", "ci", "nas", "heatpump", "pool", "boiler", "plugs"] {
        let (stated, silent) = (&stated.accounts[name], &silent.accounts[name]);
        assert_eq!(stated.plan.rotation, silent.plan.rotation, "{name}");
        assert_eq!(stated.plan.alarm_before, silent.plan.alarm_before, "{name}");
        assert_eq!(stated.plan.on_refresh_failure, silent.plan.on_refresh_failure, "{name}");
        let (stated, silent) = (stated.provider.profile(), silent.provider.profile());
        assert_eq!(stated.default_kind, silent.default_kind, "{name}");
        assert_eq!(stated.header(), silent.header(), "{name}");
        assert_eq!(stated.host, silent.host, "{name}");
        assert_eq!(stated.secrets, silent.secrets, "{name}");
    }
    let boiler = |config: &Config| config.accounts["boiler"].provider.profile().clone();
    assert_eq!(boiler(&stated).lineage, boiler(&silent).lineage);
    assert_eq!(boiler(&stated).aws, boiler(&silent).aws);
    let plugs = |config: &Config| config.accounts["plugs"].provider.profile().clone();
    let slots = |config| plugs(config).sign_in.unwrap().into_iter().map(|(slot, _)| slot);
    assert!(slots(&stated).eq(slots(&silent)));

    let short = switched_on().replace("rights = [\"read\", \"report\"]\n", "");
    let short = short.replace("mode = \"0666\"\n", "");
    assert_eq!(parse(&short).ok().unwrap().listen, stated.listen);
}

/// Each value of the example is replaced by each kind of thing in turn.
#[test]
fn no_message_ever_quotes_a_value() {
    let tree = switched_on().parse::<Table>().unwrap();
    let count = leaves(&mut Value::Table(tree.clone()), &mut |_, _| ());
    let wrong = [
        Value::String("s3cr3t".into()),
        Value::String("s3cr3t\n".into()),
        Value::String("http://s3cr3t:s3cr3t@127.0.0.1/#s3cr3t".into()),
        Value::Integer(471_147),
        Value::Float(471_147.5),
        Value::Boolean(true),
        Value::Array(vec![Value::String("s3cr3t".into()), Value::Integer(471_147)]),
        Value::Table(Table::from_iter([("credential".to_owned(), Value::Integer(471_147))])),
    ];
    let mut refused = 0;
    for target in 0..count {
        for wrong in &wrong {
            let mut tree = Value::Table(tree.clone());
            leaves(&mut tree, &mut |index, value| {
                if index == target {
                    *value = wrong.clone();
                }
            });
            let Err(invalid) = parse(&tree.to_string()) else { continue };
            refused += 1;
            let text = invalid.to_string();
            assert!(!text.contains("s3cr3t") && !text.contains("471147"), "{text}");
        }
    }
    assert!(refused > 4 * count, "{refused} of {count} values were refused in some form");
}

proptest::proptest! {
    #[test]
    fn a_damaged_file_is_a_configuration_or_an_error_and_never_a_panic(
        from in 0_usize..8_000, len in 0_usize..40, noise in "[ -~\\n\"'\\[\\]{}=#é]{0,20}",
    ) {
        let mut text = switched_on().chars().collect::<Vec<_>>();
        let from = from.min(text.len());
        let to = (from + len).min(text.len());
        text.splice(from..to, noise.chars());
        let text = text.into_iter().collect::<String>();
        if let Err(invalid) = parse(&text) {
            assert!(!invalid.complaints.is_empty());
        }
    }
}

/// The example with every key in it that is commented out.
fn switched_on() -> String {
    let mut text = String::new();
    for line in EXAMPLE.lines() {
        let on = line.strip_prefix('#').filter(|rest| {
            rest.starts_with(|first: char| first.is_ascii_lowercase() || first == '[')
        });
        text.push_str(on.unwrap_or(line));
        text.push('\n');
    }
    text
}

fn parse(text: &str) -> Result<Config, Invalid> {
    let file = File { name: "config.toml".into(), text: text.into() };
    let defaults = Defaults::system();
    Config::parse(&[file], Mode::System, defaults)
}

/// Notes the keys of each table and adds a strange one.
fn plant(table: &mut Table, path: &str, written: &mut BTreeMap<String, BTreeSet<String>>) {
    written.entry(shape(path)).or_default().extend(table.keys().cloned());
    for (key, value) in table.iter_mut() {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        if let Value::Table(table) = value {
            plant(table, &path, written);
        } else if let Value::Array(items) = value {
            for item in items.iter_mut().filter_map(Value::as_table_mut) {
                plant(item, &format!("{path}[0]"), written);
            }
        }
    }
    const FREE: &[&str] =
        &["auth_params", "token_params", "context", "secrets", "secrets.password"];
    if path != "accounts" && !FREE.iter().any(|free| path.ends_with(free)) {
        table.insert(STRANGE.into(), Value::Boolean(true));
    }
}

/// A path without the parts that are names and numbers. The tables of an account's hooks are
/// those of everybody's.
fn shape(path: &str) -> String {
    if path.starts_with("accounts.") && path.contains(".hooks[") {
        return "hooks".to_owned();
    }
    let parts = path.split('.').enumerate().map(|(depth, part)| {
        if depth == 1 && path.starts_with("accounts.") {
            return "*".to_owned();
        }
        part.split('[').next().unwrap().to_owned()
    });
    parts.collect::<Vec<_>>().join(".")
}

/// Visits every value that is no table, and says how many there are.
fn leaves(value: &mut Value, visit: &mut impl FnMut(usize, &mut Value)) -> usize {
    fn walk(value: &mut Value, count: &mut usize, visit: &mut impl FnMut(usize, &mut Value)) {
        if let Value::Table(table) = value {
            table.iter_mut().for_each(|(_, value)| walk(value, count, visit));
        } else {
            if let Value::Array(items) = value {
                items.iter_mut().for_each(|item| walk(item, count, visit));
            }
            visit(*count, value);
            *count += 1;
        }
    }
    let mut count = 0;
    walk(value, &mut count, visit);
    count
}
