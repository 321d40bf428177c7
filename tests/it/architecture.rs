//! Rules about the source text: which module may know which, and who touches the outside.
//!
//! A rule that is broken is broken on purpose or by mistake. Either way the diff of this file is
//! where it is talked about.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use tokenkeeper::provider::PROVIDERS;

/// Modules from the inside out; each may use only those before it.
const MODULES: &[&str] = &[
    "time",
    "name",
    "token",
    "error",
    "plan",
    "schedule",
    "budget",
    "record",
    "snapshot",
    "notice",
    "message",
    "policy",
    "hook",
    "unit",
    "access",
    "limits",
    "backup",
    "spelling",
    "section",
    "provider",
    "config",
    "lifecycle",
    "pacing",
    "protocol",
    "wording",
    // The engine.
    "keeper",
    "asking",
    "threshold",
    "residue",
    "metrics",
    "hooks",
    "supervisor",
    "logins",
    // Adapters: one outside thing each.
    "clock",
    "random",
    "apart",
    "regular",
    "attest",
    "files",
    "names",
    "http",
    "programs",
    "spool",
    "secret",
    "envelope",
    "store",
    "activation",
    "front",
    "bus",
    "credential",
    "harden",
    "log",
    "notify",
    "signals",
    // Everything put together.
    "daemon",
];

/// Modules up to this one decide and do not act, so they name none of [`EFFECTS`].
const LAST_PURE: &str = "wording";

/// Modules up to this one carry out decisions, and touch the outside only through adapters.
const LAST_OF_ENGINE: &str = "logins";

/// What a decision must not name: runtimes, the system, clocks, chance, the network, the disk.
const EFFECTS: &[&str] = &[
    "tokio::",
    "tracing::",
    "std::env::",
    "std::fs::",
    "std::net::TcpStream",
    "std::os::",
    "std::process::",
    "std::thread::",
    "Instant::now",
    "SystemTime",
    "reqwest::",
    "zbus::",
    "hyper::",
    "rusqlite::",
    "rustix::",
    "nix::",
    "getrandom::",
    "age::",
    "signal_hook::",
    "sd_notify::",
];

/// What only some modules may name, and where that is.
const OWNED: &[(&str, &[&str])] = &[
    ("reqwest::", &["http"]),
    ("rusqlite::", &["store"]),
    ("getrandom::", &["random"]),
    // It draws its keys by itself.
    ("age::", &["envelope"]),
    ("clock_gettime", &["clock"]),
    // The client reads in its errors whether a request was sent.
    ("hyper::", &["front", "http"]),
    ("zbus::", &["bus"]),
    ("signal_hook::", &["signals"]),
    ("sd_notify::", &["activation", "notify"]),
    ("listenfd::", &["activation"]),
    ("std::net::TcpStream", &[]),
    ("std::net::TcpListener", &[]),
    ("tokio::net::TcpStream", &[]),
    ("tokio::net::TcpListener", &[]),
    ("std::process::Command", &[]),
    ("tokio::process::", &["programs"]),
];

#[test]
fn modules_look_inwards_only() {
    let mut broken = Vec::new();
    for (rank, module) in MODULES.iter().enumerate() {
        let code = production_code(module);
        let outer = MODULES.iter().skip(rank + 1).filter(|outer| uses(&code, outer));
        broken.extend(outer.map(|outer| format!("{module} uses {outer}")));
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn decisions_name_no_effect() {
    let mut broken = Vec::new();
    for module in MODULES.iter().take(position(LAST_PURE) + 1) {
        let code = production_code(module);
        let named = EFFECTS.iter().filter(|effect| names(&code, effect));
        broken.extend(named.map(|effect| format!("{module} names {effect}")));
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn what_touches_the_outside_is_in_one_place() {
    let mut broken = Vec::new();
    for module in MODULES {
        let code = production_code(module);
        let stray =
            OWNED.iter().filter(|(what, owners)| !owners.contains(module) && names(&code, what));
        broken.extend(stray.map(|(what, _)| format!("{module} names {what}")));
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// One name for each thing, so that a search for it finds where it is defined.
#[test]
fn nothing_is_exported_from_a_second_place() {
    let second = |line: &&str| {
        let line = line.trim_start();
        line.starts_with("pub use ") || (line.starts_with("pub(") && line.contains(") use "))
    };
    let mut broken = Vec::new();
    for module in MODULES {
        let code = production_code(module);
        broken.extend(code.lines().filter(second).map(|line| format!("{module}: {line}")));
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn only_the_daemon_puts_adapters_together() {
    /// How a file is opened, how one waits for what may hang, and how a process is held: tools of
    /// adapters, and no adapters themselves.
    const TOOLS: &[&str] = &["apart", "regular", "attest"];

    let adapters = &MODULES[position(LAST_OF_ENGINE) + 1..position("daemon")];
    for module in adapters {
        let code = production_code(module);
        let used = adapters
            .iter()
            .filter(|other| *other != module && !TOOLS.contains(other) && uses(&code, other));
        let used = used.collect::<Vec<_>>();
        assert!(used.len() <= 1, "{module} puts together {used:?}");
    }
}

/// What a program links is mapped, relocated and paged in at each of its starts, and `tokenctl get`
/// is started for every token.
#[test]
fn the_client_reaches_no_module_that_brings_a_database_a_runtime_or_a_network() {
    const HEAVY: &[&str] = &["store", "programs", "http", "front", "bus", "daemon"];

    let mut client = String::new();
    gather(Path::new("src/bin/tokenctl/main.rs"), &mut client);
    assert!(client.contains("struct Cli"), "the modules of tokenctl are not found");
    let named = |module: &&str| names(&client, &format!("tokenkeeper::{module}"));
    let mut reached = MODULES.iter().copied().filter(named).collect::<BTreeSet<_>>();
    assert!(reached.contains("protocol"), "{reached:?}");
    // A module uses only those before it, so one walk from the outside in finds all.
    for module in MODULES.iter().rev() {
        if reached.contains(module) {
            let code = production_code(module);
            reached.extend(MODULES.iter().filter(|inner| uses(&code, inner)));
        }
    }
    let heavy = HEAVY.iter().filter(|module| reached.contains(*module)).collect::<Vec<_>>();
    assert!(heavy.is_empty(), "tokenctl reaches {heavy:?}");
}

#[test]
fn every_module_has_its_place() {
    let lib = text(Path::new("src/lib.rs"));
    let declared = lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    let listed = MODULES.iter().copied().collect::<BTreeSet<_>>();
    assert_eq!(declared.collect::<BTreeSet<_>>(), listed);
    assert_eq!(listed.len(), MODULES.len(), "a module is listed twice");
}

#[test]
fn every_provider_is_registered() {
    /// What lies beside the providers without being one.
    const SHARED: &[&str] = &[
        "address", "answer", "ask", "call", "deed", "fault", "jwt", "lifetime", "login", "member",
        "place", "salvage", "silent", "testing",
    ];

    let files = fs::read_dir(root().join("src/provider")).unwrap();
    let files = files.filter_map(|entry| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        Some(name.strip_suffix(".rs")?.to_owned()).filter(|name| !SHARED.contains(&name.as_str()))
    });
    let code = production_code("provider");
    for provider in files {
        let row = format!("{provider}::configure)");
        assert!(code.contains(&row), "{provider} has no row in PROVIDERS");
    }
    let names = PROVIDERS.iter().map(|(name, _)| *name).collect::<Vec<_>>();
    assert!(names.is_sorted(), "{names:?}");
}

/// A module's own text and that of the modules inside it, without tests and comments.
fn production_code(module: &str) -> String {
    let mut code = String::new();
    gather(&root().join(format!("src/{module}.rs")), &mut code);
    assert!(!code.is_empty(), "{module} has no code");
    code
}

fn gather(file: &Path, code: &mut String) {
    let text = text(file);
    let inside = match file.file_name() {
        Some(name) if name == "main.rs" => file.with_file_name(""),
        _ => file.with_extension(""),
    };
    let mut test_only = false;
    for line in text.lines() {
        let declared = line.trim_start_matches("pub").trim_start_matches("(crate)");
        let declared = declared.trim_start_matches("(super)").trim_start();
        if line == "#[cfg(test)]" {
            test_only = true;
        } else if test_only && declared.starts_with("mod ") && line.ends_with('{') {
            // Tests stand at the end of their file.
            return;
        } else if let Some(inner) =
            declared.strip_prefix("mod ").and_then(|it| it.strip_suffix(';'))
        {
            if !test_only {
                gather(&inside.join(format!("{inner}.rs")), code);
            }
            test_only = false;
        } else {
            test_only = false;
            if !line.trim_start().starts_with("//") {
                code.push_str(line);
                code.push('\n');
            }
        }
    }
}

fn uses(code: &str, module: &str) -> bool {
    names(code, &format!("crate::{module}"))
}

/// Whether `what` stands there as a whole word.
fn names(code: &str, what: &str) -> bool {
    let part = |character: char| character.is_alphanumeric() || character == '_';
    code.match_indices(what).any(|(at, _)| {
        let before = code[..at].chars().next_back().is_some_and(part);
        let after = code[at + what.len()..].chars().next().is_some_and(part);
        !before && (!after || what.ends_with("::"))
    })
}

fn position(module: &str) -> usize {
    MODULES.iter().position(|other| *other == module).unwrap()
}

fn text(path: &Path) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
