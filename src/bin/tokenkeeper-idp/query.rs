//! The parameters behind the question mark of a control request.

use std::collections::BTreeMap;

use url::form_urlencoded;

use crate::bad_control::BadControl;

/// Parameters by name; the last one of a name counts.
pub(crate) struct Query(BTreeMap<String, String>);

impl Query {
    /// Reads parameters, of which only the `known` may occur.
    ///
    /// # Errors
    ///
    /// Another one occurs.
    pub(crate) fn parse(text: &str, known: &[&str]) -> Result<Self, BadControl> {
        let mut params = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            if !known.contains(&&*name) {
                let expected = known.join(", ");
                return Err(BadControl::Parameter { name: name.into_owned(), expected });
            }
            params.insert(name.into_owned(), value.into_owned());
        }
        Ok(Self(params))
    }

    /// A parameter as text.
    pub(crate) fn one(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A parameter as a number up to `most`.
    ///
    /// # Errors
    ///
    /// It is none.
    pub(crate) fn number(&self, name: &'static str, most: u64) -> Result<Option<u64>, BadControl> {
        let Some(text) = self.one(name) else { return Ok(None) };
        match text.parse() {
            Ok(number) if number <= most => Ok(Some(number)),
            _ => Err(BadControl::Number { name, value: text.to_owned(), most }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_known_and_in_range_or_refused_by_name() {
        let query = |text| Query::parse(text, &["account", "since"]);
        assert_eq!(query("account=a&since=9").unwrap().number("since", 9).unwrap(), Some(9));
        assert_eq!(query("").unwrap().number("since", 9).unwrap(), None);
        assert!(query("acount=a").err().unwrap().to_string().contains("`acount` is unknown"));
        for wrong in ["since=10", "since=-1", "since=x", "since="] {
            let refusal = query(wrong).unwrap().number("since", 9).unwrap_err().to_string();
            assert!(refusal.contains("expected a number of 0 to 9"), "{wrong}: {refusal}");
        }
    }
}
