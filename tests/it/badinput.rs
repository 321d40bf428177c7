//! Wrong command lines of the daemon, and what they are answered with.
//!
//! Wrong configurations, requests and command lines of `tokenctl` have their tables beside the code
//! that reads them.

use std::path::Path;
use std::process::Command;

use crate::support::config::Config;
use crate::support::daemon::Daemon;
use crate::support::process::run;
use crate::support::process::said;

/// Arguments, exit status, and a part of what is said. `HOME` stands for the test's directory.
#[rustfmt::skip]
const LINES: &[(&[&str], i32, &str)] = &[
    (&["--help"],                                         0, "Usage: tokenkeeperd"),
    (&["-h"],                                             0, "Usage: tokenkeeperd"),
    (&["--version"],                                      0, "tokenkeeper"),
    (&["-V"],                                             0, "tokenkeeper"),
    (&["--check", "--config", "HOME/config.toml"],        0, "fine, 1 accounts"),
    (&["--config=HOME/config.toml", "--check"],           0, "fine, 1 accounts"),
    (&["--config"],                                       2, "a value is required for '--config <FILE>'"),
    (&["--config="],                                      2, "a value is required for '--config <FILE>'"),
    (&["--config", ""],                                   2, "a value is required for '--config <FILE>'"),
    (&["--confg", "x"],                                   2, "similar argument exists: '--config'"),
    (&["--chek"],                                         2, "similar argument exists: '--check'"),
    (&["--Check"],                                        2, "unexpected argument '--Check'"),
    (&["--check=yes"],                                    2, "unexpected value 'yes' for '--check'"),
    (&["--user=alice"],                                   2, "unexpected value 'alice' for '--user'"),
    (&["--check", "--check"],                             2, "cannot be used multiple times"),
    (&["--user", "--user"],                               2, "cannot be used multiple times"),
    (&["--config", "a", "--config", "b"],                 2, "cannot be used multiple times"),
    (&["-c", "x"],                                        2, "unexpected argument '-c'"),
    (&["-x"],                                             2, "unexpected argument '-x'"),
    (&["--"],                                            78, "there is no configuration"),
    (&["start"],                                          2, "unexpected argument 'start'"),
    (&["reload"],                                         2, "unexpected argument 'reload'"),
    (&["HOME/config.toml"],                               2, "unexpected argument"),
    (&["--", "--check"],                                  2, "unexpected argument"),
    (&["--check", "--config", "HOME/absent.toml"],       78, "there is no configuration"),
    (&["--config", "HOME/absent.toml"],                  78, "there is no configuration"),
    (&["--check", "--config", "HOME"],                   78, "expected a regular file"),
    (&["--check", "--config", "HOME/broken.toml"],       78, "broken.toml:1:"),
    (&["--check", "--config", "HOME/binary.toml"],       78, "expected UTF-8"),
    (&["--check", "--config", "HOME/open.toml"],         78, "can be written by others"),
    (&["--check", "--config", "/dev/null"],              78, "expected a regular file"),
    (&["--user", "--check"],                             78, "XDG_RUNTIME_DIR is not set"),
];

#[test]
fn every_wrong_command_line_is_refused_in_words() {
    let config = Config::default()
        .account("mail", "client_id = \"mail\"\ntoken_endpoint = \"https://idp.example/token\"\n");
    let daemon = Daemon::new(&config);
    prepare(daemon.home());
    for (arguments, status, part) in LINES {
        let home = daemon.home().display().to_string();
        let arguments = arguments.iter().map(|it| it.replace("HOME", &home)).collect::<Vec<_>>();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tokenkeeperd"));
        // Without a configuration of the host, and without a session.
        command.args(&arguments).env_clear();
        let output = run(&mut command, None);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(*status), "{arguments:?}: {said}");
        assert!(said.contains(part), "{arguments:?}: {said}");
        let stream = if *status == 0 { &output.stderr } else { &output.stdout };
        assert!(stream.is_empty(), "{arguments:?} speaks on the wrong stream: {said}");
    }
}

fn prepare(home: &Path) {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    let files: [(&str, &[u8], u32); 3] = [
        ("broken.toml", b"[accounts\n", 0o600),
        ("binary.toml", b"\xff\xfe\n", 0o600),
        ("open.toml", b"\n", 0o666),
    ];
    for (name, content, mode) in files {
        fs::write(home.join(name), content).unwrap();
        fs::set_permissions(home.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
}
