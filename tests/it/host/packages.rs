//! What is in the built packages, without a machine.

use std::collections::BTreeSet;
use std::env;
use std::process::Command;

use crate::support::process::run;
use crate::support::process::said;
use crate::support::skipped;

/// What only the package of Debian has, and what only the other one has.
const OF_ONE: &[&str] = &[
    "/usr/share/doc/tokenkeeper/changelog.Debian",
    "/usr/share/doc/tokenkeeper/copyright",
    "/usr/share/licenses/tokenkeeper/LICENSE-APACHE",
    "/usr/share/licenses/tokenkeeper/LICENSE-MIT",
];

#[test]
fn the_package_for_rpm_has_the_tree_of_the_other_and_looks_after_its_units() {
    let packages = (env::var("TOKENKEEPER_TEST_PACKAGE"), env::var("TOKENKEEPER_TEST_RPM"));
    let (Ok(deb), Ok(rpm)) = packages else {
        skipped("no packages: tests/run host makes them");
        return;
    };
    let query = |what: &str| does(&["rpm", "--query", "--package", "--nosignature", what, &rpm]);

    let deb = does(&["dpkg-deb", "--contents", &deb]);
    let files = deb.lines().filter(|line| !line.starts_with('d'));
    let deb = tree(files.map(|line| line.rsplit(' ').next().unwrap().trim_start_matches('.')));
    let listed = query("--list");
    assert_eq!(deb, tree(listed.lines()));
    assert!(deb.len() > 30, "{deb:?}");

    assert_eq!(query("--configfiles"), "/etc/tokenkeeper/config.toml\n");
    let needs = query("--requires");
    assert!(needs.contains("systemd >= 252") && needs.contains("ca-certificates"), "{needs}");
    let scripts = query("--scripts");
    for command in
        ["systemd-sysusers", "preset", "disable --now", "try-restart tokenkeeper.service"]
    {
        assert!(scripts.contains(command), "{command}: {scripts}");
    }
    assert!(!scripts.contains("rm "), "the credentials stay: {scripts}");
}

/// Files as both name them.
fn tree<'a>(files: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    let plain = files.map(|file| file.strip_suffix(".gz").unwrap_or(file));
    let common = plain.filter(|file| !OF_ONE.contains(file));
    common.map(|file| file.replace("/site-functions/", "/vendor-completions/")).collect()
}

/// What a command prints that must succeed.
fn does(command: &[&str]) -> String {
    let output = run(Command::new(command[0]).args(&command[1..]), None);
    assert!(output.status.success(), "{command:?}: {}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}
