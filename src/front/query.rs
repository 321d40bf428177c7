//! Reading a query strictly: what is not known, twice there or of the wrong type is an
//! error that says which, and what was expected.

use std::borrow::Cow;
use std::time::Duration;

use url::form_urlencoded;

use crate::error::code::Code;
use crate::front::spelling::hint;
use crate::front::spelling::quoted;
use crate::snapshot::Refusal;

/// A parameter that a request knows: its name, what it can be and what it means, both for the
/// OpenAPI text.
#[derive(Clone, Copy)]
pub(super) struct Param {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    pub(super) says: &'static str,
}

/// What the value of a parameter can be, as far as the OpenAPI text can say it.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    /// A text of 1 to so many characters.
    Text(usize),
    /// A whole number, 0 to this.
    Whole(u64),
    /// One of these words.
    Word(&'static [&'static str]),
    /// What this regular expression matches, in the words of ECMA-262.
    Like(&'static str),
}

/// The parameters of one request.
pub(super) struct Query<'a>(Vec<(&'static str, Cow<'a, str>)>);

impl<'a> Query<'a> {
    /// Reads `text`, the part after the question mark.
    ///
    /// # Errors
    ///
    /// `BAD_REQUEST` for a parameter that is not in `known` or is there twice.
    pub(super) fn read(text: Option<&'a str>, known: &[Param]) -> Result<Self, Refusal> {
        let mut pairs = Vec::<(&'static str, Cow<'a, str>)>::new();
        for (name, value) in form_urlencoded::parse(text.unwrap_or_default().as_bytes()) {
            let Some(param) = known.iter().find(|param| param.name == name) else {
                return Err(unknown(&name, known));
            };
            if pairs.iter().any(|(seen, _)| *seen == param.name) {
                return Err(bad(format!("query parameter `{name}` is there twice")));
            }
            pairs.push((param.name, value));
        }
        Ok(Self(pairs))
    }

    /// The value of a parameter.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find_map(|(known, value)| (*known == name).then_some(value.as_ref()))
    }

    /// A span in whole seconds, at most `most`.
    pub(super) fn seconds(&self, name: &str, most: u64) -> Result<Option<Duration>, Refusal> {
        let expected = || format!("a whole number of seconds, 0 to {most}");
        let secs = self.number(name, expected)?;
        match secs {
            Some(secs) if secs > most => Err(self.wrong(name, &expected())),
            _ => Ok(secs.map(Duration::from_secs)),
        }
    }

    /// A number of a user or group.
    pub(super) fn id(&self, name: &str) -> Result<Option<u32>, Refusal> {
        let expected = || "a number from 0 to 4294967294".to_owned();
        match self.number(name, expected)? {
            None => Ok(None),
            Some(id) => match u32::try_from(id) {
                Ok(id) if id < u32::MAX => Ok(Some(id)),
                _ => Err(self.wrong(name, &expected())),
            },
        }
    }

    /// One of `words`.
    pub(super) fn word<T: Copy>(
        &self,
        name: &str,
        words: &[(&'static str, T)],
    ) -> Result<Option<T>, Refusal> {
        let Some(value) = self.get(name) else { return Ok(None) };
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == value) {
            return Ok(Some(*meaning));
        }
        let list = words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
        let hint = hint(value, words.iter().map(|(word, _)| *word));
        Err(bad(format!(
            "query parameter `{name}` must be one of {list}; it is {}{hint}",
            quoted(value)
        )))
    }

    /// That the parameter must be something else.
    pub(super) fn wrong(&self, name: &str, expected: &str) -> Refusal {
        let value = self.get(name).unwrap_or_default();
        bad(format!("query parameter `{name}` must be {expected}; it is {}", quoted(value)))
    }

    fn number(
        &self,
        name: &str,
        expected: impl FnOnce() -> String,
    ) -> Result<Option<u64>, Refusal> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        match value.parse() {
            Ok(number) if digits => Ok(Some(number)),
            _ => Err(self.wrong(name, &expected())),
        }
    }
}

fn unknown(name: &str, known: &[Param]) -> Refusal {
    let names = known.iter().map(|param| param.name);
    let hint = hint(name, names.clone());
    let known = match known {
        [] => "this request takes none".to_owned(),
        _ => format!("known are {}", names.collect::<Vec<_>>().join(", ")),
    };
    bad(format!("query parameter {} is not known{hint}; {known}", quoted(name)))
}

fn bad(message: String) -> Refusal {
    Refusal::new(Code::BadRequest, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_right_is_read() {
        let query = Query::read(Some("wait=5&kind=id&uid=0"), KNOWN).unwrap();
        assert_eq!(query.seconds("wait", 60), Ok(Some(Duration::from_secs(5))));
        assert_eq!(query.word("kind", WORDS), Ok(Some(2)));
        assert_eq!(query.id("uid"), Ok(Some(0)));
        let none = Query::read(None, KNOWN).unwrap();
        assert_eq!(none.seconds("wait", 60), Ok(None));
        assert_eq!(none.word("kind", WORDS), Ok(None));
        assert_eq!(none.id("uid"), Ok(None));
    }

    #[test]
    fn what_is_wrong_is_named() {
        #[rustfmt::skip]
        let cases = [
            ("wiat=1",         "query parameter `wiat` is not known; did you mean `wait`?; known are wait, kind, uid"),
            ("x=1",            "query parameter `x` is not known; known are wait, kind, uid"),
            ("wait=1&wait=1",  "query parameter `wait` is there twice"),
            ("wait=",          "query parameter `wait` must be a whole number of seconds, 0 to 60; it is ``"),
            ("wait=-1",        "query parameter `wait` must be a whole number of seconds, 0 to 60; it is `-1`"),
            ("wait=%2B1",      "query parameter `wait` must be a whole number of seconds, 0 to 60; it is `+1`"),
            ("wait=61",        "query parameter `wait` must be a whole number of seconds, 0 to 60; it is `61`"),
            ("wait=1s",        "query parameter `wait` must be a whole number of seconds, 0 to 60; it is `1s`"),
            ("wait=99999999999999999999", "query parameter `wait` must be a whole number of seconds, 0 to 60; it is `[masked]`"),
            ("kind=ID",        "query parameter `kind` must be one of access, id; it is `ID`; did you mean `id`?"),
            ("kind=acess",     "query parameter `kind` must be one of access, id; it is `acess`; did you mean `access`?"),
            ("uid=4294967295", "query parameter `uid` must be a number from 0 to 4294967294; it is `4294967295`"),
            ("uid=root",       "query parameter `uid` must be a number from 0 to 4294967294; it is `root`"),
        ];
        for (text, expected) in cases {
            let refusal = read_all(text).unwrap_err();
            assert_eq!(refusal, Refusal::new(Code::BadRequest, expected), "{text}");
        }
    }

    const KNOWN: &[Param] = &[known("wait"), known("kind"), known("uid")];

    const WORDS: &[(&str, u8)] = &[("access", 1), ("id", 2)];

    const fn known(name: &'static str) -> Param {
        Param { name, shape: Shape::Text(1), says: "" }
    }

    fn read_all(text: &str) -> Result<(), Refusal> {
        let query = Query::read(Some(text), KNOWN)?;
        query.seconds("wait", 60)?;
        query.word("kind", WORDS)?;
        query.id("uid")?;
        Ok(())
    }
}
