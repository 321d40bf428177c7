//! The `tokens.json` of the quilt-hp library: accounts by e-mail.
//!
//! Its program writes it with an indent of two, in ASCII, without a newline at the end, and
//! each entry with three keys in this order. Entries of others keep their place. An entry of
//! this account is replaced as a whole, and a new one stands last, as its program does it.

use zeroize::Zeroizing;

use super::Facts;
use super::Unfit;
use super::json::Json;
use super::json::Pointer;
use super::json::Sort;
use super::json::quote;

/// What the file is called in messages.
pub(super) const NAME: &str = "a tokens.json of quilt-hp";

/// Where the file has the refresh token of an account.
pub(super) fn refresh_token_of(email: &str) -> Pointer {
    Pointer::of(&[email, "refresh_token"])
}

/// The file with the account's entry.
pub(super) fn write(
    facts: &Facts,
    email: &str,
    present: Option<&str>,
) -> Result<Zeroizing<String>, Unfit> {
    let mut out = Zeroizing::new(String::with_capacity(room(facts, email, present)));
    let mut written = false;
    out.push('{');
    if let Some(present) = present {
        let file = Json::parse(present)?;
        if file.sort() != Sort::Object {
            return Err(Unfit::OtherForm(NAME));
        }
        for (name, value) in unique(file.members()) {
            begin(&mut out, &name);
            if name == email {
                entry(&mut out, facts);
                written = true;
            } else {
                render(&mut out, &value, 1);
            }
        }
    }
    if !written {
        begin(&mut out, email);
        entry(&mut out, facts);
    }
    out.push_str("\n}");
    Ok(out)
}

/// A name that stands twice keeps its first place and its last value, as in Python's `dict`.
fn unique<'t>(members: Vec<(String, Json<'t>)>) -> Vec<(String, Json<'t>)> {
    let mut unique = Vec::<(String, Json<'t>)>::with_capacity(members.len());
    for (name, value) in members {
        match unique.iter_mut().find(|(known, _)| *known == name) {
            Some((_, earlier)) => *earlier = value,
            None => unique.push((name, value)),
        }
    }
    unique
}

/// Enough that the text never grows while it is written: an escaped character takes six bytes
/// for one, and an indent at most doubles what JSON has at its smallest, in each of its levels.
fn room(facts: &Facts, email: &str, present: Option<&str>) -> usize {
    const FRAME: usize = 256;
    FRAME + 6 * (facts.token.len() + email.len()) + 8 * present.map_or(0, str::len)
}

fn begin(out: &mut String, name: &str) {
    out.push_str(if out.len() > 1 { ",\n  " } else { "\n  " });
    quote(out, name);
    out.push_str(": ");
}

fn entry(out: &mut String, facts: &Facts) {
    out.push_str("{\n    \"id_token\": ");
    quote(out, &facts.token);
    // A float, as its program has it.
    let expires_at = facts.expires_at.as_secs();
    out.push_str(&format!(
        ",\n    \"refresh_token\": \"\",\n    \"expires_at\": {expires_at}.0\n  }}"
    ));
}

/// A value of somebody else's, in the form of the file.
fn render(out: &mut String, value: &Json<'_>, depth: usize) {
    let line = |out: &mut String, first: bool, depth: usize| {
        out.push_str(if first { "\n" } else { ",\n" });
        out.push_str(&"  ".repeat(depth));
    };
    match value.sort() {
        Sort::Text => quote(out, &value.text().unwrap_or_default()),
        Sort::Bare => out.push_str(value.raw()),
        Sort::Object => {
            let members = unique(value.members());
            out.push('{');
            for (index, (name, member)) in members.iter().enumerate() {
                line(out, index == 0, depth + 1);
                quote(out, name);
                out.push_str(": ");
                render(out, member, depth + 1);
            }
            if !members.is_empty() {
                out.push('\n');
                out.push_str(&"  ".repeat(depth));
            }
            out.push('}');
        }
        Sort::List => {
            let items = value.items();
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                line(out, index == 0, depth + 1);
                render(out, item, depth + 1);
            }
            if !items.is_empty() {
                out.push('\n');
                out.push_str(&"  ".repeat(depth));
            }
            out.push(']');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::sample::facts;

    #[test]
    fn a_new_file_has_the_bytes_that_the_library_writes() {
        let written = write(&facts(), "pat@example.test", None).unwrap();
        assert_eq!(written.as_str(), OURS);
    }

    #[test]
    fn entries_of_others_keep_their_bytes_and_their_order() {
        let before = format!(
            "{{\n{OTHER},\n  {}\n}}",
            r#""pat@example.test": {"id_token": "old", "refresh_token": "R0", "expires_at": 1.5, "extra": 1}"#
        );
        let before = format!("{},\n{LATER}\n}}", before.strip_suffix("\n}").unwrap());
        let written = write(&facts(), "pat@example.test", Some(&before)).unwrap();
        let ours = OURS.strip_prefix("{\n").unwrap().strip_suffix("\n}").unwrap();
        assert_eq!(written.as_str(), format!("{{\n{OTHER},\n{ours},\n{LATER}\n}}"));
        assert!(!written.contains("R0"));
    }

    #[test]
    fn a_new_entry_stands_last() {
        let before = format!("{{\n{OTHER}\n}}");
        let written = write(&facts(), "pat@example.test", Some(&before)).unwrap();
        let ours = OURS.strip_prefix("{\n").unwrap();
        assert_eq!(written.as_str(), format!("{{\n{OTHER},\n{ours}"));
    }

    #[test]
    fn what_was_written_is_written_again_without_a_change() {
        let email = "p\u{e4}t \"x\"@example.test";
        let first = write(&facts(), email, Some("{\"a\": {}, \"b\": [], \"c\": [1, {}]}")).unwrap();
        let second = write(&facts(), email, Some(&first)).unwrap();
        assert_eq!(first, second);
        assert!(first.contains("  \"p\\u00e4t \\\"x\\\"@example.test\": {\n"), "{}", *first);
    }

    #[test]
    fn what_is_no_such_file_is_left_alone() {
        for (text, why) in [
            ("[]", "it has another form than a tokens.json of quilt-hp has"),
            ("{\"a\":", "it is not JSON (line 1, column 5)"),
            ("", "it is not JSON (line 1, column 0)"),
        ] {
            let refused = write(&facts(), "pat@example.test", Some(text)).unwrap_err();
            assert_eq!(refused.to_string(), why);
        }
    }

    const OURS: &str = "{\n  \"pat@example.test\": {\n    \"id_token\": \"A1\",\n    \
                        \"refresh_token\": \"\",\n    \"expires_at\": 1800003600.0\n  }\n}";

    const OTHER: &str = "  \"kim@example.test\": {\n    \"id_token\": \"I1\",\n    \
                         \"refresh_token\": \"R1\",\n    \"expires_at\": 1800000000.25\n  }";

    const LATER: &str = "  \"\\u00e4@example.test\": {\n    \"id_token\": \"I2\",\n    \
                         \"refresh_token\": \"\",\n    \"expires_at\": 1800000000\n  }";
}
