//! Dumps of the nwp500 library, and the cache of its command line.
//!
//! Nine keys in a fixed order, and in the cache the e-mail after them, on one line with
//! Python's separators. No expiry is written: a reader adds the lifetimes to `issued_at`. The
//! two flavours differ in what that is, and each release refuses or misreads the other's.

use jiff::tz::TimeZone;
use zeroize::Zeroizing;

use super::Aws;
use super::Facts;
use super::Unfit;
use super::date;
use super::json::Change;
use super::json::Json;
use super::json::Sort;
use super::json::changed;
use super::json::quote;

/// How `issued_at` is written and a time without an offset is read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Era {
    /// Release 7.4.9 and later: UTC.
    Current,
    /// Releases before: local time, without saying so.
    Legacy,
}

/// What the file is called in messages.
pub(super) const NAME: &str = "a dump of nwp500";

/// The file with a new dump in the place of the one that it has. What is around that stays, and
/// a file that has none is another program's.
pub(super) fn write(
    facts: &Facts,
    era: Era,
    email: Option<&str>,
    present: Option<&str>,
    zone: &TimeZone,
) -> Result<Zeroizing<String>, Unfit> {
    let new = dump(facts, era, email, zone);
    // One that its program is about to write is empty for a moment.
    let Some(present) = present.filter(|present| !present.trim().is_empty()) else {
        return Ok(new);
    };
    let file = Json::parse(present)?;
    let wrapped = wrapped(&file);
    let old = wrapped.as_ref().unwrap_or(&file);
    if !is_dump(old) {
        return Err(Unfit::OtherForm(NAME));
    }
    if let Some(email) = email {
        is_of(old, email)?;
    }
    Ok(match wrapped {
        Some(old) => changed(present, vec![Change { span: old.span(), new }]),
        None => new,
    })
}

/// The dump inside `tokens`, where the file has it there.
pub(super) fn wrapped<'t>(file: &Json<'t>) -> Option<Json<'t>> {
    file.get("tokens").filter(|tokens| tokens.sort() == Sort::Object)
}

/// Whether the library would take it for one, or there is nothing in it to lose.
fn is_dump(value: &Json<'_>) -> bool {
    const TOKENS: [&str; 4] = ["accessToken", "access_token", "refreshToken", "refresh_token"];

    let members = value.members();
    let nothing = value.sort() == Sort::Object && members.is_empty();
    nothing || members.iter().any(|(name, _)| TOKENS.contains(&name.as_str()))
}

/// The file has one account. Another one's is neither read nor written over.
pub(super) fn is_of(dump: &Json<'_>, email: &str) -> Result<(), Unfit> {
    match dump.get("email").and_then(|owner| owner.text()) {
        Some(owner) if *owner != *email => Err(Unfit::NoSuchEmail(email.to_owned())),
        Some(_) | None => Ok(()),
    }
}

fn dump(facts: &Facts, era: Era, email: Option<&str>, zone: &TimeZone) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(room(facts, email)));
    let aws = facts.aws.as_ref();
    let lifetime = facts.expires_at.since(facts.issued_at).as_secs();
    out.push('{');
    text(&mut out, "id_token", facts.id_token.as_ref().map_or("", |token| token.as_str()));
    text(&mut out, "access_token", &facts.token);
    text(&mut out, "refresh_token", "");
    bare(&mut out, "authentication_expires_in", &lifetime.to_string());
    for (name, value) in [
        ("access_key_id", aws.map(|aws| &aws.access_key_id)),
        ("secret_key", aws.map(|aws| &aws.secret_access_key)),
        ("session_token", aws.map(|aws| &aws.session_token)),
    ] {
        match value {
            Some(value) => text(&mut out, name, value),
            None => bare(&mut out, name, "null"),
        }
    }
    let authorization = aws.map_or_else(|| "null".to_owned(), |aws| left(facts, aws).to_string());
    bare(&mut out, "authorization_expires_in", &authorization);
    let issued_at = match era {
        Era::Current => facts.issued_at.to_string(),
        Era::Legacy => date::without_offset(facts.issued_at, zone),
    };
    text(&mut out, "issued_at", &issued_at);
    if let Some(email) = email {
        text(&mut out, "email", email);
    }
    out.push('}');
    out
}

/// How long the AWS credentials are good from `issued_at`, in whole seconds. After a refresh
/// that brought none they are older than the token, and this is less than they had when they
/// were new; nothing at all is written as -1, since the library takes 0 for "not known".
fn left(facts: &Facts, aws: &Aws) -> i64 {
    let millis = aws.expires_at.as_millis().saturating_sub(facts.issued_at.as_millis());
    match millis.div_euclid(1000) {
        0 => -1,
        secs => secs,
    }
}

/// Enough that the text never grows while it is written.
fn room(facts: &Facts, email: Option<&str>) -> usize {
    const FRAME: usize = 512;
    let aws = facts.aws.as_ref().map_or(0, |aws| {
        aws.access_key_id.len() + aws.secret_access_key.len() + aws.session_token.len()
    });
    let id = facts.id_token.as_ref().map_or(0, |token| token.len());
    FRAME + 6 * (facts.token.len() + id + aws + email.map_or(0, str::len))
}

fn text(out: &mut String, name: &str, value: &str) {
    begin(out, name);
    quote(out, value);
}

fn bare(out: &mut String, name: &str, value: &str) {
    begin(out, name);
    out.push_str(value);
}

fn begin(out: &mut String, name: &str) {
    if out.len() > 1 {
        out.push_str(", ");
    }
    quote(out, name);
    out.push_str(": ");
}

#[cfg(test)]
mod tests {
    use tokenkeeper::time::Timestamp;

    use super::*;
    use crate::format::sample::aws;
    use crate::format::sample::facts;

    #[test]
    fn a_dump_has_the_nine_keys_in_their_order() {
        let written = dump(&facts(), Era::Current, None, &TimeZone::UTC);
        assert_eq!(
            written.as_str(),
            r#"{"id_token": "", "access_token": "A1", "refresh_token": "", "authentication_expires_in": 3600, "access_key_id": null, "secret_key": null, "session_token": null, "authorization_expires_in": null, "issued_at": "2027-01-15T08:00:00Z"}"#
        );
    }

    #[test]
    fn the_cache_of_the_command_line_has_the_email_last() {
        let facts =
            Facts { id_token: Some(Zeroizing::new("I1".into())), aws: Some(aws()), ..facts() };
        let written = dump(&facts, Era::Current, Some("pat@example.test"), &TimeZone::UTC);
        assert_eq!(
            written.as_str(),
            r#"{"id_token": "I1", "access_token": "A1", "refresh_token": "", "authentication_expires_in": 3600, "access_key_id": "AKIA", "secret_key": "sk/1", "session_token": "st=", "authorization_expires_in": 3000, "issued_at": "2027-01-15T08:00:00Z", "email": "pat@example.test"}"#
        );
    }

    #[test]
    fn older_releases_get_local_time_without_an_offset() {
        let zone = TimeZone::fixed(jiff::tz::offset(-8));
        let written = dump(&facts(), Era::Legacy, None, &zone);
        assert!(written.ends_with(r#""issued_at": "2027-01-15T00:00:00"}"#), "{}", *written);
    }

    #[test]
    fn aws_credentials_are_never_said_to_live_longer_than_they_do() {
        #[rustfmt::skip]
        let cases = [
            ("whole seconds, rounded down", 2_999_999, 2_999),
            ("none left is not unknown",          500,    -1),
            ("over before the refresh",        -1_500,    -2),
        ];
        for (name, millis, expected) in cases {
            let expires_at = Timestamp::from_millis(1_800_000_000_000 + millis);
            assert_eq!(left(&facts(), &Aws { expires_at, ..aws() }), expected, "{name}");
        }
    }
}
