//! Followers without the rights that keeping their file would take: they are told who has them.

use std::fs;
use std::fs::Permissions;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::fs::chown;
use std::path::PathBuf;

use crate::daemon::access::NOBODY;
use crate::daemon::access::as_nobody;
use crate::daemon::forgiving;
use crate::support::config::Config;
use crate::support::daemon::Daemon;
use crate::support::idp::Idp;
use crate::support::process::said;
use crate::support::skipped;

use super::read;

/// A group that no host has.
const NO_GROUP: u32 = 4_000_000_001;

#[test]
fn a_follower_learns_who_can_give_a_file_to_another_group_or_user() {
    let Some(stage) = stage() else { return };
    #[rustfmt::skip]
    let cases = [
        // user      group      told
        (NOBODY,     NO_GROUP,  format!("belongs to group {NO_GROUP}, and only its members and root can give a file to it")),
        (NOBODY,     NO_GROUP,  format!("put SupplementaryGroups={NO_GROUP} into a drop-in")),
        (NO_GROUP,   NOBODY,    format!("belongs to user {NO_GROUP}, and only root can give a file to somebody else")),
        (NO_GROUP,   NOBODY,    format!("User={NO_GROUP} in a drop-in")),
    ];
    for (user, group, told) in cases {
        let file = stage.file("token", "old", 0o664);
        chown(&file, Some(user), Some(group)).unwrap();
        let path = file.to_str().unwrap();
        let follow = ["follow", "mail", "--file", path, "--format", "raw", "--once"];
        let refused = as_nobody(&stage.daemon, &follow);
        assert!(!refused.status.success() && said(&refused).contains(&told), "{}", said(&refused));
        assert_eq!(read(&file), "old");
        let whose = fs::metadata(&file).unwrap();
        assert_eq!((whose.uid(), whose.gid()), (user, group));
    }
}

#[test]
fn a_follower_that_may_not_hand_a_login_over_tells_who_may_and_by_what() {
    let Some(stage) = stage() else { return };
    let theirs = "{\"r\": \"a login of somebody\", \"a\": \"old\"}";
    let file = stage.file("auth.json", theirs, 0o600);
    let path = file.to_str().unwrap();
    let follow = ["follow", "mail", "--file", path, "--format", "json", "--at", "/r"];
    let refused = as_nobody(&stage.daemon, &[&follow[..], &["--access-at", "/a"]].concat());
    assert_eq!(refused.status.code(), Some(77), "{}", said(&refused));
    let socket = stage.daemon.path("api.sock").display().to_string();
    let adopt = format!("tokenctl --socket {socket} adopt mail --file {path} --at /r");
    assert!(said(&refused).contains(&adopt), "{}", said(&refused));
    assert!(said(&refused).contains("only somebody with the right `admin` on account mail"));
    assert_eq!(read(&file), theirs);
    assert_eq!(stage.idp.totals("mail").requests, 1, "nothing was handed over");
}

/// A daemon whose account `mail` nobody may read, and a directory of nobody's.
struct Stage {
    idp: Idp,
    daemon: Daemon,
}

/// `None` where nobody's part cannot be taken.
fn stage() -> Option<Stage> {
    if !rustix::process::geteuid().is_root() {
        skipped("only root can ask as another user");
        return None;
    }
    let idp = Idp::start();
    let refresh_token = idp.put("mail", &forgiving());
    let rule = format!("allow = [{{ user = \"{NOBODY}\", rights = [\"read\"] }}]\n");
    let daemon = Daemon::start(&Config::default().account("mail", &(idp.keys("mail") + &rule)));
    daemon.import("mail", &refresh_token);
    fs::create_dir(daemon.path("nobody")).unwrap();
    chown(daemon.path("nobody"), Some(NOBODY), Some(NOBODY)).unwrap();
    Some(Stage { idp, daemon })
}

impl Stage {
    /// A file of nobody's.
    fn file(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.daemon.path("nobody").join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
        path
    }
}
