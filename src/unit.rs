//! System units: what they are called, and whether a peer belongs to one.
//!
//! systemd alone makes the control groups that its system units are, and only root can put a
//! process into another one. A system unit of a process therefore says more than its user does.
//! A unit of a *user* manager does not: its owner names it, and moves processes in and out. Such
//! a process belongs to the unit of the whole manager, `user@1000.service`, and to nothing more.
//!
//! # Invariants
//!
//! * What is not proven is no unit: there is no guess, and [`NoUnit`] says what the matter was.
//! * A unit is only proven of a process that cannot have been another one; [`Proof`] says how
//!   far that goes.

/// Longest name of a unit, in bytes: systemd's `UNIT_NAME_MAX` less its final zero.
pub const LONGEST_NAME: usize = 255;

/// What is known of the system unit of a peer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Unit {
    /// Nobody asked: no rule that matters to the peer names one.
    Unasked,
    /// It belongs to this one.
    Proven {
        /// Its name, with its suffix, escaped as `systemctl` shows it.
        name: Box<str>,
        /// How it is known that the process is the peer.
        proof: Proof,
    },
    /// It belongs to none, or none that can be told.
    Unproven(NoUnit),
}

impl Unit {
    /// What came of asking about a process that is the peer by that proof.
    pub fn of(found: Result<Box<str>, NoUnit>, proof: Proof) -> Self {
        match found {
            Ok(name) => Self::Proven { name, proof },
            Err(why) => Self::Unproven(why),
        }
    }

    /// Whether asking (again) may tell more.
    pub const fn is_open(&self) -> bool {
        match self {
            Self::Unasked => true,
            Self::Proven { .. } => false,
            Self::Unproven(why) => why.passes(),
        }
    }

    /// Its name, where it is proven.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Proven { name, proof: _ } => Some(name),
            Self::Unasked | Self::Unproven(_) => None,
        }
    }
}

/// How it is known that the process that was asked about is the peer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Proof {
    /// The kernel, or the bus, handed over the very process that connected.
    Process,
    /// It has the number that the peer had when it connected, and lived until the answer came.
    /// Between connecting and being accepted that number could have passed to another process,
    /// so that a rule has to name the user as well.
    Number,
}

/// Why a peer has no unit.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NoUnit {
    /// The kernel shows no number of it.
    #[error("its process is in another pid namespace")]
    Elsewhere,
    /// Its process has ended, and its number may be another's.
    #[error("its process has ended")]
    Gone,
    /// The connection is closed, and who holds its number may be another.
    #[error("it has hung up")]
    HungUp,
    /// It is in no control group of a unit.
    #[error("it belongs to no unit")]
    Outside,
    /// Neither the service manager can be asked, nor is its control group shown.
    #[error("the service manager cannot be asked, and its control group is not visible")]
    Unreachable,
    /// The service manager took too long.
    #[error("the service manager did not answer in time")]
    Silent,
    /// As many processes are held or asked about as may be.
    #[error("too many units are asked for at once")]
    Crowded,
    /// The kernel does not hand over its process.
    #[error("the kernel does not hand over its process")]
    Withheld,
    /// The same, and it was not held when it connected, since no rule named a unit then, or was
    /// asked about already.
    #[error("its process is not held, so that it has to connect again")]
    Unheld,
}

impl NoUnit {
    /// Whether the same process may have a unit when it is asked about again.
    pub const fn passes(self) -> bool {
        match self {
            Self::Unreachable | Self::Silent | Self::Crowded => true,
            Self::Elsewhere
            | Self::Gone
            | Self::HungUp
            | Self::Outside
            | Self::Withheld
            | Self::Unheld => false,
        }
    }
}

/// The kinds of units that have processes. Slices have none of their own, and the others have no
/// control group.
const WITH_PROCESSES: &[&str] = &["service", "scope", "socket", "mount", "swap"];

/// Whether a process could belong to a unit of that name: the characters that systemd takes, a
/// suffix, and an instance where it is one of a template.
pub fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
    name.len() <= LONGEST_NAME
        && name.bytes().all(plain)
        && name.rsplit_once('.').is_some_and(|(stem, suffix)| {
            WITH_PROCESSES.contains(&suffix)
                && !stem.is_empty()
                && !stem.starts_with('@')
                && !stem.ends_with('@')
        })
}

/// The unit that an object of the service manager stands for: `…/unit/` and the name, in which
/// every byte that is no letter or digit is `_` and two hexadecimal digits.
pub fn of_object(path: &str) -> Option<Box<str>> {
    let label = path.strip_prefix("/org/freedesktop/systemd1/unit/")?.as_bytes();
    let mut name = Vec::with_capacity(label.len());
    let mut rest = label;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first == b'_' {
            let (digits, after) = rest.split_at_checked(2)?;
            let digits = std::str::from_utf8(digits).ok()?;
            name.push(u8::from_str_radix(digits, 16).ok()?);
            rest = after;
        } else {
            name.push(*first);
        }
    }
    named(&String::from_utf8(name).ok()?)
}

/// The unit that a process belongs to by its `/proc/PID/cgroup` (cgroups(7)).
///
/// Of a host with both hierarchies it is systemd's own that counts. A path that is not within
/// the reader's view (`/../…`) or that is gone proves nothing.
pub fn of_cgroups(text: &str) -> Option<Box<str>> {
    let path_in = |wanted: &str| {
        text.lines().find_map(|line| {
            let (hierarchy, path) = line.split_once(':')?.1.split_once(':')?;
            (hierarchy == wanted).then_some(path)
        })
    };
    of_path(path_in("name=systemd").or_else(|| path_in(""))?)
}

/// The first part of a control group's path that is no slice. What is below belongs to that
/// unit, which may have been given its own subtree to name as it likes.
fn of_path(path: &str) -> Option<Box<str>> {
    const GONE: &str = " (deleted)";

    let path = path.strip_prefix('/').filter(|path| !path.ends_with(GONE))?;
    // systemd puts a `_` before a part that would look like a file of the kernel's.
    let parts = path.split('/').map(|part| part.strip_prefix('_').unwrap_or(part));
    named(parts.into_iter().find(|part| !part.ends_with(".slice"))?)
}

/// A name that is one.
fn named(name: &str) -> Option<Box<str>> {
    is_name(name).then(|| name.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_the_characters_of_systemd_a_suffix_and_where_it_needs_one_an_instance() {
        #[rustfmt::skip]
        let cases = [
            ("backup.service",                   true),
            ("run-r1f2.scope",                   true),
            ("init.scope",                       true),
            ("sshd.socket",                      true),
            ("srv-data.mount",                   true),
            ("backup@home.service",              true),
            ("backup@a@b.service",               true),
            (r"backup@foo\x2dbar.service",       true),
            ("user@1000.service",                true),
            ("backup",                           false),
            ("backup.",                          false),
            (".service",                         false),
            ("backup@.service",                  false),
            ("@home.service",                    false),
            ("backup@foo/bar.service",           false),
            ("back up.service",                  false),
            ("bäckup.service",                   false),
            ("backup.timer",                     false),
            ("system.slice",                     false),
            ("",                                 false),
        ];
        for (name, expected) in cases {
            assert_eq!(is_name(name), expected, "{name}");
        }
    }

    #[test]
    fn the_longest_name_is_one_and_one_byte_more_is_none() {
        let stem = "a".repeat(LONGEST_NAME - ".service".len());
        assert!(is_name(&format!("{stem}.service")));
        assert!(!is_name(&format!("{stem}a.service")));
    }

    #[test]
    fn an_object_of_the_manager_stands_for_the_unit_whose_name_it_escapes() {
        #[rustfmt::skip]
        let cases = [
            ("/org/freedesktop/systemd1/unit/backup_2eservice",                      Some("backup.service")),
            ("/org/freedesktop/systemd1/unit/a_40foo_5cx2dbar_2eservice",            Some(r"a@foo\x2dbar.service")),
            ("/org/freedesktop/systemd1/unit/_31_2eservice",                         Some("1.service")),
            ("/org/freedesktop/systemd1/unit/_2d_2eslice",                           None),
            ("/org/freedesktop/systemd1/unit/backup_2",                              None),
            ("/org/freedesktop/systemd1/unit/backup_zzservice",                      None),
            ("/org/freedesktop/systemd1/unit/backup_ff_2eservice",                   None),
            ("/org/freedesktop/systemd1/unit/",                                      None),
            ("/org/freedesktop/systemd1/job/7",                                      None),
        ];
        for (path, expected) in cases {
            assert_eq!(of_object(path).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn a_control_group_belongs_to_the_first_part_that_is_no_slice() {
        #[rustfmt::skip]
        let cases = [
            // what it is                        path                                                        unit
            ("a service",                        "/system.slice/backup.service",                             Some("backup.service")),
            ("an instance in its own slice",     "/system.slice/system-backup.slice/backup@home.service",    Some("backup@home.service")),
            ("an escaped instance",              r"/system.slice/system-a.slice/a@foo\x2dbar.service",       Some(r"a@foo\x2dbar.service")),
            ("below a service",                  "/system.slice/backup.service/worker",                      Some("backup.service")),
            ("a service that delegates",         "/system.slice/a.service/system.slice/b.service",           Some("a.service")),
            ("a unit of a user's manager",       "/user.slice/user-1000.slice/user@1000.service/app.slice/backup.service", Some("user@1000.service")),
            ("a login",                          "/user.slice/user-1000.slice/session-3.scope",              Some("session-3.scope")),
            ("a unit within a container",        "/machine.slice/machine-a.scope/payload/system.slice/backup.service", Some("machine-a.scope")),
            ("the manager itself",               "/init.scope",                                              Some("init.scope")),
            ("like a file of the kernel's",      "/system.slice/_cpu.service",                               Some("cpu.service")),
            ("an underscore of its own",         "/system.slice/__a.service",                                Some("_a.service")),
            ("an escaped slice",                 "/_cpu.slice/backup.service",                               Some("backup.service")),
            ("a slice and nothing in it",        "/system.slice",                                            None),
            ("the root",                         "/",                                                        None),
            ("no unit's name",                   "/docker/3f2a",                                             None),
            ("out of the reader's view",         "/../backup.service",                                       None),
            ("further out of it",                "/../../system.slice/backup.service",                       None),
            ("removed",                          "/system.slice/backup.service (deleted)",                   None),
            ("not absolute",                     "system.slice/backup.service",                              None),
            ("an empty part",                    "//backup.service",                                         None),
            ("a template",                       "/system.slice/backup@.service",                            None),
        ];
        for (name, path, expected) in cases {
            assert_eq!(of_path(path).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn of_both_hierarchies_the_one_of_systemd_counts() {
        #[rustfmt::skip]
        let cases = [
            ("unified",                    "0::/system.slice/a.service\n",                                                        Some("a.service")),
            ("hybrid",                     "12:cpu,cpuacct:/x.service\n1:name=systemd:/system.slice/a.service\n0::/b.service\n",  Some("a.service")),
            ("hybrid, the other way",      "0::/b.service\n1:name=systemd:/system.slice/a.service\n",                             Some("a.service")),
            ("legacy, without systemd",    "12:cpu,cpuacct:/x.service\n",                                                         None),
            ("a path with colons",         "0::/system.slice/a:b.service\n",                                                      Some("a:b.service")),
            ("systemd's says nothing",     "1:name=systemd:/\n0::/b.service\n",                                                   None),
            ("empty",                      "",                                                                                    None),
            ("no lines of a cgroup file",  "nonsense\n::\n",                                                                      None),
        ];
        for (name, text, expected) in cases {
            assert_eq!(of_cgroups(text).as_deref(), expected, "{name}");
        }
    }
}
