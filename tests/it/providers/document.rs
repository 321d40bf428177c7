//! schemathesis, which asks all that a document allows, and what it does not.

use std::env;
use std::process::Command;

use serde_json::json;

use crate::support::config::Config;
use crate::support::daemon::Daemon;
use crate::support::idp::Idp;
use crate::support::number_from_environment;
use crate::support::process::run;
use crate::support::process::said;
use crate::support::skipped;

/// Requests that are made up for each operation, besides those at the edges of its schemas.
const EXAMPLES: u64 = 25;

/// A document that promises more than the socket keeps, or forbids what it takes, misleads every
/// client that is made from it.
#[test]
fn the_socket_does_what_its_document_says_and_nothing_else() {
    let Ok(python) = env::var("TOKENKEEPER_TEST_PYTHON") else {
        return skipped("TOKENKEEPER_TEST_PYTHON is not set");
    };
    let idp = Idp::start();
    let daemon = Daemon::start(&Config::default().account("mail", &idp.keys("mail")));
    daemon.import("mail", &idp.put("mail", &json!({})));

    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/providers/schemathesis/ask.py");
    let examples = number_from_environment("TOKENKEEPER_TEST_EXAMPLES", EXAMPLES).to_string();
    let mut command = Command::new(python);
    // What it writes down beside its output is of no use here.
    command.current_dir(daemon.home());
    command.arg(script).arg(daemon.path("api.sock"));
    command.args(["--phases", "examples,coverage,fuzzing", "--max-examples", &examples]);
    command.args(["--seed", "1", "--generation-database", "none", "--max-failures", "20"]);
    command.args(["--continue-on-failure", "--no-color", "--warnings", "off"]);
    let output = run(&mut command, None);

    assert!(output.status.success(), "{}", said(&output));
    let log = daemon.log();
    assert!(!log.contains("panic") && !log.contains("\"INTERNAL\""), "{log}");
}
