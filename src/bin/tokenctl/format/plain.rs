//! Files with one token and nothing of anybody else's: JSON, the bare token, a header, variables.

use zeroize::Zeroizing;

use super::Facts;
use super::Unfit;
use super::json::quote;

/// Which of them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Plain {
    /// Everything that belongs to the token, as an object on one line.
    Json,
    /// The token, without a newline: some readers take the file as it is.
    Raw,
    /// A line as `curl -H @FILE` reads it.
    Header,
    /// Variables, for `EnvironmentFile=` and shells.
    Env,
}

/// The whole file.
pub(super) fn write(plain: Plain, facts: &Facts) -> Result<Zeroizing<String>, Unfit> {
    match plain {
        Plain::Json => Ok(json(facts)),
        Plain::Raw => Ok(facts.token.clone()),
        Plain::Header => {
            Ok(Zeroizing::new([&facts.header_name, ": ", &facts.header_value, "\n"].concat()))
        }
        Plain::Env => env(facts),
    }
}

fn json(facts: &Facts) -> Zeroizing<String> {
    const FRAME: usize = 512;
    let room = FRAME + 6 * (facts.token.len() + facts.header_value.len() + facts.token_type.len());
    let mut out = Zeroizing::new(String::with_capacity(room));
    let (issued_at, expires_at) = (facts.issued_at.to_string(), facts.expires_at.to_string());
    for (before, text) in [
        ("{\"account\":", facts.account.as_str()),
        (",\"kind\":", &facts.kind),
        (",\"token\":", &facts.token),
        (",\"token_type\":", &facts.token_type),
        (",\"header\":{\"name\":", &facts.header_name),
        (",\"value\":", &facts.header_value),
        ("},\"issued_at\":", &issued_at),
        (",\"expires_at\":", &expires_at),
    ] {
        out.push_str(before);
        quote(&mut out, text);
    }
    out.push_str(&format!(",\"generation\":{}}}\n", facts.generation));
    out
}

/// Every value in quotes that mean the same to shells and to systemd.
fn env(facts: &Facts) -> Result<Zeroizing<String>, Unfit> {
    let quotable = |text: &str| {
        text.bytes()
            .all(|byte| byte == b' ' || byte.is_ascii_graphic() && byte != b'\'' && byte != b'\\')
    };
    let header = Zeroizing::new([&facts.header_name, ": ", &facts.header_value].concat());
    if ![facts.token.as_str(), &header, &facts.token_type].into_iter().all(quotable) {
        return Err(Unfit::Unquotable);
    }
    let lines = [
        ("TOKENKEEPER_ACCOUNT", facts.account.as_str()),
        ("TOKENKEEPER_TOKEN", &facts.token),
        ("TOKENKEEPER_TOKEN_TYPE", &facts.token_type),
        ("TOKENKEEPER_HEADER", &header),
        ("TOKENKEEPER_EXPIRES_AT", &facts.expires_at.to_string()),
    ];
    let room = lines.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    let mut out = Zeroizing::new(String::with_capacity(room));
    for (name, value) in lines {
        for part in [name, "='", value, "'\n"] {
            out.push_str(part);
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::sample::facts;

    #[test]
    fn each_form_has_its_bytes() {
        let facts = Facts { header_value: Zeroizing::new("Bearer A1".into()), ..facts() };
        #[rustfmt::skip]
        let cases = [
            (Plain::Json,   "{\"account\":\"boiler\",\"kind\":\"access\",\"token\":\"A1\",\"token_type\":\"Bearer\",\"header\":{\"name\":\"authorization\",\"value\":\"Bearer A1\"},\"issued_at\":\"2027-01-15T08:00:00Z\",\"expires_at\":\"2027-01-15T09:00:00Z\",\"generation\":7}\n"),
            (Plain::Raw,    "A1"),
            (Plain::Header, "authorization: Bearer A1\n"),
            (Plain::Env,    "TOKENKEEPER_ACCOUNT='boiler'\nTOKENKEEPER_TOKEN='A1'\nTOKENKEEPER_TOKEN_TYPE='Bearer'\nTOKENKEEPER_HEADER='authorization: Bearer A1'\nTOKENKEEPER_EXPIRES_AT='2027-01-15T09:00:00Z'\n"),
        ];
        for (plain, expected) in cases {
            assert_eq!(write(plain, &facts).unwrap().as_str(), expected, "{plain:?}");
        }
    }

    #[test]
    fn a_token_that_would_end_its_quotes_is_not_written_as_a_variable() {
        for token in ["a'b", "a\\b", "a\nb", "\u{e9}"] {
            let facts = Facts { token: Zeroizing::new(token.into()), ..facts() };
            assert_eq!(write(Plain::Env, &facts), Err(Unfit::Unquotable), "{token:?}");
        }
    }
}
