//! `adopt` and `import --from`: logins that other programs keep in files.
//!
//! A refresh token is spent by one owner. `import` leaves the file as it is and says so;
//! `adopt` takes the token out of it, after the daemon has proven it, so that its program
//! cannot spend it any more. If it is cut short in between, it can be repeated: the daemon
//! knows the token that it took over.

use std::path::Path;

use jiff::tz::TimeZone;

use super::Session;
use super::email;
use super::follow;
use super::keep::Keep;
use super::keep::take_over;
use crate::args::admin::ImportArgs;
use crate::args::owner::AdoptArgs;
use crate::args::owner::PlaceArgs;
use crate::fault::Fault;
use crate::file::Content;
use crate::file::FileError;
use crate::file::OwnedFile;
use crate::format::Layout;
use crate::format::Unfit;
use crate::format::places::Places;
use crate::format::taken::Source;
use crate::usage::Mistake;

/// Takes a refresh token over that another program has saved.
pub(super) fn import(session: &Session, args: &ImportArgs, source: &Source) -> Result<(), Fault> {
    let Some(path) = args.file.as_deref().map(Path::new) else {
        return Err(Mistake::neither("import", "the FILE to take it from").into());
    };
    let email = email::login(session, &args.account, source, args.from.email.as_deref())?;
    let file = OwnedFile::at(path)?;
    // A lock beside a file that is not there would stay behind.
    there(&file)?;
    // Its program may be about to write another one.
    let lock = (*source == Source::QuiltHp).then(|| file.lock_if_there()).transpose()?;
    let content = there(&file)?;
    drop(lock);
    let taken = source.read(&content.text, email.as_deref(), &TimeZone::system());
    let taken = taken.map_err(|why| unfit(&file, why))?;
    let (answer, reply) = take_over(session, &args.account, &taken.refresh_token)?;
    let path = file.path().display();
    let until = taken.expires_at.map_or_else(String::new, |expires_at| {
        format!(", whose own token expires at {expires_at}")
    });
    session.output.note(&format!("{} (from {path}{until})", answer.message), &reply)?;
    session.output.warn(&format!(
        "{path} still has the refresh token, and its program may spend it: let \"tokenctl follow\" \
         keep the file, or remove it there"
    ));
    Ok(())
}

/// Takes a program's login over and out of its file.
pub(super) fn adopt(session: &Session, args: &AdoptArgs) -> Result<(), Fault> {
    let places = match args.places.places() {
        Some(places) if places.refresh.is_some() => places,
        Some(_) | None => return Err(Mistake::neither("adopt", "--at").into()),
    };
    let Some(path) = args.file() else { return Err(Mistake::neither("adopt", "--file").into()) };
    if args.follow && places.access.is_none() {
        // The token is not taken for a file that could not be kept then.
        return Err(Mistake::neither("adopt", "--access-at").into());
    }
    let more = places.access.is_some() || places.expires.is_some();
    let file = OwnedFile::at(path)?;
    let token = token_in(&file, &places)?;
    let token = token.ok_or_else(|| unfit(&file, Unfit::NoRefreshToken))?;
    let (answer, reply) = take_over(session, &args.account, &token)?;
    let layout = Layout::Places(places.clone());
    let keep = Keep {
        session,
        account: &args.account,
        file: &file,
        layout: &layout,
        kind: None,
        mode: None,
    };
    keep.blank(&places)?;
    if more {
        keep.write(&keep.token()?.facts)?;
    }
    let next = if args.follow { String::new() } else { next_step(args, &file) };
    let path = file.path().display();
    let done = format!("{}; {path} has no refresh token any more{next}", answer.message);
    session.output.note(&done, &reply)?;
    if args.follow { follow::go_on(&keep) } else { Ok(()) }
}

/// What to type next, as the end of a sentence.
fn next_step(args: &AdoptArgs, file: &OwnedFile) -> String {
    let PlaceArgs { at, access_at, expires_at, expires_as: _ } = &args.places;
    let mut text = format!(
        ". To keep it current: tokenctl follow {} --file {} --format json",
        args.account,
        file.path().display()
    );
    for (option, place) in [("--at", at), ("--access-at", access_at), ("--expires-at", expires_at)]
    {
        if let Some(place) = place {
            text.push_str(&format!(" {option} {place}"));
        }
    }
    if access_at.is_none() {
        text.push_str(" --access-at POINTER");
    }
    text
}

fn token_in(
    file: &OwnedFile,
    places: &Places,
) -> Result<Option<zeroize::Zeroizing<String>>, Fault> {
    places.refresh_token(&there(file)?.text).map_err(|why| unfit(file, why))
}

fn there(file: &OwnedFile) -> Result<Content, Fault> {
    Ok(file.read()?.ok_or_else(|| FileError::NotThere(file.path().into()))?)
}

fn unfit(file: &OwnedFile, why: Unfit) -> Fault {
    FileError::Unfit { path: file.path().into(), why }.into()
}
