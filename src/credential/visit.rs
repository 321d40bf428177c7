//! One connection for a credential, from who it is to what it is given.
//!
//! What is asked of the kernel about the peer is asked first, before it can end. Then all waiting
//! is within one patience: for the service manager to say whose process it is, and for the
//! account to have a token that lasts.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt;
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::access::Peer;
use crate::access::Right;
use crate::asking;
use crate::asking::Asker;
use crate::asking::Denied;
use crate::asking::token::Look;
use crate::attest;
use crate::attest::Process;
use crate::clock;
use crate::config::daemon::CredentialTerms;
use crate::credential::Desk;
use crate::credential::claim::Claim;
use crate::credential::claim::Unfit;
use crate::credential::delivery;
use crate::credential::given;
use crate::credential::given::Given;
use crate::credential::subject;
use crate::credential::subject::Stranger;
use crate::credential::telling;
use crate::credential::telling::Refused;
use crate::credential::wanted::Form;
use crate::credential::wanted::Wanted;
use crate::error::code::Code;
use crate::error::code::Remedy;
use crate::keeper::Seat;
use crate::limits;
use crate::metrics;
use crate::name::AccountId;
use crate::snapshot::Answer;
use crate::snapshot::Demand;
use crate::snapshot::Refusal;
use crate::snapshot::Snapshot;
use crate::token::Kind;
use crate::unit::NoUnit;

/// Whose process has to prove itself.
const ROOT: u32 = 0;

/// Serves one connection to its end.
pub(super) async fn serve(desk: Arc<Desk>, stream: UnixStream, stopping: watch::Receiver<bool>) {
    desk.metrics.asked(metrics::Door::Credential);
    let asked = match Asked::of(&desk, &stream) {
        Ok(asked) => asked,
        Err((claim, stranger)) => {
            telling::met(claim.as_ref(), &stranger);
            return delivery::refuse(&stream).await;
        }
    };
    match answer(&desk, &stream, &asked, stopping).await {
        Ok((account, given)) => match delivery::whole(&stream, &given.text).await {
            Ok(()) => telling::gave(&asked.claim, &account, &given),
            Err(error) => telling::not_taken(&asked.claim, &account, &error),
        },
        Err(why) => {
            telling::refused(desk.scope, &asked.claim, &why);
            delivery::refuse(&stream).await;
        }
    }
}

/// What the kernel says of a peer.
struct Asked {
    claim: Claim,
    process: Result<Process, NoUnit>,
}

impl Asked {
    /// To be called right after accepting.
    fn of(desk: &Desk, stream: &UnixStream) -> Result<Self, (Option<Claim>, Stranger)> {
        let process = match Process::behind(stream) {
            Err(NoUnit::Withheld) => Process::numbered_behind(stream),
            behind => behind,
        };
        let claim = claim(stream);
        let admitted = uid(stream).and_then(|uid| desk.scope.admits(uid));
        match (claim, admitted) {
            (Ok(claim), Ok(())) => Ok(Self { claim, process }),
            (claim, Err(stranger)) => Err((claim.ok(), stranger)),
            (Err(unfit), Ok(())) => Err((None, unfit.into())),
        }
    }
}

fn claim(stream: &UnixStream) -> Result<Claim, Unfit> {
    let address = stream.peer_addr().map_err(|_| Unfit::Nameless)?;
    Claim::parse(address.as_abstract_name().ok_or(Unfit::Nameless)?)
}

fn uid(stream: &UnixStream) -> Result<u32, Stranger> {
    let credentials = getsockopt(stream, sockopt::PeerCredentials);
    // Of a peer that the kernel does not name nothing is known, which is the name of nobody.
    Ok(credentials.map_err(|_| Stranger::Name(Unfit::Nameless))?.uid())
}

/// What the unit is given, or why it is not, as soon as that is known and while the daemon runs.
async fn answer(
    desk: &Desk,
    stream: &UnixStream,
    asked: &Asked,
    mut stopping: watch::Receiver<bool>,
) -> Result<(AccountId, Given), Refused> {
    let terms = *desk.terms.borrow();
    let begin = clock::now().boot;
    let left = || terms.wait.saturating_sub(clock::now().boot.since(begin));
    let mut answering = pin!(async {
        delivery::quiet(stream).await?;
        if desk.scope.wants_proof() {
            prove(desk, stream, asked, left()).await?;
        }
        let peer = desk.scope.subject(&asked.claim);
        token(desk, &peer, &asked.claim, terms, left()).await
    });
    tokio::select! {
        biased;
        answer = &mut answering => answer,
        _ = stopping.wait_for(|stopping| *stopping) => Err(Refused::Stopping),
    }
}

/// Proves that the process is one of the unit's that it names, or the service manager's. While
/// nobody can say, the question is asked again.
async fn prove(
    desk: &Desk,
    stream: &UnixStream,
    asked: &Asked,
    patience: Duration,
) -> Result<(), Refused> {
    let process = asked.process.as_ref().map_err(|why| unproven(*why))?;
    let mut last = NoUnit::Unreachable;
    let proving = async {
        loop {
            let again = process.again().map_err(unproven)?;
            match desk.attestor.unit_of(again, ROOT).await {
                Ok(_) if attest::has_hung_up(stream) => {
                    return Err(unproven(NoUnit::HungUp));
                }
                Ok(found) => return Ok(subject::proves(found, &asked.claim)?),
                Err(why) if why.passes() => last = why,
                Err(why) => return Err(unproven(why)),
            }
            tokio::time::sleep(limits::CREDENTIAL_PROOF).await;
        }
    };
    let proven = timeout(patience, proving).await;
    proven.unwrap_or(Err(unproven(last)))
}

/// A process that is nowhere where the service manager could be is not the service manager's; of
/// any other without a proof that is not known.
const fn unproven(why: NoUnit) -> Refused {
    if matches!(why, NoUnit::Outside | NoUnit::Elsewhere) {
        Refused::Stranger(Stranger::Nowhere(why))
    } else {
        Refused::Unproven(why)
    }
}

/// The token that the unit wants, after waiting for what passes.
async fn token(
    desk: &Desk,
    peer: &Peer,
    claim: &Claim,
    terms: CredentialTerms,
    patience: Duration,
) -> Result<(AccountId, Given), Refused> {
    let wanted = Wanted::parse(&claim.id).map_err(Refused::Misnamed)?;
    let asker = Asker { peer, masters: desk.masters, narrowing: None };
    let find = |name: &str| {
        let directory = desk.keeper.directory();
        let seat = asker.find(&directory, name, Right::Read, |rights| rights.has(Right::Read));
        seat.map_err(Refused::Unavailable)
    };
    let seat = find(wanted.account)?;
    let kind = given::kind(wanted.form, seat.profile().default_kind)
        .map_err(|refusal| Denied::about(&seat.account, refusal))?;
    let account = seat.account.clone();
    let look = |seat: &Seat, snapshot: &Arc<Snapshot>| {
        look(seat, snapshot, (wanted.form, kind), (terms.min_ttl, patience))
    };
    match asking::token::token(&desk.keeper, (seat, kind), patience, look, find).await? {
        Ok(given) => Ok((account, given)),
        Err(refusal) => Err(Denied::about(&account, refusal).into()),
    }
}

/// How the account stands to what is wanted. What passes by itself is no answer before the end.
fn look(
    seat: &Seat,
    snapshot: &Snapshot,
    (form, kind): (Form, Kind),
    (min_ttl, patience): (Duration, Duration),
) -> Look<Result<Given, Refusal>> {
    let now = clock::now();
    let demand = Demand { kind, min_ttl: given::min_ttl(min_ttl, snapshot, kind) };
    match snapshot.answer(demand, now) {
        Answer::Token { held, ttl } => {
            match Given::of((seat, snapshot, held), (form, kind), ttl, now) {
                Some(given) => Look::Answer(Ok(given)),
                None => Look::Refuse(snapshot.refusal()),
            }
        }
        Answer::Join => Look::Join,
        Answer::Refuse(refusal) if passes(refusal.code) => {
            Look::Unchanged { answer: Err(refusal), spare: patience }
        }
        Answer::Refuse(refusal) => Look::Refuse(refusal),
    }
}

/// Whether it may be over within the time that a unit takes to start, without anybody's doing.
fn passes(code: Code) -> bool {
    code.remedy() == Remedy::Wait && code != Code::GrantRejected
}
