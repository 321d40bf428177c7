//! A file as a person says: text with places for what there is to write.

use std::str::FromStr;
use std::time::Duration;

use tokenkeeper::time::Timestamp;
use zeroize::Zeroizing;

use super::Facts;

/// A template, taken apart.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Template(Vec<Part>);

#[derive(Clone, Debug, Eq, PartialEq)]
enum Part {
    Text(String),
    Field(Field),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Field {
    Token,
    ExpiresAt,
    Ttl,
    Account,
    Generation,
    Header,
}

const FIELDS: &[(&str, Field)] = &[
    ("token", Field::Token),
    ("expires_at", Field::ExpiresAt),
    ("ttl", Field::Ttl),
    ("account", Field::Account),
    ("generation", Field::Generation),
    ("header", Field::Header),
];

/// Why a text is no template: it completes the sentence "VALUE is …".
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum BadTemplate {
    /// A brace without its partner.
    #[error("no template: a brace has no partner; write {{{{ and }}}} for braces of the text")]
    Brace,
    /// A place for something that there is not.
    #[error(
        "no template: it knows {{token}}, {{expires_at}}, {{ttl}}, {{account}}, {{generation}} and {{header}}"
    )]
    Unknown,
}

impl FromStr for Template {
    type Err = BadTemplate;

    fn from_str(text: &str) -> Result<Self, BadTemplate> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text.chars().peekable();
        while let Some(character) = rest.next() {
            match character {
                '{' if rest.next_if_eq(&'{').is_some() => plain.push('{'),
                '}' if rest.next_if_eq(&'}').is_some() => plain.push('}'),
                '}' => return Err(BadTemplate::Brace),
                '{' => {
                    let mut name = String::new();
                    loop {
                        match rest.next() {
                            Some('}') => break,
                            Some('{') | None => return Err(BadTemplate::Brace),
                            Some(other) => name.push(other),
                        }
                    }
                    let field = FIELDS.iter().find(|(known, _)| *known == name);
                    let (_, field) = field.ok_or(BadTemplate::Unknown)?;
                    parts.push(Part::Text(std::mem::take(&mut plain)));
                    parts.push(Part::Field(*field));
                }
                other => plain.push(other),
            }
        }
        parts.push(Part::Text(plain));
        parts.retain(|part| *part != Part::Text(String::new()));
        Ok(Self(parts))
    }
}

impl Template {
    /// The text with its places filled; `{ttl}` is what is left at `now`, in whole seconds.
    pub(super) fn write(&self, facts: &Facts, now: Timestamp) -> Zeroizing<String> {
        let ttl: Duration = facts.expires_at.since(now);
        let header = Zeroizing::new([&facts.header_name, ": ", &facts.header_value].concat());
        let expires_at = facts.expires_at.to_string();
        let (ttl, generation) = (ttl.as_secs().to_string(), facts.generation.to_string());
        let pieces = self.0.iter().map(|part| match part {
            Part::Text(text) => text.as_str(),
            Part::Field(Field::Token) => &facts.token,
            Part::Field(Field::ExpiresAt) => &expires_at,
            Part::Field(Field::Ttl) => &ttl,
            Part::Field(Field::Account) => &facts.account,
            Part::Field(Field::Generation) => &generation,
            Part::Field(Field::Header) => &header,
        });
        // Joining strings takes their whole room at once.
        Zeroizing::new(pieces.collect::<Vec<&str>>().concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::sample::facts;

    #[test]
    fn every_place_is_filled_and_braces_can_be_written() {
        let template = "{{\"t\":\"{token}\"}} {account} {generation} {expires_at} {ttl} {header}\n";
        let written = template.parse::<Template>().unwrap().write(&facts(), NOW);
        assert_eq!(
            written.as_str(),
            "{\"t\":\"A1\"} boiler 7 2027-01-15T09:00:00Z 3540 authorization: A1\n"
        );
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for (text, why) in [
            ("{", BadTemplate::Brace),
            ("}", BadTemplate::Brace),
            ("{token", BadTemplate::Brace),
            ("{to{ken}", BadTemplate::Brace),
            ("{}", BadTemplate::Unknown),
            ("{refresh_token}", BadTemplate::Unknown),
        ] {
            assert_eq!(text.parse::<Template>(), Err(why), "{text}");
        }
    }

    #[test]
    fn the_message_names_every_place_that_there_is() {
        let told = BadTemplate::Unknown.to_string();
        for (name, _) in FIELDS {
            assert!(told.contains(&format!("{{{name}}}")), "{name}");
        }
    }

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_060_000);
}
