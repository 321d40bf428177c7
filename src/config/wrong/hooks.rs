//! What is wrong about hooks.

/// Files, and all that is said of each.
#[rustfmt::skip]
pub(super) const IN_A_FILE: &[(&str, &[&str])] = &[
    ("[accounts.mail]\nprovider = \"google\"\nclient_id = \"x\"\n[[hooks]]\n", &[
        r#"config.toml:4:1: hooks[0].name: missing; expected a name: 1 to 40 of a-z, 0-9, "_" and "-", first a letter or a digit"#,
        r#"config.toml:4:1: hooks[0].on: missing; expected a list of events such as ["token_changed", "alarm"]"#,
        r#"config.toml:4:1: hooks[0]: expected exactly one of command = ["/PROGRAM"], unit = "NAME@.service" and directory = "/PATH""#,
    ]),
    ("[accounts.mail]\nprovider = \"google\"\nclient_id = \"x\"\n[hooks]\n", &[
        "config.toml:4:1: hooks: expected [[hooks]] tables, found a table",
    ]),
    ("[accounts.mail]\nprovider = \"google\"\nclient_id = \"x\"\n[[hooks]]\nname = \"A b\"\non = []\ncommand = [\"page\"]\ntimeout = \"61s\"\n", &[
        r#"config.toml:5:8: hooks[0].name: expected a name: 1 to 40 of a-z, 0-9, "_" and "-", first a letter or a digit"#,
        r#"config.toml:6:6: hooks[0].on: expected a list of events such as ["token_changed", "alarm"], found an empty list"#,
        "config.toml:7:12: hooks[0].command[0]: expected an absolute path",
        r#"config.toml:8:11: hooks[0].timeout: expected a duration from "1s" to "60s""#,
    ]),
    ("[accounts.mail]\nprovider = \"google\"\nclient_id = \"x\"\n[[hooks]]\nname = \"a\"\non = [\"token_change\", \"hook_failed\"]\ncommand = [\"/a\"]\ndirectory = \"/b\"\n", &[
        r#"config.toml:4:1: hooks[0]: expected exactly one of command = ["/PROGRAM"], unit = "NAME@.service" and directory = "/PATH""#,
        r#"config.toml:6:7: hooks[0].on[0]: expected "refresh_started", "token_changed", "refresh_failed", "alarm", "recovered", "expired", "expiry_ahead" or "state_changed"; did you mean "token_changed"?"#,
        r#"config.toml:6:23: hooks[0].on[1]: expected "refresh_started", "token_changed", "refresh_failed", "alarm", "recovered", "expired", "expiry_ahead" or "state_changed""#,
    ]),
    ("[accounts.mail]\nprovider = \"google\"\nclient_id = \"x\"\n[[hooks]]\nname = \"a\"\non = [\"alarm\"]\ndirectory = \"b\"\ntoken = true\ntimeout = \"1s\"\n", &[
        "config.toml:7:13: hooks[0].directory: expected an absolute path",
        "config.toml:8:1: hooks[0].token: it means nothing without a command",
        "config.toml:9:1: hooks[0].timeout: it means nothing without a command",
    ]),
    ("[accounts.mail]\nprovider = \"google\"\nclient_id = \"x\"\n[[hooks]]\nname = \"a\"\non = [\"alarm\"]\ndirectory = \"/b\"\nmode = \"0999\"\n[[hooks]]\nname = \"b\"\non = [\"alarm\"]\ncommand = [\"/a\"]\nmode = \"0644\"\n", &[
        r#"config.toml:8:8: hooks[0].mode: expected an octal mode in quotes such as "0660""#,
        "config.toml:13:1: hooks[1].mode: it means nothing without a directory",
    ]),
    ("[accounts.mail]\nprovider = \"google\"\nclient_id = \"x\"\n[[hooks]]\nname = \"a\"\non = [\"alarm\"]\nunit = \"a@b.service\"\ngate = true\ntimeout = \"61s\"\n", &[
        r#"config.toml:7:8: hooks[0].unit: expected a template of units such as "tokenkeeper-hook@.service""#,
        "config.toml:8:1: hooks[0].gate: it means nothing without a command",
        r#"config.toml:9:11: hooks[0].timeout: expected a duration from "1s" to "60s""#,
    ]),
    ("[accounts.mail]\nprovider = \"google\"\nclient_id = \"x\"\n[[hooks]]\nname = \"a\"\non = [\"token_changed\", \"alarm\"]\ncommand = [\"/a\"]\ntoken = true\n", &[
        r#"config.toml:8:9: hooks[0].token: the token comes with on = ["token_changed"] alone"#,
    ]),
    ("[accounts.mail]\nprovider = \"google\"\nclient_id = \"x\"\n[[hooks]]\nname = \"a\"\non = [\"alarm\"]\ncommand = [\"/a\"]\ngate = true\n", &[
        r#"config.toml:8:8: hooks[0].gate: a gate is asked with on = ["refresh_started"] alone"#,
    ]),
    ("[accounts.mail]\nprovider = \"google\"\nclient_id = \"x\"\n[[accounts.mail.hooks]]\nname = \"a\"\non = [\"refresh_started\"]\ncommand = [\"/a\"]\ngate = true\ntimeout = \"21s\"\n", &[
        r#"config.toml:9:11: accounts.mail.hooks[0].timeout: expected a duration from "1s" to "15s""#,
    ]),
    ("[accounts.mail]\nprovider = \"google\"\nclient_id = \"x\"\n[[hooks]]\nname = \"a\"\non = [\"refresh_started\"]\ncommand = [\"/a\"]\ngate = true\n[[accounts.mail.hooks]]\nname = \"a\"\non = [\"refresh_started\"]\ncommand = [\"/a\"]\ngate = true\n", &[
        "config.toml:10:8: accounts.mail.hooks[0].name: another hook of the same accounts has this name",
        "config.toml:10:8: accounts.mail.hooks[0].name: an account has one gate at the most, and this is its second",
    ]),
];
