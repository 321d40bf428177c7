//! What is read out of files that other programs have saved: a refresh token, and when the
//! token beside it expires.

use jiff::tz::TimeZone;
use tokenkeeper::time::Timestamp;
use zeroize::Zeroizing;

use super::Unfit;
use super::date;
use super::json::Json;
use super::json::Pointer;
use super::json::Sort;
use super::nwp500;
use super::nwp500::Era;
use super::quilt;

/// Whose file it is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Source {
    /// The `tokens.json` of quilt-hp.
    QuiltHp,
    /// Home Assistant's storage of the same.
    HomeAssistant,
    /// A dump of nwp500, the cache of its command line, or either inside `tokens`.
    Nwp500(Era),
    /// Any JSON, with the refresh token there.
    Json(Pointer),
}

/// What was found.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Taken {
    /// The refresh token.
    pub(crate) refresh_token: Zeroizing<String>,
    /// When the token beside it expires, where the file tells.
    pub(crate) expires_at: Option<Timestamp>,
}

impl Source {
    /// Reads `text`; `email` chooses among several accounts. A time without an offset is one
    /// of `zone` where that release means local time.
    ///
    /// # Errors
    ///
    /// The file is another one, or holds no refresh token.
    pub(crate) fn read(
        &self,
        text: &str,
        email: Option<&str>,
        zone: &TimeZone,
    ) -> Result<Taken, Unfit> {
        let file = Json::parse(text)?;
        match self {
            Self::QuiltHp => entry(&file, email, quilt::NAME),
            Self::HomeAssistant => {
                const NAME: &str = "Home Assistant's storage of quilt_hp_tokens";
                let data = file.get("data").ok_or(Unfit::OtherForm(NAME))?;
                entry(&data, email, NAME)
            }
            Self::Nwp500(era) => dump(&file, email, *era, zone),
            Self::Json(place) => {
                let value = file.at(place).ok_or_else(|| Unfit::NoSuchPlace(place.clone()))?;
                let expected = || Unfit::NotA { place: place.clone(), expected: "text" };
                let refresh_token = filled(value.text().ok_or_else(expected)?)?;
                Ok(Taken { refresh_token, expires_at: None })
            }
        }
    }
}

/// One account of quilt-hp, whose three fields all have to be there.
fn entry(accounts: &Json<'_>, email: Option<&str>, name: &'static str) -> Result<Taken, Unfit> {
    if accounts.sort() != Sort::Object {
        return Err(Unfit::OtherForm(name));
    }
    let entry = match email {
        Some(email) => accounts.get(email).ok_or_else(|| Unfit::NoSuchEmail(email.to_owned()))?,
        None => {
            let mut members = accounts.members().into_iter();
            match (members.next(), members.next()) {
                (Some((_, only)), None) => only,
                (None, _) => return Err(Unfit::NoRefreshToken),
                (Some(_), Some(_)) => return Err(Unfit::SeveralAccounts),
            }
        }
    };
    let (Some(_), Some(refresh_token), Some(expires_at)) =
        (entry.get("id_token"), entry.get("refresh_token"), entry.get("expires_at"))
    else {
        return Err(Unfit::OtherForm(name));
    };
    Ok(Taken {
        refresh_token: filled(refresh_token.text().ok_or(Unfit::OtherForm(name))?)?,
        expires_at: expires_at.number().and_then(unix),
    })
}

/// A dump of nwp500, with the tolerance of its own reader.
fn dump(file: &Json<'_>, email: Option<&str>, era: Era, zone: &TimeZone) -> Result<Taken, Unfit> {
    let dump = nwp500::wrapped(file).unwrap_or_else(|| file.clone());
    if dump.sort() != Sort::Object {
        return Err(Unfit::OtherForm(nwp500::NAME));
    }
    if let Some(email) = email {
        nwp500::is_of(&dump, email)?;
    }
    let refresh_token =
        either(&dump, "refreshToken", "refresh_token").ok_or(Unfit::NoRefreshToken)?;
    let refresh_token = filled(refresh_token.text().ok_or(Unfit::OtherForm(nwp500::NAME))?)?;
    let lifetime = either(&dump, "authenticationExpiresIn", "authentication_expires_in");
    // What the library takes for a lifetime that is not there.
    let lifetime = lifetime.map_or(Some(3_600.0), |lifetime| whole(&lifetime));
    let issued_at = dump.get("issuedAt").or_else(|| dump.get("issued_at"));
    let issued_at = issued_at.and_then(|issued_at| instant(&issued_at, era, zone));
    let expires_at = issued_at.zip(lifetime).and_then(|(issued_at, lifetime)| {
        #[allow(clippy::cast_precision_loss, reason = "times of this age are exact in a float")]
        unix(issued_at.as_millis() as f64 / 1000.0 + lifetime)
    });
    Ok(Taken { refresh_token, expires_at })
}

/// The first name goes before the second, unless it is empty.
fn either<'t>(dump: &Json<'t>, camel: &str, snake: &str) -> Option<Json<'t>> {
    let empty = |value: &Json<'_>| value.raw() == "\"\"" || value.is_null();
    dump.get(camel).filter(|value| !empty(value)).or_else(|| dump.get(snake))
}

/// A lifetime: a whole number, perhaps in quotes.
fn whole(value: &Json<'_>) -> Option<f64> {
    let number = match value.text() {
        Some(text) => text.parse().ok()?,
        None => value.number()?,
    };
    (number.fract() == 0.0).then_some(number)
}

fn instant(value: &Json<'_>, era: Era, zone: &TimeZone) -> Option<Timestamp> {
    let Some(text) = value.text() else { return value.number().and_then(unix) };
    let naive_zone = match era {
        Era::Current => &TimeZone::UTC,
        Era::Legacy => zone,
    };
    date::rfc_3339(&text).or_else(|| date::naive(&text, naive_zone))
}

/// A time in seconds since 1970, if it is one that a token can have.
fn unix(secs: f64) -> Option<Timestamp> {
    /// The year 9999.
    const LAST: f64 = 253_402_300_799.0;

    #[allow(clippy::cast_possible_truncation, reason = "the range is checked")]
    (0.0..=LAST).contains(&secs).then(|| Timestamp::from_millis((secs * 1000.0) as i64))
}

fn filled(token: Zeroizing<String>) -> Result<Zeroizing<String>, Unfit> {
    if token.is_empty() { Err(Unfit::NoRefreshToken) } else { Ok(token) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_programs_have_saved_is_read() {
        let quilt = r#"{"pat@example.test": {"id_token": "I1", "refresh_token": "R1", "expires_at": 1800000000.25}}"#;
        let home_assistant =
            format!(r#"{{"version": 1, "key": "quilt_hp_tokens", "data": {quilt}}}"#);
        let wrapped = format!(r#"{{"tokens": {DUMP}, "cached_at": "2026-11-21T19:20:25"}}"#);
        let cache = DUMP.replace('}', r#", "email": "pat@example.test"}"#);
        let camel = r#"{"refreshToken": "R1", "refresh_token": "R0", "authenticationExpiresIn": "", "authentication_expires_in": "60", "issuedAt": 1800000000}"#;
        let pointed = Source::Json("/a/0".parse().unwrap());
        #[rustfmt::skip]
        let cases = [
            ("quilt-hp",           Source::QuiltHp,              quilt,                 Some(1_800_000_000_250)),
            ("Home Assistant",     Source::HomeAssistant,        &home_assistant,       Some(1_800_000_000_250)),
            ("a dump",             Source::Nwp500(Era::Current), DUMP,                  Some(1_795_292_425_351)),
            ("a wrapped dump",     Source::Nwp500(Era::Current), &wrapped,              Some(1_795_292_425_351)),
            ("the cache",          Source::Nwp500(Era::Current), &cache,                Some(1_795_292_425_351)),
            ("both spellings",     Source::Nwp500(Era::Current), camel,                 Some(1_800_000_060_000)),
            ("nothing but tokens", Source::Nwp500(Era::Current), r#"{"refresh_token": "R1"}"#, None),
            ("any JSON",           pointed,                      r#"{"a": ["R1"]}"#,    None),
        ];
        for (name, source, text, expires_at) in cases {
            let taken = source.read(text, None, &TimeZone::UTC).unwrap();
            let expires_at = expires_at.map(Timestamp::from_millis);
            let refresh_token = Zeroizing::new("R1".to_owned());
            assert_eq!(taken, Taken { refresh_token, expires_at }, "{name}");
        }
    }

    #[test]
    fn a_time_without_an_offset_is_read_as_that_release_means_it() {
        let naive = DUMP.replace(".351453Z", "");
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        for (era, expected) in [(Era::Current, 1_795_292_425_000), (Era::Legacy, 1_795_288_825_000)]
        {
            let taken = Source::Nwp500(era).read(&naive, None, &zone).unwrap();
            assert_eq!(taken.expires_at, Some(Timestamp::from_millis(expected)), "{era:?}");
        }
    }

    #[test]
    fn a_file_without_a_refresh_token_is_told_apart() {
        let two = r#"{"a@b": {"id_token": "", "refresh_token": "R", "expires_at": 1}, "c@d": {}}"#;
        #[rustfmt::skip]
        let cases = [
            (Source::QuiltHp,              "{}",             None,        "it holds no refresh token"),
            (Source::QuiltHp,              two,              None,        "it has several accounts; name one by --email"),
            (Source::QuiltHp,              two,              Some("x@y"), "it has no account x@y"),
            (Source::QuiltHp,              two,              Some("c@d"), "it has another form than a tokens.json of quilt-hp has"),
            (Source::QuiltHp,              "[]",             None,        "it has another form than a tokens.json of quilt-hp has"),
            (Source::HomeAssistant,        two,              None,        "it has another form than Home Assistant's storage of quilt_hp_tokens has"),
            (Source::Nwp500(Era::Current), "[]",             None,        "it has another form than a dump of nwp500 has"),
            (Source::Nwp500(Era::Current), "{}",             None,        "it holds no refresh token"),
            (Source::Nwp500(Era::Current), r#"{"refresh_token": ""}"#, None, "it holds no refresh token"),
            (Source::Nwp500(Era::Current), r#"{"refresh_token": "R", "email": "a@b"}"#, Some("c@d"), "it has no account c@d"),
            (Source::Json("/a".parse().unwrap()), "{}",      None,        "it has nothing at /a"),
            (Source::Json("/a".parse().unwrap()), r#"{"a": 1}"#, None,    "at /a it has no text"),
        ];
        for (source, text, email, why) in cases {
            let refused = source.read(text, email, &TimeZone::UTC).unwrap_err();
            assert_eq!(refused.to_string(), why, "{text}");
        }
    }

    const DUMP: &str = r#"{"id_token": "", "access_token": "A1", "refresh_token": "R1", "authentication_expires_in": 3600, "access_key_id": null, "secret_key": null, "session_token": null, "authorization_expires_in": null, "issued_at": "2026-11-21T19:20:25.351453Z"}"#;
}
