//! The package for systems with rpm, installed, upgraded and erased.
//!
//! The machine has no rpm. That of the host works in the machine's root and among its processes,
//! so that the scripts of the package run there and speak to the systemd of the machine.

use std::env;
use std::ffi::OsString;

use serde_json::json;
use tempfile::TempDir;

use crate::support::idp::Idp;
use crate::support::process::run;
use crate::support::process::said;
use crate::support::skipped;

use super::machine::Machine;
use super::on_each;
use super::scene::CONFIG;
use super::scene::SERVICE;
use super::scene::SOCKET;
use super::scene::Scene;

/// All units that the package enables.
const UNITS: [&str; 3] = [SOCKET, "tokenkeeper-credential.socket", SERVICE];

#[test]
fn rpm_installs_upgrades_and_erases_it_and_the_credentials_stay() {
    let Some(package) = env::var_os("TOKENKEEPER_TEST_RPM") else {
        skipped("no package for rpm: tests/run host makes it");
        return;
    };
    on_each(|machine, _of_debian| {
        let rpm = Rpm { machine, package: &package, database: tempfile::tempdir().unwrap() };
        rpm.transacts(&["--install"]);
        // Debian presets what is enabled at once; the package itself starts nothing.
        for unit in UNITS {
            assert_eq!(machine.property(unit, "UnitFileState"), "enabled", "{unit}");
            assert_eq!(machine.property(unit, "ActiveState"), "inactive", "{unit}");
        }
        assert_eq!(rpm.does(&["--verify", "--nodeps", "tokenkeeper"]), "");
        let owned = ["/etc/tokenkeeper", "/etc/tokenkeeper/config.d", "/run/tokenkeeper"];
        let stat = [["stat", "--format=%U:%G %a"].as_slice(), &owned].concat();
        let owners = "root:tokenkeeper 750\nroot:tokenkeeper 750\ntokenkeeper:tokenkeeper 755";
        assert_eq!(machine.does(&stat), owners);

        let scene = Scene { machine, idp: Idp::start() };
        machine.does(&[["systemctl", "start"].as_slice(), &UNITS].concat());
        scene.enrol_mail(&json!({}));
        let before = scene.token();
        let running = machine.property(SERVICE, "MainPID");
        let opened = machine.property(SOCKET, "ActiveEnterTimestampMonotonic");

        // To rpm the same version once more is an upgrade, if it must.
        rpm.transacts(&["--upgrade", "--replacepkgs", "--replacefiles"]);
        assert_ne!(machine.property(SERVICE, "MainPID"), running, "the new one runs");
        assert_eq!(machine.property(SOCKET, "ActiveEnterTimestampMonotonic"), opened);
        let after = scene.token();
        assert_eq!((after.generation, &after.token), (before.generation, &before.token));

        rpm.does(&["--erase", "--nodeps", "tokenkeeper"]);
        let units = ["systemctl", "list-units", "--all", "--plain", "--no-legend", "tokenkeeper*"];
        assert_eq!(machine.does(&units), "");
        assert_eq!(machine.does(&["systemctl", "--failed", "--plain", "--no-legend"]), "");
        for path in ["bin/tokenkeeperd", "share/doc/tokenkeeper", "share/licenses/tokenkeeper"] {
            assert!(!machine.path(&format!("/usr/{path}")).exists(), "{path} is left");
        }
        assert!(!scene.socket().exists(), "nobody would answer there");

        rpm.transacts(&["--install"]);
        machine.does(&["mv", &format!("{CONFIG}.rpmsave"), CONFIG]);
        machine.does(&[["systemctl", "start"].as_slice(), &UNITS].concat());
        let after = scene.token();
        assert_eq!((after.generation, after.token), (before.generation, before.token));
        assert_eq!(scene.idp.totals("mail").requests, 1);
    });
}

/// The host's rpm, at work in a machine.
struct Rpm<'a> {
    machine: &'a Machine,
    package: &'a OsString,
    /// What it knows to be installed. It resolves the names of links itself, and the way into the
    /// machine is one, so that this is a directory of the host's.
    database: TempDir,
}

impl Rpm<'_> {
    /// Does that with the package. What it needs is there, and unknown to rpm.
    fn transacts(&self, options: &[&str]) {
        let package = self.package.to_str().unwrap();
        let rest = ["--nodeps", "--nosignature", package];
        self.does(&[options, &rest].concat());
    }

    /// Runs it and returns what it printed. That a script failed is no failure to it.
    fn does(&self, words: &[&str]) -> String {
        let root = self.machine.path("/");
        let database = self.database.path().to_str().unwrap();
        let command = ["rpm", "--root", root.to_str().unwrap(), "--dbpath", database];
        let command = [command.as_slice(), words].concat();
        let output = run(&mut self.machine.command_of_host(&command), None);
        assert!(output.status.success(), "{words:?}: {}", said(&output));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!errors.contains("scriptlet failed"), "{words:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }
}
