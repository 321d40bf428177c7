//! JSON text with the place of each value in it.
//!
//! A file that belongs to another program is not to be written anew for one value in it: its
//! order, its spaces and its numbers stay as they are. So values are found as spans of the
//! text. The text is checked whole once, by a parser with a limit on depth; after that the
//! steps here cannot lose their way, and where they would, they find nothing.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use serde::de::IgnoredAny;
use zeroize::Zeroizing;

use super::Unfit;

/// A place in JSON (RFC 6901).
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Pointer(Vec<String>);

/// Why a text is no place: it completes the sentence "VALUE is …".
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no JSON pointer; one is like /tokens/refresh_token, with ~1 for '/' and ~0 for '~'")]
pub(crate) struct BadPointer;

impl Pointer {
    /// The place that these names lead to.
    pub(super) fn of(names: &[&str]) -> Self {
        Self(names.iter().map(|name| (*name).to_owned()).collect())
    }
}

impl FromStr for Pointer {
    type Err = BadPointer;

    fn from_str(text: &str) -> Result<Self, BadPointer> {
        /// Deeper than any file of tokens, and far below the parser's own limit.
        const DEEPEST: usize = 32;

        let steps = text.strip_prefix('/').ok_or(BadPointer)?.split('/');
        let steps = steps.map(step).collect::<Result<Vec<_>, _>>()?;
        if steps.len() > DEEPEST { Err(BadPointer) } else { Ok(Self(steps)) }
    }
}

fn step(text: &str) -> Result<String, BadPointer> {
    let mut name = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        name.push(match character {
            '~' => match rest.next() {
                Some('0') => '~',
                Some('1') => '/',
                Some(_) | None => return Err(BadPointer),
            },
            other => other,
        });
    }
    Ok(name)
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|step| write!(f, "/{}", step.replace('~', "~0").replace('/', "~1")))
    }
}

/// One value of a text.
#[derive(Clone, Debug)]
pub(super) struct Json<'t> {
    text: &'t str,
    span: Range<usize>,
}

/// What sort of value it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Sort {
    Object,
    List,
    Text,
    /// A number, `true`, `false` or `null`.
    Bare,
}

impl<'t> Json<'t> {
    /// The value that `text` is.
    ///
    /// # Errors
    ///
    /// Where it stops being JSON.
    pub(super) fn parse(text: &'t str) -> Result<Self, Unfit> {
        serde_json::from_str::<IgnoredAny>(text)
            .map_err(|error| Unfit::NotJson { line: error.line(), column: error.column() })?;
        let start = skip_space(text, 0);
        Ok(Self { text, span: start..end_of_value(text, start) })
    }

    /// Where it stands in the text.
    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// As it is written.
    pub(super) fn raw(&self) -> &'t str {
        self.text.get(self.span()).unwrap_or_default()
    }

    /// What sort of value it is.
    pub(super) fn sort(&self) -> Sort {
        match self.raw().as_bytes().first() {
            Some(b'{') => Sort::Object,
            Some(b'[') => Sort::List,
            Some(b'"') => Sort::Text,
            _ => Sort::Bare,
        }
    }

    /// The members of an object, in their order; of anything else, none.
    pub(super) fn members(&self) -> Vec<(String, Self)> {
        let mut members = Vec::new();
        if self.sort() != Sort::Object {
            return members;
        }
        let mut at = skip_space(self.text, self.span.start + 1);
        while self.byte(at) == Some(b'"') {
            let key = at..end_of_value(self.text, at);
            let colon = skip_space(self.text, key.end);
            let value = self.value_from(skip_space(self.text, colon + 1));
            at = skip_comma(self.text, value.span.end);
            let name = self.text.get(key).and_then(|key| serde_json::from_str(key).ok());
            members.extend(name.map(|name| (name, value)));
        }
        members
    }

    /// The items of a list, in their order; of anything else, none.
    pub(super) fn items(&self) -> Vec<Self> {
        let mut items = Vec::new();
        if self.sort() != Sort::List {
            return items;
        }
        let mut at = skip_space(self.text, self.span.start + 1);
        while self.byte(at).is_some_and(|byte| byte != b']') {
            let value = self.value_from(at);
            at = skip_comma(self.text, value.span.end);
            items.push(value);
        }
        items
    }

    /// The member of that name. Where it stands twice the last one counts, as everywhere.
    pub(super) fn get(&self, name: &str) -> Option<Self> {
        self.members().into_iter().rev().find_map(|(key, value)| (key == name).then_some(value))
    }

    /// The value at `pointer`.
    pub(super) fn at(&self, pointer: &Pointer) -> Option<Self> {
        pointer.0.iter().try_fold(self.clone(), |value, step| match value.sort() {
            Sort::Object => value.get(step),
            Sort::List => value.items().get(index(step)?).cloned(),
            Sort::Text | Sort::Bare => None,
        })
    }

    /// The text of a string.
    pub(super) fn text(&self) -> Option<Zeroizing<String>> {
        (self.sort() == Sort::Text)
            .then(|| serde_json::from_str(self.raw()).ok().map(Zeroizing::new))
            .flatten()
    }

    /// The value of a number.
    pub(super) fn number(&self) -> Option<f64> {
        serde_json::from_str(self.raw()).ok()
    }

    /// Whether it is `null`.
    pub(super) fn is_null(&self) -> bool {
        self.raw() == "null"
    }

    fn value_from(&self, at: usize) -> Self {
        Self { text: self.text, span: at..end_of_value(self.text, at) }
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }
}

/// An index of a list (RFC 6901, section 4): digits without a leading zero.
fn index(step: &str) -> Option<usize> {
    let plain = step.bytes().all(|byte| byte.is_ascii_digit());
    (plain && (step == "0" || !step.starts_with('0'))).then(|| step.parse().ok()).flatten()
}

fn skip_space(text: &str, at: usize) -> usize {
    let rest = text.as_bytes().get(at..).unwrap_or_default();
    at + rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count()
}

fn skip_comma(text: &str, at: usize) -> usize {
    let at = skip_space(text, at);
    if text.as_bytes().get(at) == Some(&b',') { skip_space(text, at + 1) } else { at }
}

/// Where the value ends that begins at `start`.
fn end_of_value(text: &str, start: usize) -> usize {
    let mut depth = 0_usize;
    let mut bytes = text.bytes().enumerate().skip(start);
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => {
                while let Some((_, byte)) = bytes.next() {
                    match byte {
                        b'\\' => drop(bytes.next()),
                        b'"' => break,
                        _ => {}
                    }
                }
                if depth == 0 {
                    return bytes.next().map_or(text.len(), |(next, _)| next);
                }
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 0 => return at,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            b',' | b' ' | b'\t' | b'\n' | b'\r' if depth == 0 => return at,
            _ => {}
        }
    }
    text.len()
}

/// What is to stand in the place of a span.
pub(super) struct Change {
    /// The span.
    pub(super) span: Range<usize>,
    /// What is to stand there, as JSON.
    pub(super) new: Zeroizing<String>,
}

/// `text` with these changes, whose spans do not overlap.
pub(super) fn changed(text: &str, mut changes: Vec<Change>) -> Zeroizing<String> {
    changes.sort_by_key(|change| change.span.start);
    let grown = changes.iter().map(|change| change.new.len()).sum::<usize>();
    let mut out = Zeroizing::new(String::with_capacity(text.len() + grown));
    let mut at = 0;
    for Change { span, new } in changes {
        out.push_str(text.get(at..span.start).unwrap_or_default());
        out.push_str(&new);
        at = span.end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

/// Writes `text` as a JSON string in ASCII, as Python's `json` does without options.
pub(super) fn quote(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='\u{7f}' => out.push(character),
            _ => {
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_where_it_stands() {
        let text = r#" {"a": {"b/c": [1, {"~": "x\"}"}, [ ] ,true]}, "a2":null , "e" : -1.5e3 }"#;
        #[rustfmt::skip]
        let cases = [
            ("/a/b~1c/0",    Some("1")),
            ("/a/b~1c/1",    Some(r#"{"~": "x\"}"}"#)),
            ("/a/b~1c/1/~0", Some(r#""x\"}""#)),
            ("/a/b~1c/2",    Some("[ ]")),
            ("/a/b~1c/3",    Some("true")),
            ("/a/b~1c/4",    None),
            ("/a/b~1c/01",   None),
            ("/a/b~1c/+1",   None),
            ("/a2",          Some("null")),
            ("/e",           Some("-1.5e3")),
            ("/e/0",         None),
            ("/none",        None),
            ("/",            None),
        ];
        for (pointer, expected) in cases {
            let found = Json::parse(text).unwrap().at(&pointer.parse().unwrap());
            assert_eq!(found.map(|value| value.raw()), expected, "{pointer}");
        }
    }

    #[test]
    fn the_last_of_two_members_of_one_name_counts() {
        let value = Json::parse(r#"{"a":1,"a":2}"#).unwrap();
        assert_eq!(value.get("a").unwrap().raw(), "2");
    }

    #[test]
    fn what_is_no_json_is_refused_with_its_place_and_none_of_its_words() {
        let refused = Json::parse("{\n  \"secret\": canary}").unwrap_err();
        assert_eq!(refused.to_string(), "it is not JSON (line 2, column 13)");
    }

    #[test]
    fn what_is_no_pointer_is_refused() {
        for text in ["", "a", "a/b", "/a~", "/a~2", &"/a".repeat(33)] {
            assert_eq!(text.parse::<Pointer>(), Err(BadPointer), "{text}");
        }
        assert_eq!("/a~1b/~0".parse::<Pointer>().unwrap().to_string(), "/a~1b/~0");
    }

    #[test]
    fn text_is_written_as_python_writes_it() {
        let mut out = String::new();
        quote(&mut out, "a\"\\\n\u{1}\u{7f}é\u{1f600}/");
        assert_eq!(out, r#""a\"\\\n\u0001"#.to_owned() + "\u{7f}" + r#"\u00e9\ud83d\ude00/""#);
    }

    proptest::proptest! {
        /// Every value of every document is the one that a whole parser finds there.
        #[test]
        fn spans_are_those_of_a_whole_parser(keys in proptest::collection::vec("[ -~é]{0,6}", 0..6), numbers: Vec<i32>) {
            let members = keys.iter().zip(&numbers).map(|(key, number)| (key.clone(), serde_json::json!([{ key.as_str(): number }, key])));
            let value = serde_json::Value::Object(members.collect());
            for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                let json = Json::parse(&text).unwrap();
                for (name, member) in json.members() {
                    let read = serde_json::from_str::<serde_json::Value>(member.raw()).unwrap();
                    assert_eq!(&read, &value[&name]);
                    assert_eq!(member.items().len(), 2);
                }
            }
        }
    }
}
