//! What is in the built packages, without a machine.

use std::collections::BTreeMap;
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

/// What rpm is to print of each file: what dpkg-deb begins and ends its lines with.
const LISTING: &str =
    "--queryformat=[%{FILEMODES:perms} %{FILEUSERNAME}/%{FILEGROUPNAME} %{FILENAMES}\n]";

#[test]
fn the_package_for_rpm_has_the_files_of_the_other_and_looks_after_its_units() {
    let packages = (env::var("TOKENKEEPER_TEST_PACKAGE"), env::var("TOKENKEEPER_TEST_RPM"));
    let (Ok(deb), Ok(rpm)) = packages else {
        skipped("no packages: tests/run host makes them");
        return;
    };
    let query = |what: &str| does(&["rpm", "--query", "--package", "--nosignature", what, &rpm]);

    // The one has the owner's number, the other the owner's name.
    let deb = does(&["dpkg-deb", "--contents", &deb]).replace(" 0/0 ", " root/root ");
    let deb = tree(&deb);
    assert_eq!(deb, tree(&query(LISTING)));
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

/// The mode and the owner of each file, by the name that both have for it.
fn tree(listing: &str) -> BTreeMap<String, String> {
    let files = listing.lines().filter(|line| !line.starts_with('d'));
    let fields = files.map(|line| line.split_whitespace().collect::<Vec<_>>());
    let named = fields.map(|fields| {
        let name = fields.last().unwrap().trim_start_matches('.');
        let name = name.strip_suffix(".gz").unwrap_or(name);
        (name.replace("/site-functions/", "/vendor-completions/"), fields[..2].join(" "))
    });
    named.filter(|(name, _)| !OF_ONE.contains(&name.as_str())).collect()
}

/// What a command prints that must succeed.
fn does(command: &[&str]) -> String {
    let output = run(Command::new(command[0]).args(&command[1..]), None);
    assert!(output.status.success(), "{command:?}: {}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}
