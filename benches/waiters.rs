//! Many callers at the moment of expiry: they share one exchange, and the last of them has
//! its answer soon after it.
//!
//! The provider holds the exchange until everybody waits. The time is counted from letting it
//! go, so it has the rest of the exchange, the commit and the reading of all answers in it.

use std::path::Path;

use serde_json::json;

use crate::helper::Helper;
use crate::helper::NOBODY;
use crate::helper::Part;
use crate::host::Accounts;
use crate::host::Host;
use crate::host::Tokens;
use crate::host::name;
use crate::report::Bar;
use crate::report::Report;
use crate::stage::idp::Idp;
use crate::stage::trouble::Trouble;
use crate::stopwatch::Stopwatch;
use crate::stopwatch::median;
use crate::stopwatch::millis;

const NAME: &str = "waiters";

/// How many callers, and the longest time in milliseconds.
const CROWDS: [(usize, f64); 2] = [(1_000, 50.0), (10_000, 250.0)];

/// Connections of one user stay below this: half of what the daemon gives one user.
const OF_ONE_USER: usize = 5_000;

const ROUNDS: usize = 5;

/// Runs it.
///
/// # Errors
///
/// If something does not start, or answers wrongly.
pub(crate) fn run(report: &mut Report) -> Result<(), Trouble> {
    for (callers, bar) in CROWDS {
        if callers > OF_ONE_USER && !rustix::process::geteuid().is_root() {
            report.skip(NAME, "so many callers are two users, which only root can be");
            continue;
        }
        let (mut times, mut exchanges) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let (time, exchanged) = measure(callers)?;
            times.push(time);
            exchanges.push(exchanged);
        }
        let most = exchanges.into_iter().fold(0.0, f64::max);
        report.add(NAME, format!("{callers} callers, exchanges"), (most, ""), Bar::AtMost(1.0));
        let what = format!("{callers} callers, exchange to last answer");
        report.add(NAME, what, (median(times), "ms"), Bar::AtMost(bar));
    }
    Ok(())
}

/// Milliseconds to the last answer, and how many exchanges there were.
fn measure(callers: usize) -> Result<(f64, f64), Trouble> {
    let place = tempfile::tempdir().map_err(Trouble::system("cannot make a directory"))?;
    let idp = Idp::start(Path::new(env!("CARGO_BIN_EXE_tokenkeeper-idp")), place.path())?;
    let account = name(0);
    let login =
        idp.control("PUT", &format!("accounts/{account}"), &json!({ "token_bytes": 1024 }))?;
    let refresh_token = login.get("refresh_token").and_then(|token| token.as_str());
    let about = json!({ "account": account });
    idp.control("POST", "hold", &about)?;

    let host = Host::with(&Accounts {
        number: 1,
        provider: &idp.url(),
        refresh_token: refresh_token.unwrap_or_default(),
        tokens: Tokens::Expired,
    })?;
    let daemon = host.start()?;
    let part = Part::Waiters(callers.min(OF_ONE_USER));
    let mut helpers = vec![Helper::start(&part, &host.socket(), None)?];
    if callers > OF_ONE_USER {
        let part = Part::Waiters(callers - OF_ONE_USER);
        helpers.push(Helper::start(&part, &host.socket(), Some(NOBODY))?);
    }
    idp.control("GET", &format!("wait?account={account}&held=1"), &json!(null))?;

    let watch = Stopwatch::start();
    idp.control("POST", "release", &about)?;
    for helper in helpers {
        helper.done()?;
    }
    let time = millis(watch.elapsed());

    let summary = idp.control("GET", &format!("summary?account={account}"), &json!(null))?;
    let exchanges = summary.get("requests").and_then(|requests| requests.as_f64());
    daemon.end()?;
    idp.end()?;
    Ok((time, exchanges.unwrap_or(f64::INFINITY)))
}
