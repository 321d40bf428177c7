//! `GetToken` and `OpenToken`: the token.
//!
//! What the held token satisfies is answered at once; what it does not joins the one flight.
//! The clock is read at the moment of answering.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use zbus::Message;
use zbus::OwnedVariant;
use zbus::Variant;

use crate::access::Right;
use crate::asking;
use crate::asking::Denied;
use crate::asking::token::Look;
use crate::clock;
use crate::error::code::Code;
use crate::keeper::Seat;
use crate::limits;
use crate::snapshot::Answer;
use crate::snapshot::Demand;
use crate::snapshot::Held;
use crate::snapshot::Refusal;
use crate::snapshot::Snapshot;
use crate::token::Kind;
use crate::token::Secret;

use super::dispatch::Call;
use super::dispatch::Step;
use super::memfd;
use super::option::Options;
use super::option::WAIT;
use super::property::seconds;
use super::reply;
use super::reply::Failed;

/// How a token is handed over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Form {
    /// In the message.
    Text,
    /// As a sealed file.
    File,
}

const OPTIONS: &[&str] = &["kind", "min_ttl", WAIT];

/// Answers, or says what is waited for.
pub(super) fn begin(
    call: &Call,
    seat: Arc<Seat>,
    given: HashMap<String, OwnedVariant>,
    form: Form,
) -> Step {
    let wish = match Wish::read(given, &seat, form) {
        Ok(wish) => wish,
        Err(refusal) => return Step::Now(Err(Denied::about(&seat.account, refusal).into())),
    };
    match look(call, &wish, &seat, &seat.now()) {
        Look::Answer(answer) | Look::Unchanged { answer, .. } => Step::Now(answer),
        Look::Refuse(refusal) => Step::Now(Err(Denied::about(&seat.account, refusal).into())),
        Look::Join => {
            let call = call.clone();
            Step::later(async move {
                let look =
                    |seat: &Seat, snapshot: &Arc<Snapshot>| look(&call, &wish, seat, snapshot);
                let find = |name: &str| call.find(name, Right::Read);
                let wanted = (seat, wish.demand.kind);
                asking::token::token::<_, Failed>(&call.keeper, wanted, wish.patience, look, find)
                    .await?
            })
        }
    }
}

/// What a call asks for.
struct Wish {
    demand: Demand,
    patience: Duration,
    form: Form,
}

impl Wish {
    fn read(
        given: HashMap<String, OwnedVariant>,
        seat: &Seat,
        form: Form,
    ) -> Result<Self, Refusal> {
        let options = Options::read(given, OPTIONS)?;
        let kinds = [Kind::Access, Kind::Id, Kind::Aws].map(|kind| (kind.as_str(), kind));
        let kind = options.word("kind", &kinds)?.unwrap_or(seat.profile().default_kind);
        let min_ttl = options.seconds("min_ttl", limits::LONGEST_MIN_TTL)?.unwrap_or_default();
        let patience = options.patience()?;
        Ok(Self { demand: Demand { kind, min_ttl }, patience, form })
    }
}

fn look(
    call: &Call,
    wish: &Wish,
    seat: &Seat,
    snapshot: &Arc<Snapshot>,
) -> Look<Result<Message, Failed>> {
    let (held, ttl) = match snapshot.answer(wish.demand, clock::now()) {
        Answer::Token { held, ttl } => (held, ttl),
        Answer::Join => return Look::Join,
        Answer::Refuse(refusal) => return Look::Refuse(refusal),
    };
    match Given::of(seat, snapshot, held, wish.demand.kind) {
        Some(given) => Look::Answer(given.message(call, wish.form, ttl)),
        None => Look::Refuse(snapshot.refusal()),
    }
}

/// What is handed over.
struct Given<'a> {
    seat: &'a Seat,
    snapshot: &'a Snapshot,
    held: &'a Held,
    kind: Kind,
    token: Token<'a>,
    expires_at: u64,
    issued_at: u64,
}

enum Token<'a> {
    Plain(&'a Secret),
    /// The JSON text that the AWS programs take.
    Aws(Bytes),
}

impl<'a> Given<'a> {
    fn of(seat: &'a Seat, snapshot: &'a Snapshot, held: &'a Held, kind: Kind) -> Option<Self> {
        let (token, expires_at, issued_at) = match kind {
            Kind::Access | Kind::Id => {
                (Token::Plain(held.tokens.get(kind)?), held.expires_wall, held.issued_at)
            }
            Kind::Aws => {
                let aws = held.aws.as_ref()?;
                (Token::Aws(asking::aws::credential_process(aws)), aws.expires_wall, aws.issued_at)
            }
        };
        let (expires_at, issued_at) = (seconds(expires_at), seconds(issued_at));
        Some(Self { seat, snapshot, held, kind, token, expires_at, issued_at })
    }

    fn message(&self, call: &Call, form: Form, ttl: Duration) -> Result<Message, Failed> {
        let text = match &self.token {
            Token::Plain(secret) => secret.expose(),
            Token::Aws(json) => std::str::from_utf8(json).unwrap_or_default(),
        };
        let details = self.details(ttl);
        match form {
            Form::Text => reply::answer(&call.message, &(text, self.expires_at, details)),
            Form::File => {
                let file = memfd::sealed(text).map_err(|error| self.no_file(&error))?;
                let file = zbus::Fd::from(file.as_fd());
                reply::answer(&call.message, &(file, self.expires_at, details))
            }
        }
    }

    /// What there is to know about the token, none of which is secret: the token stands in a
    /// message once at the most, and the header's value is put together by the caller.
    fn details(&self, ttl: Duration) -> BTreeMap<&'static str, Variant<'_>> {
        let mut details = BTreeMap::from([
            ("kind", Variant::from(self.kind.as_str())),
            ("generation", self.held.generation.0.into()),
            ("issued_at", self.issued_at.into()),
            ("ttl", ttl.as_secs().into()),
            ("unsaved", self.snapshot.unsaved.into()),
        ]);
        if matches!(self.token, Token::Plain(_)) {
            details.insert("token_type", (&*self.held.tokens.token_type).into());
            let header = self.seat.profile().header();
            details.insert("header_name", (&*header.name).into());
            details.insert("header_scheme", header.scheme.as_deref().unwrap_or_default().into());
        }
        if self.snapshot.failure.is_some() {
            details.insert("refresh_error", self.snapshot.refusal().code.as_str().into());
        }
        details
    }

    fn no_file(&self, error: &std::io::Error) -> Failed {
        let message = format!("no file for the token can be had: {}", error.kind());
        Denied::about(&self.seat.account, Refusal::new(Code::Internal, message)).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_options_are_those_that_the_description_names() {
        let xml = include_str!("../../packaging/dbus/org.tokenkeeper1.Manager.xml");
        let (_, told) = xml.split_once("<!-- Options: ").unwrap();
        let (told, _) = told.split_once("-->").unwrap();
        assert!(OPTIONS.iter().all(|option| told.contains(option)), "{told}");
    }
}
