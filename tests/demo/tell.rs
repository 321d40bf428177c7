//! What the demo prints.

use std::io;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use tokenkeeper::protocol::event::EventView;
use tokenkeeper::time::spoken;

use super::cast::CHARACTERS;
use super::cast::CODE;
use super::programs::Programs;

/// Prints a line. Whoever read may have gone; that ends nothing.
macro_rules! say {
    ($($text:tt)*) => {{
        let _unread = writeln!(io::stdout(), $($text)*);
    }};
}

/// Says what this is.
pub(super) fn beginning(place: &Path) {
    say!(
        "
tokenkeeperd owns the OAuth tokens of a host: it refreshes every account before its token
expires, and local programs ask it for the current one. Here it keeps six accounts of a
scripted identity provider that runs beside it, and that speaks like Quilt, Navien and a Kasa
Monitor too. Everything is in {}
and goes when the demo ends.
",
        place.display()
    );
    for (account, character) in CHARACTERS {
        say!("    {account:<8} {character}");
    }
    say!("\nFirst their credentials are handed over, once; no program needs them after that.\n");
}

/// Shows what is typed for the operator.
pub(super) fn typed(arguments: &[&str]) {
    say!("$ tokenctl {}", arguments.join(" "));
}

/// Says that the daemon is on its own now.
pub(super) fn running(id: u32) {
    say!("\nThe daemon is process {id}. From here on it acts by itself.");
}

/// Prints the commands to try, each ready to be typed in another terminal.
pub(super) fn commands(programs: &Programs, socket: &Path) {
    let tokenctl =
        format!("TOKENKEEPER_SOCKET={} {}", for_a_shell(socket), for_a_shell(&programs.tokenctl));
    say!("\nTry these in another terminal:\n");
    say!("    {tokenctl} status");
    say!("    {tokenctl} get mail");
    say!("    {tokenctl} why flaky");
    say!("    {tokenctl} refresh ci");
    say!("    {tokenctl} get boiler --format aws");
    say!("    {tokenctl} login heatpump");
    say!("    {tokenctl} watch");
    say!(
        "    curl --silent --unix-socket {} http://localhost/v1/accounts/mail/token",
        for_a_shell(socket)
    );
    say!("\nNobody mails anything here: the code of the heat pump is {CODE}");
}

/// Says how long the demo goes on, and what is printed until then.
pub(super) fn outlook(duration: Option<Duration>, once: bool) {
    let end = match (duration, once) {
        (_, true) => "Ends when each account has been refreshed once, or with Ctrl-C.".to_owned(),
        (Some(span), false) => format!("Ends in {}, or with Ctrl-C.", spoken(span)),
        (None, false) => "Ends with Ctrl-C.".to_owned(),
    };
    say!("\n{end} What happens, in UTC:\n");
}

/// Prints one line of what happens.
pub(super) fn print(line: &str) {
    say!("{line}");
}

/// Says that the end has begun.
pub(super) fn ending() {
    say!("\nStopping: the daemon finishes what it must not lose.");
}

/// An event in one line; none for a step on the way.
pub(super) fn line(event: &EventView) -> Option<String> {
    let ttl = span_from(&event.timestamp, event.expires_at.as_deref());
    let next = span_from(&event.timestamp, event.next_at.as_deref());
    let what = match event.event.as_str() {
        "token_changed" => {
            let what = if event.generation > 1 { "refreshed" } else { "begun" };
            format!("{what}: token {}, good for {ttl}; next refresh in {next}", event.generation)
        }
        "refresh_failed" => {
            // A message of whole sentences, which begins with the account for those who see
            // it alone.
            let why = event.refresh_error.as_ref().map_or("", |error| error.message.as_str());
            let why = why.strip_prefix(&format!("account {}: ", event.account)).unwrap_or(why);
            format!("not refreshed: {why} Its token is good for {ttl}; next attempt in {next}")
        }
        "recovered" => "recovered: the failure is over".to_owned(),
        "alarm" => format!("ALARM: its token expires in {ttl} and could not be refreshed"),
        "expired" => "EXPIRED: there is no good token any more".to_owned(),
        "lost" => "events were missed".to_owned(),
        _ => return None,
    };
    let time = event.timestamp.get(11..19).unwrap_or(&event.timestamp);
    Some(format!("{time}  {:<8} {what}", event.account))
}

/// From one time to a later one, in words.
fn span_from(earlier: &str, later: Option<&str>) -> String {
    let parsed = |text: &str| text.parse::<Timestamp>().ok();
    let span = later
        .and_then(parsed)
        .zip(parsed(earlier))
        .and_then(|(later, earlier)| Duration::try_from(later.duration_since(earlier)).ok());
    spoken(span.unwrap_or_default())
}

/// A path as a word of a POSIX shell.
fn for_a_shell(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+".contains(&byte);
    if text.bytes().all(plain) {
        return text.into_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}
