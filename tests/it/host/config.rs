//! What `systemctl` says of a wrong configuration, and what becomes of the service.

use serde_json::json;

use crate::support::http::Request;
use crate::support::process::said;

use super::on_each;
use super::scene::SERVICE;
use super::scene::SOCKET;
use super::scene::Scene;

const WRONG: &str = "[daemon]\nlog = \"loud\"\n";

#[test]
fn a_reload_with_a_wrong_file_fails_with_its_error_and_the_service_goes_on() {
    on_each(|machine, package| {
        let scene = Scene::with_mail(machine, package, &json!({}));
        let before = machine.property(SERVICE, "MainPID");
        scene.configure(&(WRONG.to_owned() + &scene.mail("")));

        let reload = machine.run(&["systemctl", "reload", SERVICE]);
        assert!(!reload.status.success(), "{}", said(&reload));
        assert!(scene.journal().contains("daemon.log"), "{}", scene.journal());
        assert_eq!(machine.property(SERVICE, "ActiveState"), "active");
        assert_eq!(machine.property(SERVICE, "MainPID"), before);
        assert_eq!(scene.token().generation, 1);

        scene.configure(&scene.mail(""));
        machine.does(&["systemctl", "reload", SERVICE]);
    });
}

#[test]
fn a_wrong_first_file_ends_the_start_with_78_and_nobody_starts_it_again() {
    on_each(|machine, package| {
        let scene = Scene::new(machine, package);
        machine.does(&["systemctl", "stop", SERVICE]);
        scene.configure(WRONG);

        let start = machine.run(&["systemctl", "start", SERVICE]);
        assert!(!start.status.success(), "{}", said(&start));
        assert_eq!(machine.property(SERVICE, "ExecMainStatus"), "78");
        assert_eq!(machine.property(SERVICE, "ActiveState"), "failed");
        // A request is a reason to try again, once.
        for _ in 0..3 {
            let turned_away = Request::get("/v1/whoami").on_socket(&scene.socket());
            assert!(turned_away.is_err(), "{turned_away:?}");
        }
        machine.does(&["journalctl", "--sync"]);
        let starts = scene.journal().matches("daemon.log").count();
        assert!((2..=4).contains(&starts), "{starts} starts:\n{}", scene.journal());
        assert_eq!(machine.property(SERVICE, "NRestarts"), "0");
        assert_eq!(machine.property(SOCKET, "ActiveState"), "active");

        scene.configure("");
        machine.does(&["systemctl", "start", SERVICE]);
        machine.does(&["tokenctl", "status"]);
    });
}
