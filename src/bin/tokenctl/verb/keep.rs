//! One file that is kept for one account: what goes into it, and what is found there.

use std::time::Duration;

use jiff::tz::TimeZone;
use serde::Deserialize;
use tokenkeeper::clock;
use tokenkeeper::error::code::Code;
use tokenkeeper::name::AccountId;
use tokenkeeper::protocol::account::DoneAnswer;
use tokenkeeper::protocol::account::TokenAnswer;
use tokenkeeper::snapshot::LONGEST_WAIT;
use zeroize::Zeroizing;

use super::Session;
use super::change::json;
use super::left;
use super::left::Deal;
use super::left::Left;
use super::of;
use crate::args::token::TokenKind;
use crate::client::News;
use crate::client::Request;
use crate::client::reply::Reply;
use crate::fault::Fault;
use crate::file::FileError;
use crate::file::OwnedFile;
use crate::file::Replaced;
use crate::format;
use crate::format::Aws;
use crate::format::Facts;
use crate::format::Layout;
use crate::format::places::Places;
use crate::wake::Wake;

/// How long before the expiry a newer token is to be in the file of a program that refreshes by
/// itself: the libraries do so five minutes before it, and ten are for what may go wrong.
const EARLY: Duration = Duration::from_secs(900);

/// Permissions of a file that is written as a whole.
const PRIVATE: u32 = 0o600;

/// How often a file is replaced in vain before its other writer is complained of.
const TRIES: usize = 20;

/// A file and what is kept in it.
pub(super) struct Keep<'s> {
    pub(super) session: &'s Session,
    pub(super) account: &'s AccountId,
    pub(super) file: &'s OwnedFile,
    pub(super) layout: &'s Layout,
    pub(super) kind: Option<TokenKind>,
    pub(super) mode: Option<u32>,
}

/// A token, and the tag by which the daemon knows it.
pub(super) struct Held {
    pub(super) facts: Facts,
    etag: Option<String>,
}

/// What the daemon has to say.
pub(super) enum Said {
    /// Another token.
    Token(Box<Held>),
    /// The known one is still the newest.
    Unchanged,
    /// The file changed meanwhile.
    Touched,
    /// The program is to end.
    Ended,
}

/// What came of bringing the file up to date.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Updated {
    /// It is.
    Done,
    /// A login that was in it was taken over, so that there is a newer token to be written.
    Overtaken,
    /// There is a login in it that the daemon was not given yet.
    LeftAlone,
}

/// What came of handing a login over.
enum Handed {
    /// It is the account's own by now.
    Taken,
    /// It was so before.
    Known,
    /// It is good for nothing.
    Dead,
}

impl Keep<'_> {
    /// The token, as soon as there is one.
    pub(super) fn token(&self) -> Result<Held, Fault> {
        self.held(self.session.daemon.ask(&self.request(None, Duration::ZERO))?)
    }

    /// Waits for another token than `known`.
    pub(super) fn news(&self, known: Option<&Held>, wake: &Wake) -> Result<Said, Fault> {
        let etag = known.and_then(|held| held.etag.as_deref());
        let ask = |min_ttl| self.session.daemon.ask_or(&self.request(etag, min_ttl), wake);
        let min_ttl = known.map_or(Duration::ZERO, |held| self.ahead(&held.facts));
        let news = match ask(min_ttl) {
            // An early token is not to be had, which is no reason to be without one.
            Err(Fault::Refused { .. }) if !min_ttl.is_zero() => ask(Duration::ZERO)?,
            news => news?,
        };
        Ok(match news {
            News::Reply(reply) => Said::Token(Box::new(self.held(reply)?)),
            News::Unchanged => Said::Unchanged,
            News::Touched => Said::Touched,
            News::Ended => Said::Ended,
        })
    }

    /// How long the token in the file is to be good at the least: so long that the file's
    /// program, if it refreshes by itself, finds no reason to.
    fn ahead(&self, facts: &Facts) -> Duration {
        let lifetime = facts.expires_at.since(facts.issued_at);
        // A token is used for half of its life, whatever its program wants.
        if self.layout.is_shared() { EARLY.min(lifetime / 2) } else { Duration::ZERO }
    }

    fn request(&self, known: Option<&str>, min_ttl: Duration) -> Request {
        let mut target = of(self.account, "/token?format=json");
        if let Some(kind) = self.kind {
            target.push_str(&format!("&kind={}", kind.as_str()));
        }
        if !min_ttl.is_zero() {
            target.push_str(&format!("&min_ttl={}", min_ttl.as_secs()));
        }
        target.push_str(&format!("&wait={}", LONGEST_WAIT.as_secs()));
        Request::get(target).knowing(known).waiting(LONGEST_WAIT)
    }

    fn held(&self, reply: Reply) -> Result<Held, Fault> {
        let answer = serde_json::from_slice::<TokenAnswer>(&reply.body).ok();
        let facts = answer.and_then(Facts::of);
        let mut facts = facts.ok_or_else(|| self.session.daemon.unexpected())?;
        let extras = self.layout.extras();
        if extras.id_token {
            facts.id_token = self.extra(&facts, "id")?.and_then(|reply| id_token(&reply));
        }
        if extras.aws {
            facts.aws = self.extra(&facts, "aws")?.and_then(|reply| aws(&reply));
        }
        Ok(Held { facts, etag: reply.etag })
    }

    /// What came with the token, where the account has that. What a newer generation has is
    /// none of it: that generation is asked for in a moment.
    fn extra(&self, facts: &Facts, kind: &str) -> Result<Option<Reply>, Fault> {
        let target = of(self.account, &format!("/token?format=json&kind={kind}&wait=0"));
        match self.session.daemon.ask(&Request::get(target)) {
            Ok(reply) => {
                let expected = format!("\"{kind}-{}\"", facts.generation);
                Ok(Some(reply).filter(|reply| reply.etag.as_ref() == Some(&expected)))
            }
            Err(Fault::Refused { .. }) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// Brings the file up to date, once. A login that its program has left there is handed over
    /// first, and then it is that login's token which is written.
    pub(super) fn write(&self, facts: &Facts) -> Result<(), Fault> {
        let mut left = Left::default();
        let mut newer = None;
        for _ in 0..TRIES {
            let facts = newer.as_ref().map_or(facts, |held: &Held| &held.facts);
            match self.update(facts, &mut left)? {
                Updated::Done | Updated::LeftAlone => return Ok(()),
                Updated::Overtaken => newer = Some(self.token()?),
            }
        }
        Err(FileError::Restless(self.file.path().into()).into())
    }

    /// Brings the file up to date, unless there is a login in it that is not `left` to be written
    /// over.
    pub(super) fn update(&self, facts: &Facts, left: &mut Left) -> Result<Updated, Fault> {
        let mode = if self.layout.is_edited() { self.mode } else { self.mode.or(Some(PRIVATE)) };
        for _ in 0..TRIES {
            let lock = self.layout.has_lock().then(|| self.file.lock()).transpose()?;
            let present = self.file.read()?;
            let text = present.as_ref().map(|content| content.text.as_str());
            if let Some(token) = text.and_then(|text| self.layout.left_behind(text)) {
                match left.deal(&token, clock::now().boot) {
                    Deal::WriteOver => {}
                    Deal::LeaveAlone => return Ok(Updated::LeftAlone),
                    Deal::HandOver => {
                        // The daemon may take a while to prove it, and the program needs the lock.
                        drop(lock);
                        match self.hand_over(token, left)? {
                            Handed::Taken => return Ok(Updated::Overtaken),
                            Handed::Known | Handed::Dead => continue,
                        }
                    }
                }
            }
            let written = self.layout.write(facts, text, clock::now().wall, &TimeZone::system());
            let written = match written {
                // There is no file of which a place could be written.
                Err(_) if text.is_none() && self.layout.is_edited() => {
                    return Err(FileError::NotThere(self.file.path().into()).into());
                }
                written => written.map_err(|why| self.unfit(why))?,
            };
            if text == Some(&**written) {
                return Ok(Updated::Done);
            }
            if self.file.replace(&written, present.as_ref(), mode)? == Replaced::Done {
                return Ok(Updated::Done);
            }
        }
        Err(FileError::Restless(self.file.path().into()).into())
    }

    /// Hands a login over that the program has left in the file, whether or not there is a token
    /// to be written. Says whether it may be written over since.
    pub(super) fn look(&self, left: &mut Left) -> Result<bool, Fault> {
        let lock = self.layout.has_lock().then(|| self.file.lock()).transpose()?;
        let present = self.file.read()?;
        drop(lock);
        let token = present.and_then(|content| self.layout.left_behind(&content.text));
        match token.filter(|token| left.deal(token, clock::now().boot) == Deal::HandOver) {
            Some(token) => self.hand_over(token, left).map(|_| true),
            None => Ok(false),
        }
    }

    /// Hands a refresh token to the daemon that was found in the file. One that the provider has
    /// refused for good may be written over; whatever else stands in the way, it has to stay.
    fn hand_over(&self, token: Zeroizing<String>, left: &mut Left) -> Result<Handed, Fault> {
        let handed = match take_over(self.session, self.account, &token) {
            Ok((DoneAnswer { changed: true, .. }, _)) => Handed::Taken,
            Ok(_) => Handed::Known,
            Err(Fault::Refused { body, .. }) if left::is_dead(&body) => {
                let path = self.file.path().display();
                self.session.output.warn(&format!(
                    "{path}: its program left a login there that the provider refuses: {}",
                    body.message
                ));
                Handed::Dead
            }
            Err(fault) => {
                if let Fault::Refused { body, .. } = &fault {
                    if left::is_refused(body) {
                        left.refused(token, clock::now().boot);
                    } else if body.error_code == Code::InsufficientPermissions {
                        self.session.output.warn(&self.who_takes_over());
                    }
                }
                return Err(fault);
            }
        };
        left.settled(token);
        Ok(handed)
    }

    /// Who may take a login over that was found in the file, and how.
    fn who_takes_over(&self) -> String {
        let (account, path) = (self.account, self.file.path().display());
        let at = self.layout.login_at();
        let at = at.map_or_else(|| "POINTER".to_owned(), |pointer| pointer.to_string());
        format!(
            "{path}: its program left a login there, which only somebody with the right `admin` on \
             account {account} can take over and out of the file, by: tokenctl adopt {account} \
             --file {path} --at {at}"
        )
    }

    /// Takes every refresh token out of the file. One that came since is handed over first.
    pub(super) fn blank(&self, places: &Places) -> Result<(), Fault> {
        let mut known = Left::default();
        for _ in 0..TRIES {
            let Some(present) = self.file.read()? else { return Ok(()) };
            let left = places.refresh_token(&present.text).map_err(|why| self.unfit(why))?;
            let Some(token) = left else { return Ok(()) };
            if known.deal(&token, clock::now().boot) == Deal::HandOver {
                self.hand_over(token, &mut known)?;
            }
            let blanked = places.blanked(&present.text).map_err(|why| self.unfit(why))?;
            if self.file.replace(&blanked, Some(&present), self.mode)? == Replaced::Done {
                return Ok(());
            }
        }
        Err(FileError::Restless(self.file.path().into()).into())
    }

    pub(super) fn unfit(&self, why: format::Unfit) -> Fault {
        FileError::Unfit { path: self.file.path().into(), why }.into()
    }
}

/// Hands over a refresh token that was found where a program writes by itself.
pub(super) fn take_over(
    session: &Session,
    account: &AccountId,
    token: &str,
) -> Result<(DoneAnswer, Reply), Fault> {
    /// As the protocol's `ImportRequest`, borrowed.
    #[derive(serde::Serialize)]
    struct Import<'a> {
        refresh_token: &'a str,
        found: bool,
    }

    let body = json(&Import { refresh_token: token, found: true }, token.len());
    session.daemon.fetch(&Request::post(of(account, "/import")).json(body))
}

fn id_token(reply: &Reply) -> Option<Zeroizing<String>> {
    let answer = serde_json::from_slice::<TokenAnswer>(&reply.body).ok()?;
    Some(Zeroizing::new(answer.token))
}

fn aws(reply: &Reply) -> Option<Aws> {
    /// The answer of a `credential_process`.
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Process {
        access_key_id: String,
        secret_access_key: String,
        session_token: String,
        expiration: String,
    }

    let process = serde_json::from_slice::<Process>(&reply.body).ok()?;
    Some(Aws {
        access_key_id: Zeroizing::new(process.access_key_id),
        secret_access_key: Zeroizing::new(process.secret_access_key),
        session_token: Zeroizing::new(process.session_token),
        expires_at: format::time(&process.expiration)?,
    })
}
