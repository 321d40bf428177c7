//! Who asks: users, groups and units of a real systemd, at both doors, as one table.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::json;
use tokenkeeper::protocol::daemon::WhoAmI;

use crate::support::http::Request;
use crate::support::process::said;

use super::machine::Machine;
use super::on_each;
use super::scene::SERVICE;
use super::scene::Scene;

/// Accounts and their rules.
#[rustfmt::skip]
const ACCOUNTS: [(&str, &str); 6] = [
    ("unit",     r#"[{ unit = "who-a.service", rights = ["read", "refresh"] }]"#),
    ("both",     r#"[{ unit = "who-a.service", user = "alice", rights = ["read", "admin"] }]"#),
    ("crew",     r#"[{ unit = "who-a.service", group = "crew", user = "bob" }]"#),
    ("user",     r#"["alice", { unit = "who-b.service", user = "alice", rights = ["refresh"] }]"#),
    ("instance", r#"[{ unit = 'who@x\x2dy.service', user = "bob", rights = ["read"] }]"#),
    ("closed",   r#"[]"#),
];

/// Who asks: a user, with a further group, in a unit.
struct Actor {
    user: &'static str,
    groups: &'static str,
    unit: &'static str,
}

const fn actor(user: &'static str, groups: &'static str, unit: &'static str) -> Actor {
    Actor { user, groups, unit }
}

/// What each may do with each account: `r` read, `f` refresh, `a` administer. What is in capitals
/// is had over a bus as well that tells no more than the number of a process; where nothing of a
/// cell is, such a bus gives nothing.
#[rustfmt::skip]
const TABLE: &[(Actor, [&str; 6])] = &[
    //                                                    unit   both   crew   user   instance  closed
    (actor("alice", "",     "who-a.service"),           ["rf",  "RA",  "",    "R",   "",       ""]),
    (actor("bob",   "",     "who-a.service"),           ["rf",  "",    "",    "",    "",       ""]),
    (actor("bob",   "crew", "who-a.service"),           ["rf",  "",    "R",   "",    "",       ""]),
    (actor("alice", "crew", "who-a.service"),           ["rf",  "RA",  "",    "R",   "",       ""]),
    (actor("alice", "",     "who-b.service"),           ["",    "",    "",    "RF",  "",       ""]),
    (actor("bob",   "crew", "who-b.service"),           ["",    "",    "",    "",    "",       ""]),
    (actor("bob",   "",     r"who@x\x2dy.service"),     ["",    "",    "",    "",    "R",      ""]),
    (actor("bob",   "",     "who@x-y.service"),         ["",    "",    "",    "",    "",       ""]),
    (actor("alice", "",     "who-a.scope"),             ["",    "",    "",    "R",   "",       ""]),
    (actor("bob",   "",     "system-who-a.service"),    ["",    "",    "",    "",    "",       ""]),
];

#[test]
fn users_groups_and_units_get_what_their_rules_say_at_every_door() {
    on_each(|machine, package| {
        let scene = prepared(machine, package);
        let by_process = bus_hands_processes_over(machine);
        let mut wrong = String::new();
        let mut compared = 0;
        for (actor, cells) in TABLE {
            let got = ask_as(machine, actor);
            for ((account, _), cell) in ACCOUNTS.iter().zip(cells) {
                for (right, letter) in [("read", 'r'), ("refresh", 'f'), ("admin", 'a')] {
                    let certain = cell.contains(letter.to_ascii_uppercase());
                    let either = certain || cell.contains(letter);
                    for (door, expected) in
                        [("socket", either), ("bus", certain || (either && by_process))]
                    {
                        let answer = if expected { "given" } else { "refused" };
                        let line = format!("{door} {account} {right} {answer}");
                        compared += 1;
                        if !got.contains(&line) {
                            let Actor { user, groups, unit } = actor;
                            writeln!(wrong, "{user} ({groups}) in {unit}: not {line}").unwrap();
                        }
                    }
                }
            }
        }
        assert!(wrong.is_empty(), "of {compared}:\n{wrong}\n{}", scene.journal());
        assert_eq!(compared, TABLE.len() * ACCOUNTS.len() * 6);
        let journal = scene.journal();
        assert!(journal.contains("refused `read`: it would need a rule like"), "{journal}");
        assert!(journal.contains(", unit = 'who-b.service', rights = [\"read\"]"), "{journal}");
    });
}

#[test]
fn a_unit_is_where_root_puts_a_process_and_nowhere_that_it_puts_itself() {
    on_each(|machine, package| {
        let _scene = prepared(machine, package);
        machine.does(&["systemd-run", "--quiet", "--unit=who-a", "sleep", "infinity"]);
        let ask = "tokenctl get unit >/dev/null 2>&1 && echo given || echo refused";

        // A file, because the service manager has its own idea of what a `$` in a command means.
        machine.write("/usr/local/lib/move", MOVE);
        let tried = format!(". /usr/local/lib/move 2>/dev/null\n{ask}");
        assert_eq!(run_in(machine, "who-b.service", &["--uid=bob"], &tried), "refused");
        let moved =
            format!(". /usr/local/lib/move\nexec setpriv --reuid bob --clear-groups sh -c '{ask}'");
        assert_eq!(run_in(machine, "who-c.service", &[], &moved), "given");
    });
}

#[test]
fn a_unit_of_a_users_own_manager_is_the_unit_of_that_manager() {
    on_each(|machine, package| {
        let _scene = prepared(machine, package);
        let uid = machine.does(&["id", "--user", "bob"]);
        machine.does(&["systemctl", "start", &format!("user@{uid}.service")]);
        machine.write("/etc/systemd/user/who-a.service", USERS_OWN);
        let runtime = format!("XDG_RUNTIME_DIR=/run/user/{uid}");
        let start = ["env", &runtime, "systemctl", "--user", "start", "who-a.service"];
        let started = machine.run_as("bob", &start);
        assert!(started.status.success(), "{}", said(&started));
        let seen = machine.does(&["cat", "/tmp/seen"]);
        assert!(seen.contains(&format!(", unit user@{uid}.service\n")), "{seen}");
        assert!(seen.ends_with("\nexit 77"), "{seen}");
    });
}

#[test]
fn roots_of_containers_are_who_the_host_says_they_are() {
    on_each(|machine, package| {
        let scene = prepared(machine, package);
        // Root in a namespace of bob's is bob, in the unit that it was started in.
        let whoami = "exec unshare --user --map-root-user tokenctl --system whoami";
        let seen = run_in(machine, "who-a.service", &["--uid=bob"], whoami);
        let uid = machine.does(&["id", "--user", "bob"]);
        assert!(seen.starts_with(&format!("uid {uid}, ")), "{seen}");
        assert!(seen.contains(", unit who-a.service\n"), "{seen}");
        // A process of a pid namespace below ours has a number in ours.
        let whoami = "exec unshare --pid --fork tokenctl --system whoami";
        let seen = run_in(machine, "who-c.service", &[], whoami);
        assert!(seen.contains(", unit who-c.service\n"), "{seen}");
        // This test is in a namespace above that of the daemon, which has no number for it.
        let me = Request::get("/v1/whoami").on_socket(&scene.socket()).unwrap();
        let me = me.success::<WhoAmI>();
        assert_eq!((me.uid, me.pid, me.unit), (0, None, None));
        assert_eq!(me.no_unit.as_deref(), Some("its process is in another pid namespace"));
    });
}

#[test]
fn without_the_bus_no_unit_is_proven_and_users_are_served_on() {
    on_each(|machine, package| {
        let scene = prepared(machine, package);
        machine.does(&["systemctl", "stop", "dbus.socket", "dbus.service"]);
        let user = machine.run_as("alice", &["tokenctl", "get", "user"]);
        assert!(user.status.success(), "{}", said(&user));
        let refused = machine.run_as("alice", &["tokenctl", "get", "both"]);
        assert_eq!(refused.status.code(), Some(77), "{}", said(&refused));
        assert!(said(&refused).contains("no unit that is known"), "{}", said(&refused));
        let journal = scene.journal();
        assert_eq!(journal.matches("rules that name a unit let nobody in").count(), 1, "{journal}");
    });
}

/// Moves a shell from its own unit into who-a.service beside it, in each hierarchy that systemd has
/// its units in.
pub(super) const MOVE: &str = "
while IFS=: read -r _ hierarchy path; do
    root=/sys/fs/cgroup
    case $hierarchy in
    name=systemd) root=$root/systemd ;;
    '') if [ -d $root/unified ]; then root=$root/unified; fi ;;
    *) continue ;;
    esac
    echo $$ >$root${path%/*}/who-a.service/cgroup.procs
done </proc/self/cgroup
";

/// A unit of a user's own, which is called like one of the system's.
const USERS_OWN: &str = "[Service]\nType=oneshot\nExecStart=/bin/sh -c '\
    exec >/tmp/seen 2>&1; tokenctl --system whoami; tokenctl --system get unit; echo exit $$?'\n";

/// A machine with the package, the accounts of [`ACCOUNTS`], two users and a group.
pub(super) fn prepared<'a>(machine: &'a Machine, package: &Path) -> Scene<'a> {
    let scene = Scene::new(machine, package);
    for command in [["groupadd", "crew"], ["useradd", "alice"], ["useradd", "bob"]] {
        machine.does(&command);
    }
    let mut config = String::new();
    let mut tokens = Vec::new();
    for (account, rules) in ACCOUNTS {
        tokens.push((account, scene.idp.put(account, &json!({}))));
        let keys = scene.idp.keys(account);
        write!(config, "[accounts.{account}]\n{keys}rotation = \"none\"\nallow = {rules}\n")
            .unwrap();
    }
    scene.configure(&config);
    machine.does(&["systemctl", "reload", SERVICE]);
    for (account, token) in tokens {
        let import = ["tokenctl", "import", account, "--refresh-token-file", "-"];
        machine.does_with(&import, Some(&token));
    }
    machine.write("/usr/local/bin/ask", ASK);
    machine.does(&["chmod", "755", "/usr/local/bin/ask"]);
    scene
}

/// Asks for everything at both doors, and prints what came of it. Who has refreshed too often has
/// the right to. The right `admin` is tried by an order that changes nothing.
const ASK: &str = r#"#!/bin/sh
for account in "$@"; do
    for right in read refresh admin; do
        case $right in
        read) verb=GET path=token method=GetToken ;;
        refresh) verb=POST path=refresh method=Refresh ;;
        admin) verb=POST path=resume method=Resume ;;
        esac
        status=$(curl --silent --output /dev/null --write-out '%{http_code}' --request $verb \
            --unix-socket /run/tokenkeeper/api.sock "http://localhost/v1/accounts/$account/$path")
        case $status in
        200 | 429) answer=given ;;
        403) answer=refused ;;
        *) answer="odd: $status" ;;
        esac
        echo "socket $account $right $answer"
        said=$(busctl call org.tokenkeeper1 /org/tokenkeeper1 org.tokenkeeper1.Manager $method \
            'sa{sv}' "$account" 0 2>&1)
        case $?:$said in
        0:* | *'allowed in'*) answer=given ;;
        *'no right'* | *'a person has to allow it'*) answer=refused ;;
        *) answer="odd: $said" ;;
        esac
        echo "bus $account $right $answer"
    done
done
"#;

/// The lines that [`ASK`] prints for an actor.
fn ask_as(machine: &Machine, actor: &Actor) -> BTreeSet<String> {
    let Actor { user, groups, unit } = actor;
    let accounts = ACCOUNTS.map(|(account, _)| account).join(" ");
    let ask = format!("exec ask {accounts}");
    let said = if unit.ends_with(".scope") {
        let unit = format!("--unit={unit}");
        let scope = ["systemd-run", "--quiet", "--scope", &unit, "setpriv", "--reuid", user];
        let shell = ["--regid", user, "--clear-groups", "sh", "-c", &ask];
        machine.does(&[scope.as_slice(), &shell].concat())
    } else {
        let user = format!("--uid={user}");
        let groups = format!("--property=SupplementaryGroups={groups}");
        run_in(machine, unit, &[&user, &groups], &ask)
    };
    said.lines().map(str::to_owned).collect()
}

/// Runs a shell in a service of that name, with further options, and returns what it printed.
pub(super) fn run_in(machine: &Machine, unit: &str, options: &[&str], script: &str) -> String {
    let unit = format!("--unit={unit}");
    let run = ["systemd-run", "--quiet", "--wait", "--pipe", "--collect", &unit];
    machine.does(&[run.as_slice(), options, &["sh", "-c", script]].concat())
}

/// Whether the bus tells the very process of a sender, or its number alone: since version 1.16.
fn bus_hands_processes_over(machine: &Machine) -> bool {
    let bus = ["org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus"];
    let method = ["GetConnectionCredentials", "s", "org.freedesktop.DBus"];
    let asked = [["busctl", "call"].as_slice(), &bus, &method].concat();
    machine.does(&asked).contains("ProcessFD")
}
