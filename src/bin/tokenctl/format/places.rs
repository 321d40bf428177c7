//! Some places of a JSON file that belongs to its program: the rest of it stays as it is, byte
//! for byte.

use zeroize::Zeroizing;

use super::Facts;
use super::Unfit;
use super::date::DateForm;
use super::json::Change;
use super::json::Json;
use super::json::Pointer;
use super::json::Sort;
use super::json::changed;
use super::json::quote;

/// What the file is called in messages.
const NAME: &str = "a JSON file with tokens";

/// Where the file has what.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Places {
    /// The refresh token, which is kept blank.
    pub(crate) refresh: Option<Pointer>,
    /// The access token.
    pub(crate) access: Option<Pointer>,
    /// When that expires.
    pub(crate) expires: Option<Pointer>,
    /// In which form; without one, in the form that the file has it in.
    pub(crate) form: Option<DateForm>,
}

impl Places {
    /// The refresh token that stands there; `None` if it is blank or `null`.
    ///
    /// # Errors
    ///
    /// The file is no JSON, or has something else there.
    pub(crate) fn refresh_token(&self, present: &str) -> Result<Option<Zeroizing<String>>, Unfit> {
        let Some(place) = &self.refresh else { return Ok(None) };
        let file = Json::parse(present)?;
        let value = file.at(place).ok_or_else(|| Unfit::NoSuchPlace(place.clone()))?;
        if value.is_null() {
            return Ok(None);
        }
        let expected = || Unfit::NotA { place: place.clone(), expected: "text" };
        let token = value.text().ok_or_else(expected)?;
        Ok(Some(token).filter(|token| !token.is_empty()))
    }

    /// The file without its refresh token.
    ///
    /// # Errors
    ///
    /// As [`refresh_token`](Self::refresh_token).
    pub(crate) fn blanked(&self, present: &str) -> Result<Zeroizing<String>, Unfit> {
        let file = Json::parse(present)?;
        Ok(changed(present, self.blank(&file)?.into_iter().collect()))
    }

    /// The file with the newest token, and without a refresh token.
    pub(super) fn write(
        &self,
        facts: &Facts,
        present: Option<&str>,
    ) -> Result<Zeroizing<String>, Unfit> {
        let present = present.ok_or(Unfit::OtherForm(NAME))?;
        let file = Json::parse(present)?;
        let mut changes = self.blank(&file)?.into_iter().collect::<Vec<_>>();
        if let Some(place) = &self.access {
            let value = file.at(place).ok_or_else(|| Unfit::NoSuchPlace(place.clone()))?;
            let mut token = Zeroizing::new(String::with_capacity(6 * facts.token.len() + 2));
            quote(&mut token, &facts.token);
            changes.push(Change { span: value.span(), new: token });
        }
        if let Some(place) = &self.expires {
            let value = file.at(place).ok_or_else(|| Unfit::NoSuchPlace(place.clone()))?;
            let form = self.form.or_else(|| DateForm::of(&value));
            let expected = || Unfit::NotA { place: place.clone(), expected: "time" };
            let time = form.ok_or_else(expected)?.json(facts.expires_at);
            changes.push(Change { span: value.span(), new: Zeroizing::new(time) });
        }
        Ok(changed(present, changes))
    }

    fn blank(&self, file: &Json<'_>) -> Result<Option<Change>, Unfit> {
        let Some(place) = &self.refresh else { return Ok(None) };
        let value = file.at(place).ok_or_else(|| Unfit::NoSuchPlace(place.clone()))?;
        match value.sort() {
            Sort::Text => {
                Ok(Some(Change { span: value.span(), new: Zeroizing::new("\"\"".to_owned()) }))
            }
            Sort::Bare if value.is_null() => Ok(None),
            Sort::Bare | Sort::Object | Sort::List => {
                Err(Unfit::NotA { place: place.clone(), expected: "text" })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::sample::facts;

    #[test]
    fn only_the_places_change_and_every_other_byte_stays() {
        let written = places().write(&facts(), Some(BEFORE)).unwrap();
        assert_eq!(written.as_str(), AFTER);
        assert_eq!(places().refresh_token(BEFORE).unwrap().unwrap().as_str(), "R\"1");
        assert_eq!(places().refresh_token(AFTER).unwrap(), None);
    }

    #[test]
    fn a_file_is_blanked_without_another_change() {
        let blanked = places().blanked(BEFORE).unwrap();
        assert_eq!(blanked.as_str(), BEFORE.replace(r#""R\"1""#, "\"\""));
    }

    #[test]
    fn a_time_keeps_the_form_that_the_file_has_it_in() {
        #[rustfmt::skip]
        let cases = [
            ("1",                      None,                    "1800003600"),
            ("1799999999.5",           None,                    "1800003600"),
            ("1799999999000",          None,                    "1800003600000"),
            ("\"2027-01-15T07:00Z\"",  None,                    "\"2027-01-15T09:00:00Z\""),
            ("1",                      Some(DateForm::Millis),  "1800003600000"),
            ("null",                   Some(DateForm::Rfc3339), "\"2027-01-15T09:00:00Z\""),
        ];
        for (before, form, after) in cases {
            let places = Places { refresh: None, access: None, expires: at("/e"), form };
            let written = places.write(&facts(), Some(&format!("{{\"e\": {before}}}"))).unwrap();
            assert_eq!(written.as_str(), format!("{{\"e\": {after}}}"), "{before}");
        }
    }

    #[test]
    fn a_file_that_has_not_the_places_is_left_alone() {
        #[rustfmt::skip]
        let cases = [
            ("{}",                                   "it has nothing at /tokens/refresh"),
            ("{\"tokens\": {\"refresh\": 5}}",       "at /tokens/refresh it has no text"),
            ("{\"tokens\": {\"refresh\": \"\"}}",    "it has nothing at /tokens/access"),
            ("not JSON",                             "it is not JSON (line 1, column 2)"),
        ];
        for (present, why) in cases {
            let refused = places().write(&facts(), Some(present)).unwrap_err();
            assert_eq!(refused.to_string(), why);
        }
    }

    const BEFORE: &str = "{ \"v\" : 1.50,\n\t\"tokens\":{\"refresh\": \"R\\\"1\",\r\n \"access\":null},\"expires\": 5 , \"x\": \"\\u00e4\"}\n\n";

    const AFTER: &str = "{ \"v\" : 1.50,\n\t\"tokens\":{\"refresh\": \"\",\r\n \"access\":\"A1\"},\"expires\": 1800003600 , \"x\": \"\\u00e4\"}\n\n";

    fn places() -> Places {
        Places {
            refresh: at("/tokens/refresh"),
            access: at("/tokens/access"),
            expires: at("/expires"),
            form: None,
        }
    }

    fn at(pointer: &str) -> Option<Pointer> {
        Some(pointer.parse().unwrap())
    }
}
