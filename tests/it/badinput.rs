//! Wrong command lines of the daemon and bytes on its socket that are no request, and what they are
//! answered with.
//!
//! Wrong configurations, parameters, bodies and command lines of `tokenctl` have their tables beside
//! the code that reads them.

use std::io::Read as _;
use std::io::Write as _;
use std::net::Shutdown;
use std::path::Path;
use std::process::Command;

use tokenkeeper::protocol::error::ErrorBody;

use crate::support::config::Config;
use crate::support::daemon::Daemon;
use crate::support::http;
use crate::support::http::Request;
use crate::support::process::run;
use crate::support::process::said;

/// Arguments, exit status, and a part of what is said. `HOME` stands for the test's directory.
#[rustfmt::skip]
const LINES: &[(&[&str], i32, &str)] = &[
    (&["--help"],                                         0, "Usage: tokenkeeperd"),
    (&["-h"],                                             0, "Usage: tokenkeeperd"),
    (&["--version"],                                      0, concat!("tokenkeeperd ", env!("CARGO_PKG_VERSION"), "\n")),
    (&["-V"],                                             0, concat!("tokenkeeperd ", env!("CARGO_PKG_VERSION"), "\n")),
    (&["--check", "--config", "HOME/config.toml"],        0, "good, 1 account, "),
    (&["--config=HOME/config.toml", "--check"],           0, "good, 1 account, "),
    (&["--config"],                                       2, "tokenkeeperd: --config needs a value; see \"tokenkeeperd --help\"\n"),
    (&["--config="],                                      2, "tokenkeeperd: --config needs a value; see \"tokenkeeperd --help\"\n"),
    (&["--config", ""],                                   2, "tokenkeeperd: --config needs a value; see \"tokenkeeperd --help\"\n"),
    (&["--confg", "x"],                                   2, "there is no option \"--confg\", perhaps \"--config\";"),
    (&["--chek"],                                         2, "there is no option \"--chek\", perhaps \"--check\";"),
    (&["--Check"],                                        2, "there is no option \"--Check\""),
    (&["--check=yes"],                                    2, "--check takes no value"),
    (&["--user=alice"],                                   2, "--user takes no value"),
    (&["--check", "--check"],                             2, " stands twice;"),
    (&["--user", "--user"],                               2, " stands twice;"),
    (&["--config", "a", "--config", "b"],                 2, " stands twice;"),
    (&["-c", "x"],                                        2, "there is no option \"-c\""),
    (&["-x"],                                             2, "there is no option \"-x\""),
    (&["--"],                                            78, "there is no configuration"),
    (&["start"],                                          2, "\"start\" is not taken, only options"),
    (&["reload"],                                         2, "\"reload\" is not taken, only options"),
    (&["HOME/config.toml"],                               2, "\" is not taken, only options"),
    (&["--", "--check"],                                  2, "\" is not taken, only options"),
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

/// What is sent, and the status that comes back; 0 if the connection is closed without one.
#[rustfmt::skip]
const BYTES: &[(&str, u16)] = &[
    ("\r\n\r\n",                                                                                0),
    ("\0\0\0\0\r\n\r\n",                                                                      400),
    ("hello\r\n\r\n",                                                                         400),
    ("GET\r\n\r\n",                                                                           400),
    ("GET /v1/status\r\n\r\n",                                                                400),
    ("GET /v1/status HTTP/9.9\r\n\r\n",                                                       400),
    ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",                                                        0),
    ("\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\r\n\r\n",                                           400),
    ("GET /v1/status HTTP/1.0\r\nbad header\r\n\r\n",                                         400),
    ("GET /v1/status HTTP/1.0\r\n: x\r\n\r\n",                                                400),
    ("GET /v1/status HTTP/1.0\r\na\0b: x\r\n\r\n",                                            400),
    ("GET /v1/status HTTP/1.0\r\norigin: https://evil.example\r\n\r\n",                       400),
    ("GET /v1/status HTTP/1.0\r\nhost: evil.example\r\n\r\n",                                 400),
    ("GET /v1/status HTTP/1.0\r\nhost: localhost\r\nhost: localhost\r\n\r\n",                 400),
    ("GET http://evil.example/v1/status HTTP/1.0\r\n\r\n",                                    400),
    ("GET /v1/nothing HTTP/1.0\r\n\r\n",                                                      404),
    ("GET /v1/accounts/../status HTTP/1.0\r\n\r\n",                                           404),
    ("BREW /v1/status HTTP/1.0\r\n\r\n",                                                      405),
    ("POST /v1/status HTTP/1.0\r\n\r\n",                                                      405),
    ("OPTIONS * HTTP/1.0\r\n\r\n",                                                            404),
    ("CONNECT evil.example:443 HTTP/1.0\r\n\r\n",                                             400),
    ("GET /v1/accounts/Mail/token HTTP/1.0\r\n\r\n",                                          400),
    ("GET /v1/accounts/%6dail/token HTTP/1.0\r\n\r\n",                                        400),
    ("GET /v1/accounts/mail/token?wait=-1 HTTP/1.0\r\n\r\n",                                  400),
    ("GET /v1/accounts/mail/token?frob=1 HTTP/1.0\r\n\r\n",                                   400),
    ("POST /v1/accounts/mail/import HTTP/1.0\r\ncontent-length: 1\r\n\r\n{",                  400),
    ("POST /v1/accounts/mail/import HTTP/1.0\r\ncontent-length: x\r\n\r\n",                   400),
    ("POST /v1/accounts/mail/import HTTP/1.0\r\ncontent-length: -1\r\n\r\n",                  400),
    ("POST /v1/accounts/mail/import HTTP/1.0\r\ncontent-length: 99999999\r\n\r\n",            400),
    ("POST /v1/accounts/mail/pause HTTP/1.0\r\ncontent-length: 7\r\n\r\n{\"a\":1}",           400),
];

#[test]
fn bytes_that_are_no_request_are_refused_and_harm_nobody() {
    let config = Config::default()
        .account("mail", "client_id = \"mail\"\ntoken_endpoint = \"https://idp.example/token\"\n");
    let mut daemon = Daemon::start(&config);
    let long = "x".repeat(9 * 1024);
    let head = format!("GET /v1/status HTTP/1.0\r\nlong: {long}\r\n\r\n");
    let target = format!("GET /{long} HTTP/1.0\r\n\r\n");
    let body = "x".repeat(70_000);
    let body =
        format!("POST /v1/accounts/mail/import HTTP/1.0\r\ncontent-length: 70000\r\n\r\n{body}");
    let mut wrong = Vec::new();
    let headers = format!("GET /v1/status HTTP/1.0\r\n{}\r\n", "x: y\r\n".repeat(101));
    let too_long = [
        (head.as_str(), 431),
        (target.as_str(), 431),
        (headers.as_str(), 431),
        (body.as_str(), 413),
    ];
    for (bytes, expected) in BYTES.iter().copied().chain(too_long) {
        let mut stream = http::connect(&daemon.path("api.sock")).unwrap();
        // The daemon may close before it has read all of it.
        drop(stream.write_all(bytes.as_bytes()));
        drop(stream.shutdown(Shutdown::Write));
        // A connection that is closed with bytes unread ends in an error, after the answer.
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer));
        let reply = http::receive(answer.as_slice()).ok();
        let status = reply.as_ref().map_or(0, |reply| reply.status);
        let told = reply.is_none_or(|it| !it.json::<ErrorBody>().message.is_empty());
        if status != expected || !told {
            let begin = bytes.chars().take(60).collect::<String>();
            wrong.push(format!("{begin:?}: expected {expected}, got {status}, told: {told}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(daemon.ask(Request::get("/v1/status")).status, 200);
    daemon.stop();
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
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
