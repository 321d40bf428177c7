//! The pages about the daemon and its rules: `whoami`, `access`, `reload`.

use std::borrow::Cow;

use tokenkeeper::error::foreign::shown;
use tokenkeeper::protocol::daemon::AccessView;
use tokenkeeper::protocol::daemon::ReloadView;
use tokenkeeper::protocol::daemon::WhoAmI;

use crate::print::status::counted;

/// How the daemon sees the caller.
pub(crate) fn whoami(me: &WhoAmI) -> String {
    let groups = me.groups.iter().map(u32::to_string).collect::<Vec<_>>();
    let mut page = format!("uid {}, gid {}, groups {}\n", me.uid, me.gid, or_none(&groups));
    if let Some(pid) = me.pid {
        page.push_str(&format!("process {pid}"));
        match (&me.unit, &me.no_unit) {
            (Some(unit), _) => page.push_str(&format!(", unit {}\n", shown(unit))),
            (None, Some(why)) => page.push_str(&format!(", no unit: {}\n", shown(why))),
            (None, None) => page.push_str(", no system unit\n"),
        }
    }
    page.push_str(&format!("through {}\n", shown(&me.transport)));
    page.push_str(if me.daemon_admin {
        "administrator of the daemon: yes\n"
    } else {
        "administrator of the daemon: no\n"
    });
    if me.rights.is_empty() {
        page.push_str("no right to any account\n");
    }
    for (account, rights) in &me.rights {
        page.push_str(&format!("{}: {}\n", shown(account), shown(&or_none(rights))));
    }
    page
}

/// Why somebody may do what with an account: each rule, whether it speaks of them, and why.
pub(crate) fn access(who: &str, view: &AccessView) -> String {
    let (account, rights) = (shown(&view.account), or_none(&view.rights));
    let mut page = format!("{} on {account}: {}\n", shown(who), shown(&rights));
    if view.rules.is_empty() {
        page.push_str(
            "The account has no rules: only root and the daemon's own user may use it.\n",
        );
    }
    for rule in &view.rules {
        let verdict = if rule.matches { "yes" } else { "no" };
        page.push_str(&format!(
            "  {verdict:3}  {} ({}): {}\n",
            shown(&rule.rule),
            shown(&or_none(&rule.rights)),
            shown(&rule.because),
        ));
    }
    page
}

/// What a reload did, or would do.
pub(crate) fn reload(view: &ReloadView) -> String {
    #[rustfmt::skip]
    let lists = [
        ("added",           &view.added),
        ("removed",         &view.removed),
        ("changed",         &view.changed),
        ("needs a login",   &view.needs_login),
        ("warning",         &view.warnings),
        ("needs a restart", &view.restart),
    ];
    let mut page = String::new();
    for (word, items) in lists {
        for item in items {
            page.push_str(&format!("{word}: {}\n", shown(item)));
        }
    }
    page.push_str(&format!("unchanged: {}\n", counted(view.unchanged, "account")));
    page
}

fn or_none(words: &[String]) -> Cow<'static, str> {
    if words.is_empty() { "none".into() } else { words.join(", ").into() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tokenkeeper::protocol::daemon::RuleView;

    use super::*;

    #[test]
    fn whoami_shows_the_caller_and_its_rights() {
        let me = WhoAmI {
            uid: 1000,
            gid: 1000,
            groups: vec![4, 1000],
            pid: Some(4242),
            unit: Some("backup.service".into()),
            no_unit: None,
            transport: "unix:/run/tokenkeeper/api.sock".into(),
            daemon_admin: false,
            rights: BTreeMap::from([("mail".into(), vec!["read".into(), "report".into()])]),
        };
        insta::assert_snapshot!(whoami(&me), @"
        uid 1000, gid 1000, groups 4, 1000
        process 4242, unit backup.service
        through unix:/run/tokenkeeper/api.sock
        administrator of the daemon: no
        mail: read, report
        ");
        let nobody = WhoAmI { pid: None, groups: vec![], rights: BTreeMap::new(), ..me };
        insta::assert_snapshot!(whoami(&nobody), @"
        uid 1000, gid 1000, groups none
        through unix:/run/tokenkeeper/api.sock
        administrator of the daemon: no
        no right to any account
        ");
    }

    #[test]
    fn access_explains_every_rule() {
        let rule = |rule: &str, matches, because: &str| RuleView {
            rule: rule.into(),
            rights: vec!["read".into()],
            matches,
            because: because.into(),
        };
        let view = AccessView {
            account: "mail".into(),
            rights: vec!["read".into()],
            rules: vec![
                rule("user alice", true, "its uid is 1000"),
                rule("group mail", false, "it is not in the group"),
            ],
        };
        insta::assert_snapshot!(access("alice", &view), @"
        alice on mail: read
          yes  user alice (read): its uid is 1000
          no   group mail (read): it is not in the group
        ");
        let bare = AccessView { rights: vec![], rules: vec![], ..view };
        insta::assert_snapshot!(access("uid 7", &bare), @"
        uid 7 on mail: none
        The account has no rules: only root and the daemon's own user may use it.
        ");
    }

    #[test]
    fn a_reload_lists_what_it_changes() {
        let view = ReloadView {
            added: vec!["new".into()],
            removed: vec![],
            changed: vec!["ci".into(), "mail".into()],
            needs_login: vec!["git".into()],
            unchanged: 1,
            warnings: vec!["the user \"bob\" is not known yet".into()],
            restart: vec!["daemon.socket".into()],
        };
        insta::assert_snapshot!(reload(&view), @r#"
        added: new
        changed: ci
        changed: mail
        needs a login: git
        warning: the user "bob" is not known yet
        needs a restart: daemon.socket
        unchanged: 1 account
        "#);
    }
}
