//! Holds the completion scripts of the shells to the programs.
//!
//! Those of `tokenctl` ask the program, which knows its verbs and options; that it knows them is
//! tested beside it. Here is that what it says arrives. Those of `tokenkeeperd` list its options.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// Has bash complete a command line: completes the last word, and prints what it found.
const COMPLETE: &str = r#"
compopt() { printf 'option %s\n' "$@"; }
source "packaging/completions/$1.bash"
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
"_$1"
if ((${#COMPREPLY[@]})); then printf '%s\n' "${COMPREPLY[@]}"; fi
"#;

#[test]
fn bash_completes_verbs_options_values_and_files() {
    #[rustfmt::skip]
    let cases = [
        ("tokenctl|rep",                 "report"),
        ("tokenctl|help|secret|",        "set forget"),
        ("tokenctl|get|mail|--min",      "--min-ttl"),
        ("tokenctl|get|--format|",       "raw json header aws"),
        ("tokenctl|get|--format|=",      "raw json header aws"),
        ("tokenctl|get|--format|=|he",   "header"),
        ("tokenctl|restore|",            "option -o option default option -o option filenames"),
        // No daemon runs, and a Tab is no place for a message.
        ("tokenctl|--socket|/none|get|", ""),
        ("tokenkeeperd|--c",             "--config --check"),
        ("tokenkeeperd|--re",            "--rekey --recovery-recipient --recovery-output"),
        ("tokenkeeperd|--recovery-output|", "option -o option default option -o option filenames"),
        ("tokenkeeperd|--config|",       "option -o option default option -o option filenames"),
    ];
    for (line, expected) in cases {
        let words = line.split('|').collect::<Vec<_>>();
        assert_eq!(bash(&words), expected, "{line}");
    }
}

/// Its reference is text with lines of its own.
#[test]
fn the_help_of_the_scripted_provider_is_not_wrapped_again() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tokenkeeper-idp"));
    let help = command.arg("--help").env("COLUMNS", "60").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let reference = include_str!("../../src/bin/tokenkeeper-idp/reference.md");
    assert!(help.contains(reference.trim_end()), "{help}");
}

#[test]
fn the_scripts_of_the_daemon_know_its_options_and_no_others() {
    let help = Command::new(env!("CARGO_BIN_EXE_tokenkeeperd")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let rows = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    let options = rows.flat_map(|row| row.split([' ', ',', '<']));
    let options = options.filter_map(|word| word.strip_prefix("--")).collect::<BTreeSet<_>>();
    assert!(options.len() > 4, "{help}");

    let fish = include_str!("../../packaging/completions/tokenkeeperd.fish").split(' ');
    let fish = fish.clone().zip(fish.skip(1)).filter(|(word, _)| *word == "--long-option");
    assert_eq!(fish.map(|(_, name)| name).collect::<BTreeSet<_>>(), options);
    for script in ["bash", "zsh"] {
        let text = std::fs::read_to_string(format!("packaging/completions/tokenkeeperd.{script}"));
        let text = text.unwrap();
        let code = text.lines().filter(|line| !line.starts_with('#'));
        let words = code.flat_map(|line| line.split([' ', '\'', '[', '{', '}', ',', ']']));
        let named =
            words.filter_map(|word| word.strip_prefix("--")).filter(|word| !word.is_empty());
        assert_eq!(named.collect::<BTreeSet<_>>(), options, "{script}");
    }
}

/// What bash finds, in one line.
fn bash(words: &[&str]) -> String {
    let programs = Path::new(env!("CARGO_BIN_EXE_tokenctl")).parent().unwrap();
    let mut command = Command::new("bash");
    command.args(["-c", COMPLETE, "bash"]).args(words).env("PATH", path(programs));
    let output = command.env_remove("TOKENKEEPER_SOCKET").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{words:?}");
    String::from_utf8(output.stdout).unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The search path, with the programs under test before all others.
fn path(first: &Path) -> std::ffi::OsString {
    let rest = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&rest).collect::<Vec<_>>();
    std::env::join_paths([first.to_owned()].into_iter().chain(folders)).unwrap()
}
