//! What the name of a credential means: `ACCOUNT`, or `ACCOUNT.KIND`.
//!
//! An account's name has no dot, so that the first one separates the two. There is no word for
//! a refresh token. Pure and total.

use crate::token::Kind;

/// What a unit wants of which account.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Wanted<'a> {
    /// The account, whose name may be none.
    pub account: &'a str,
    /// What of it.
    pub form: Form,
}

/// In which form.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// The bytes of a token and nothing else; `None` is what the provider's API takes.
    Raw(Option<Kind>),
    /// The header with the token, in one line.
    Header,
    /// The token with all that is known of it, as the socket answers.
    Json,
}

/// Every kind by its word.
const KINDS: &[(&str, Form)] = &[
    (Kind::Access.as_str(), Form::Raw(Some(Kind::Access))),
    (Kind::Id.as_str(), Form::Raw(Some(Kind::Id))),
    (Kind::Aws.as_str(), Form::Raw(Some(Kind::Aws))),
    ("header", Form::Header),
    ("json", Form::Json),
];

/// There is no such kind.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "its credential has no kind that there is: ACCOUNT, or ACCOUNT with .access, .id, .aws, \
     .header or .json"
)]
pub struct NoSuchKind;

impl<'a> Wanted<'a> {
    /// Reads the name of a credential.
    ///
    /// # Errors
    ///
    /// If it has a kind that there is not.
    pub fn parse(id: &'a str) -> Result<Self, NoSuchKind> {
        let Some((account, word)) = id.split_once('.') else {
            return Ok(Self { account: id, form: Form::Raw(None) });
        };
        let form = KINDS.iter().find_map(|(known, form)| (*known == word).then_some(*form));
        Ok(Self { account, form: form.ok_or(NoSuchKind)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_an_account_and_perhaps_a_kind() {
        #[rustfmt::skip]
        let cases = [
            ("mail",           Ok(("mail", Form::Raw(None)))),
            ("mail.access",    Ok(("mail", Form::Raw(Some(Kind::Access))))),
            ("mail.id",        Ok(("mail", Form::Raw(Some(Kind::Id))))),
            ("boiler.aws",     Ok(("boiler", Form::Raw(Some(Kind::Aws))))),
            ("mail.header",    Ok(("mail", Form::Header))),
            ("mail.json",      Ok(("mail", Form::Json))),
            ("",               Ok(("", Form::Raw(None)))),
            (".json",          Ok(("", Form::Json))),
            ("mail.refresh",   Err(NoSuchKind)),
            ("mail.",          Err(NoSuchKind)),
            ("mail.JSON",      Err(NoSuchKind)),
            ("mail.id.json",   Err(NoSuchKind)),
        ];
        for (id, expected) in cases {
            let got = Wanted::parse(id).map(|wanted| (wanted.account, wanted.form));
            assert_eq!(got, expected, "{id}");
        }
    }

    #[test]
    fn every_kind_of_token_has_a_word_and_the_refusal_tells_each() {
        for kind in Kind::ALL {
            let wanted = format!("mail.{}", kind.as_str());
            assert_eq!(Wanted::parse(&wanted).map(|it| it.form), Ok(Form::Raw(Some(*kind))));
        }
        for (word, _) in KINDS {
            assert!(NoSuchKind.to_string().contains(&format!(".{word}")), "{word}");
        }
    }
}
