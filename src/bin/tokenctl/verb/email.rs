//! Whose file it is: the e-mail address by which a program knows the login in its file.
//!
//! What is typed must be the account's own, where the provider knows one: a token in another
//! person's entry would be spent, or shown, as that person's. Where nothing is typed it is the
//! account's own.

use tokenkeeper::name::AccountId;
use tokenkeeper::protocol::account::AccountView;

use super::Session;
use super::of;
use crate::args::owner::FileFormat;
use crate::args::owner::FormArgs;
use crate::client::Request;
use crate::fault::Fault;
use crate::format::taken::Source;
use crate::usage::Mistake;

/// `form` for a file of the account, with the address that it needs. A dump of nwp500 is
/// another file with one than without, so that it gets none that was not typed.
pub(super) fn form(
    session: &Session,
    verb: &str,
    account: &AccountId,
    form: &FormArgs,
) -> Result<FormArgs, Fault> {
    let email = match (form.format, &form.email) {
        (Some(FileFormat::QuiltHp), _)
        | (Some(FileFormat::Nwp500 | FileFormat::Nwp500Legacy), Some(_)) => {
            agreed(verb, form.email.clone(), own(session, account)?)?
        }
        (_, typed) => typed.clone(),
    };
    Ok(FormArgs { email, ..form.clone() })
}

/// Which login of a program's file is meant.
pub(super) fn login(
    session: &Session,
    account: &AccountId,
    source: &Source,
    typed: Option<&str>,
) -> Result<Option<String>, Fault> {
    match source {
        Source::QuiltHp | Source::HomeAssistant | Source::Nwp500(_) => {
            Ok(agreed("import", typed.map(str::to_owned), own(session, account)?)?)
        }
        Source::Json(_) => Ok(None),
    }
}

fn own(session: &Session, account: &AccountId) -> Result<Option<String>, Fault> {
    Ok(session.daemon.fetch::<AccountView>(&Request::get(of(account, "")))?.0.email)
}

/// What was typed, in its own spelling, or the account's own address.
fn agreed(
    verb: &str,
    typed: Option<String>,
    own: Option<String>,
) -> Result<Option<String>, Mistake> {
    match (typed, own) {
        (Some(typed), Some(own)) if !typed.eq_ignore_ascii_case(&own) => {
            Err(Mistake::other_email(verb, &typed, &own))
        }
        (Some(typed), _) => Ok(Some(typed)),
        (None, own) => Ok(own),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_the_accounts_own_where_it_has_one() {
        let pat = || Some("pat@example.test".to_owned());
        let capitals = || Some("Pat@Example.test".to_owned());
        assert_eq!(agreed("follow", None, pat()), Ok(pat()));
        assert_eq!(agreed("follow", None, None), Ok(None));
        assert_eq!(agreed("follow", pat(), None), Ok(pat()));
        assert_eq!(agreed("follow", capitals(), pat()), Ok(capitals()), "as the file has it");
        let refused = agreed("follow", Some("sam@example.test".into()), pat()).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "--email names sam@example.test, and the account is pat@example.test; \
             see \"tokenctl follow --help\""
        );
    }
}
