//! `export` and `handover`: a token for somebody else, once.

use std::path::Path;

use jiff::tz::TimeZone;
use tokenkeeper::clock;
use tokenkeeper::name::AccountId;
use tokenkeeper::protocol::account::ReleaseAnswer;
use zeroize::Zeroizing;

use super::Session;
use super::email;
use super::keep::Keep;
use super::of;
use crate::args::owner::ExportArgs;
use crate::args::owner::HandoverArgs;
use crate::args::owner::PlaceArgs;
use crate::client::Request;
use crate::fault::Fault;
use crate::file::FileError;
use crate::file::OwnedFile;
use crate::format::Facts;
use crate::format::Layout;
use crate::print::Form;
use crate::usage::Mistake;

/// Prints a token in the form that a program reads, or gives the account up.
pub(super) fn export(session: &Session, args: &ExportArgs) -> Result<(), Fault> {
    if args.release {
        return give_up(session, &args.account, args.output.as_deref());
    }
    let form = email::form(session, "export", &args.account, &args.form)?;
    let layout = form.layout("export", &PlaceArgs::default())?;
    if args.output.is_none() {
        agrees(session.output.form, &layout, form.option())?;
    }
    // Standard output, as it is written on command lines: it is no file that is kept.
    let file = OwnedFile::at(args.output.as_deref().unwrap_or(Path::new("-")))?;
    let keep = Keep {
        session,
        account: &args.account,
        file: &file,
        layout: &layout,
        kind: form.kind_for(&layout),
        mode: None,
    };
    let facts = keep.token()?.facts;
    if args.output.is_some() {
        return keep.write(&facts);
    }
    session.output.bytes(printed(&layout, &facts)?.as_bytes())
}

/// Whether what is printed is what the caller wants to read: with `--json`, as of every verb, it
/// is JSON. What goes into a file has the form that its reader wants.
fn agrees(form: Form, layout: &Layout, option: &str) -> Result<(), Mistake> {
    match form {
        Form::Json if !layout.is_json() => Err(Mistake::contradiction("export", "--json", option)),
        Form::Json | Form::Text => Ok(()),
    }
}

/// The text of a form with nothing of anybody else's in it.
fn printed(layout: &Layout, facts: &Facts) -> Result<Zeroizing<String>, FileError> {
    let text = layout.write(facts, None, clock::now().wall, &TimeZone::system());
    text.map_err(FileError::Unprintable)
}

/// Gives an account up.
pub(super) fn hand_over(session: &Session, args: &HandoverArgs) -> Result<(), Fault> {
    give_up(session, &args.account, args.output.as_deref())
}

/// Prints the refresh token of an account that is frozen by that. What cannot be printed can
/// be asked for again; that a file can be written is known before the account is frozen.
fn give_up(session: &Session, account: &AccountId, output: Option<&Path>) -> Result<(), Fault> {
    let file = output.map(OwnedFile::at).transpose()?;
    let place = file.as_ref().map(OwnedFile::prepare).transpose()?;
    let (answer, reply) =
        session.daemon.fetch::<ReleaseAnswer>(&Request::post(of(account, "/release")))?;
    let token = Zeroizing::new(answer.refresh_token);
    let written = match place {
        Some(place) => place.write(&token).map_err(Fault::from),
        None if session.output.form == Form::Json => session.output.reply(&reply),
        None => {
            let line = Zeroizing::new([token.as_str(), "\n"].concat());
            session.output.bytes(line.as_bytes())
        }
    };
    session.output.warn(&match &written {
        Ok(()) => format!(
            "account {account} is frozen, and whoever has this refresh token owns it; \"tokenctl \
             import {account}\" takes it back"
        ),
        Err(_) => format!(
            "account {account} is frozen, and nobody has its refresh token yet; \"tokenctl \
             handover {account}\" asks for it again, \"tokenctl resume {account}\" goes on with it"
        ),
    });
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::plain::Plain;
    use crate::format::sample::facts;

    #[test]
    fn with_json_only_what_is_json_is_printed() {
        let refused = |plain| {
            let layout = Layout::Plain(plain);
            assert!(agrees(Form::Text, &layout, "--format x").is_ok());
            agrees(Form::Json, &layout, "--format x").map_err(|mistake| mistake.to_string())
        };
        assert_eq!(refused(Plain::Json), Ok(()));
        for plain in [Plain::Raw, Plain::Header, Plain::Env] {
            let told = refused(plain).unwrap_err();
            let end = "see \"tokenctl export --help\"";
            assert_eq!(told, format!("--json and --format x exclude each other; {end}"));
        }
    }

    #[test]
    fn what_cannot_be_printed_is_told_without_a_word_of_it() {
        let facts = Facts { token: Zeroizing::new("it's".into()), ..facts() };
        assert_eq!(printed(&Layout::Plain(Plain::Raw), &facts).unwrap().as_str(), "it's");
        let refused = printed(&Layout::Plain(Plain::Env), &facts).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "it cannot be printed in this form: the token has characters that this form cannot carry"
        );
        assert!(refused.is_input());
    }
}
