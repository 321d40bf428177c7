//! How long tokens are good: what the reply says, in all the ways that replies say it.

use std::time::Duration;

use crate::provider::jwt::Claims;
use crate::provider::member::Member;
use crate::schedule::LONGEST_LIFETIME;

/// How long the tokens of a reply are good.
///
/// The smallest one of `expires_in` and the `exp - iat` of the access token and of the ID
/// token, whichever are there: of several expiries the earliest counts;
/// `default` if neither is. A JWT's `exp` alone is not used: it could only be compared with
/// the clock of this host, which may be wrong. Zero means dead on arrival.
pub(super) fn lifetime(
    expires_in: &Member,
    claims: [Option<&Claims>; 2],
    default: Duration,
) -> Duration {
    let told = seconds(expires_in);
    let own = claims.into_iter().flatten().filter_map(Claims::lifetime_secs);
    told.into_iter().chain(own).reduce(f64::min).map_or(default, span)
}

/// How long a refresh token is good. Zero is a provider's word for "does not expire", so it
/// says as little as a member that is not there.
pub(super) fn refresh_lifetime(expires_in: &Member) -> Option<Duration> {
    seconds(expires_in).map(span).filter(|lifetime| !lifetime.is_zero())
}

/// The number in a member, which some providers send as a string. `None` for what is no
/// number, "not a number" included.
pub(super) fn seconds(member: &Member) -> Option<f64> {
    let secs = match member.text() {
        Some(text) => text.expose().trim().parse().ok()?,
        None => member.number()?,
    };
    (!secs.is_nan()).then_some(secs)
}

/// Seconds as a span, whatever the number is. More than ten years is no lifetime but a
/// mistake (a date, say, or milliseconds) and counts as the longest that is planned for.
fn span(secs: f64) -> Duration {
    const LONGEST_BELIEVED_SECS: f64 = 3_650.0 * 86_400.0;

    if secs > LONGEST_BELIEVED_SECS {
        return LONGEST_LIFETIME;
    }
    Duration::try_from_secs_f64(secs.max(0.0)).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::any;
    use proptest::proptest;

    use super::*;
    use crate::token::Secret;

    const DEFAULT: Duration = Duration::from_secs(600);

    #[test]
    fn a_lifetime_is_read_in_every_way_that_providers_write_it() {
        let text = |text: &str| Member::Text(Secret::new(text));
        #[rustfmt::skip]
        let cases = [
            // name                              expires_in               exp - iat        seconds
            ("a number",                         Member::Number(3600.0),  None,            3600.0),
            ("a string",                         text("3600"),            None,            3600.0),
            ("a string with a fraction",         text(" 3599.5 "),        None,            3599.5),
            ("the smaller one: the JWT",         Member::Number(3600.0),  Some(300.0),     300.0),
            ("the smaller one: expires_in",      Member::Number(300.0),   Some(3600.0),    300.0),
            ("a JWT alone",                      Member::Absent,          Some(300.0),     300.0),
            ("nothing",                          Member::Absent,          None,            600.0),
            ("a word is nothing",                text("soon"),            None,            600.0),
            ("no number is nothing",             text("NaN"),             None,            600.0),
            ("an object is nothing",             Member::Other,           None,            600.0),
            ("zero: born expired",               Member::Number(0.0),     None,            0.0),
            ("negative: born expired",           Member::Number(-1.0),    None,            0.0),
            ("minus infinity: born expired",     text("-inf"),            None,            0.0),
            ("a JWT that ends before it begins", Member::Number(3600.0),  Some(-5.0),      0.0),
            ("a year is believed",               Member::Number(3.2e7),   None,            3.2e7),
            ("a date is no lifetime",            Member::Number(1.7e9),   None,            2_592_000.0),
            ("infinity is no lifetime",          text("inf"),             None,            2_592_000.0),
            ("the largest float is no lifetime", Member::Number(1e308),   None,            2_592_000.0),
        ];
        for (name, expires_in, own, secs) in cases {
            let claims = own.map(|own| Claims {
                iat: Member::Number(0.0),
                exp: Member::Number(own),
                ..Claims::default()
            });
            let got = lifetime(&expires_in, [claims.as_ref(), None], DEFAULT);
            assert_eq!(got.as_secs_f64(), secs, "{name}");
        }
    }

    /// One lifetime covers what is served, be it the access token or the ID token.
    #[test]
    fn of_access_token_and_id_token_the_one_that_ends_sooner_counts() {
        #[rustfmt::skip]
        let cases = [
            // name                        expires_in  access token  ID token      seconds
            ("the ID token",               3600.0,     Some(3600.0), Some(300.0),  300.0),
            ("the ID token, of an opaque", 3600.0,     None,         Some(300.0),  300.0),
            ("the access token",           3600.0,     Some(300.0),  Some(3600.0), 300.0),
            ("what the reply says",        300.0,      Some(3600.0), Some(3600.0), 300.0),
        ];
        for (name, expires_in, access, id, secs) in cases {
            let claims = |lifetime: Option<f64>| {
                lifetime.map(|lifetime| Claims {
                    iat: Member::Number(1e9),
                    exp: Member::Number(1e9 + lifetime),
                    ..Claims::default()
                })
            };
            let (access, id) = (claims(access), claims(id));
            let told = Member::Number(expires_in);
            let got = lifetime(&told, [access.as_ref(), id.as_ref()], DEFAULT);
            assert_eq!(got, Duration::from_secs_f64(secs), "{name}");
        }
    }

    #[test]
    fn a_refresh_token_of_zero_seconds_is_one_of_unknown_length() {
        assert_eq!(refresh_lifetime(&Member::Number(0.0)), None);
        assert_eq!(refresh_lifetime(&Member::Absent), None);
        assert_eq!(refresh_lifetime(&Member::Number(60.0)), Some(Duration::from_secs(60)));
    }

    proptest! {
        #[test]
        fn no_number_panics_or_lasts_longer_than_ten_years(secs in any::<f64>()) {
            let got = lifetime(&Member::Number(secs), [None, None], DEFAULT);
            assert!(got <= Duration::from_secs(3_650 * 86_400));
        }
    }
}
