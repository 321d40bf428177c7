//! Reading the options of a call strictly: what is not known or of the wrong type is an error
//! that says which, and what was expected.

use std::collections::HashMap;
use std::time::Duration;

use zbus::OwnedVariant;
use zbus::Variant;

use crate::error::code::Code;
use crate::error::foreign::scrubbed;
use crate::limits;
use crate::snapshot::LONGEST_WAIT;
use crate::snapshot::Refusal;
use crate::spelling::nearest;

/// The option of every call that can wait: seconds.
pub const WAIT: &str = "wait";

/// The options of one call.
pub struct Options(HashMap<String, OwnedVariant>);

impl Options {
    /// Takes over what a message says.
    ///
    /// # Errors
    ///
    /// `BAD_REQUEST` for an option that is not in `known`.
    pub fn read(
        given: HashMap<String, OwnedVariant>,
        known: &[&'static str],
    ) -> Result<Self, Refusal> {
        match given.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => Err(unknown(name, known)),
            None => Ok(Self(given)),
        }
    }

    /// A string.
    ///
    /// # Errors
    ///
    /// `BAD_REQUEST` for anything else.
    pub fn text(&self, name: &str) -> Result<Option<&str>, Refusal> {
        match self.0.get(name).map(|value| &**value) {
            None => Ok(None),
            Some(Variant::Str(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(wrong(name, "a string")),
        }
    }

    /// A whole number of any integer type, not below 0.
    ///
    /// # Errors
    ///
    /// `BAD_REQUEST` for anything else.
    pub fn number(&self, name: &str) -> Result<Option<u64>, Refusal> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        let number = match **value {
            Variant::U8(number) => Some(u64::from(number)),
            Variant::U16(number) => Some(u64::from(number)),
            Variant::U32(number) => Some(u64::from(number)),
            Variant::U64(number) => Some(number),
            Variant::I16(number) => u64::try_from(number).ok(),
            Variant::I32(number) => u64::try_from(number).ok(),
            Variant::I64(number) => u64::try_from(number).ok(),
            Variant::Bool(_)
            | Variant::F64(_)
            | Variant::Str(_)
            | Variant::Signature(_)
            | Variant::ObjectPath(_)
            | Variant::Variant(_)
            | Variant::Array(_)
            | Variant::Dict(_)
            | Variant::Structure(_)
            | Variant::Fd(_) => None,
        };
        number.map(Some).ok_or_else(|| wrong(name, "a whole number, 0 or more"))
    }

    /// A span in whole seconds, at most `most`.
    ///
    /// # Errors
    ///
    /// `BAD_REQUEST` for anything else.
    pub fn seconds(&self, name: &str, most: u64) -> Result<Option<Duration>, Refusal> {
        match self.number(name)? {
            Some(secs) if secs > most => {
                Err(wrong(name, &format!("a whole number of seconds, 0 to {most}")))
            }
            secs => Ok(secs.map(Duration::from_secs)),
        }
    }

    /// [`WAIT`], or its default.
    ///
    /// # Errors
    ///
    /// `BAD_REQUEST` for what is no such span.
    pub fn patience(&self) -> Result<Duration, Refusal> {
        Ok(self.seconds(WAIT, LONGEST_WAIT.as_secs())?.unwrap_or(limits::DEFAULT_WAIT))
    }

    /// One of `words`.
    ///
    /// # Errors
    ///
    /// `BAD_REQUEST` for any other.
    pub fn word<T: Copy>(
        &self,
        name: &str,
        words: &[(&'static str, T)],
    ) -> Result<Option<T>, Refusal> {
        let Some(value) = self.text(name)? else { return Ok(None) };
        let meaning = words.iter().find(|(word, _)| *word == value).map(|(_, meaning)| *meaning);
        let list = || words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
        meaning.map(Some).ok_or_else(|| wrong(name, &format!("one of {}", list())))
    }
}

/// Most characters of an option's name that are repeated in a message.
const SHOWN: usize = 40;

/// What was given is not repeated: it may be a token in the wrong place.
fn wrong(name: &str, expected: &str) -> Refusal {
    bad(format!("option `{name}` must be {expected}"))
}

fn unknown(name: &str, known: &[&'static str]) -> Refusal {
    let near = nearest(name, known.iter().copied());
    let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    // A name may be a token in the wrong place, too: what looks like one is masked.
    let name = scrubbed(name, SHOWN);
    let takes = match known {
        [] => "the call takes none".to_owned(),
        _ => format!("known are {}", known.join(", ")),
    };
    bad(format!("option `{name}` is not known{hint}; {takes}"))
}

/// That the call itself is wrong.
pub(super) fn bad(message: String) -> Refusal {
    Refusal::new(Code::BadRequest, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_may_have_any_integer_type() {
        let numbers = [
            Variant::U8(5),
            Variant::U16(5),
            Variant::U32(5),
            Variant::U64(5),
            Variant::I16(5),
            Variant::I32(5),
            Variant::I64(5),
        ];
        for number in numbers {
            let options = Options::read(given(WAIT, number), &[WAIT]).unwrap();
            assert_eq!(options.patience(), Ok(Duration::from_secs(5)));
        }
        let none = Options::read(HashMap::new(), &[WAIT]).unwrap();
        assert_eq!(none.patience(), Ok(limits::DEFAULT_WAIT));
    }

    #[test]
    fn what_is_wrong_is_named_and_not_repeated() {
        #[rustfmt::skip]
        let cases = [
            ("wiat", Variant::U32(1),       "option `wiat` is not known; did you mean `wait`?; known are wait, kind"),
            ("wait", Variant::I32(-1),      "option `wait` must be a whole number, 0 or more"),
            ("wait", Variant::U64(61),      "option `wait` must be a whole number of seconds, 0 to 60"),
            ("wait", Variant::from("x"),    "option `wait` must be a whole number, 0 or more"),
            ("kind", Variant::U32(1),       "option `kind` must be a string"),
            ("kind", Variant::from("s3cr"), "option `kind` must be one of access, id"),
        ];
        for (name, value, expected) in cases {
            let refusal = read_all(given(name, value)).unwrap_err();
            assert_eq!(refusal, Refusal::new(Code::BadRequest, expected));
        }
    }

    fn given(name: &str, value: Variant<'static>) -> HashMap<String, OwnedVariant> {
        HashMap::from([(name.to_owned(), value.try_into().unwrap())])
    }

    fn read_all(given: HashMap<String, OwnedVariant>) -> Result<(), Refusal> {
        let options = Options::read(given, &["wait", "kind"])?;
        options.patience()?;
        options.word("kind", &[("access", 1), ("id", 2)])?;
        Ok(())
    }
}
