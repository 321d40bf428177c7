//! The sessions of the wiki: to see them, and to end one or all.
//!
//! Servers exist that have none of it and answer 404. So does one that has it to an id that
//! it does not know, so a 404 to that is asked about: whether there are sessions at all.
//!
//! On a server whose sessions are bookkeeping, to end one ends no token.

use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::refusal;
use super::request;
use crate::error::RefreshError;
use crate::error::foreign::is_unsafe_to_show;
use crate::provider::Method;
use crate::provider::Request;
use crate::provider::Response;
use crate::provider::Step;
use crate::provider::answer::is_page;
use crate::provider::deed::Deed;
use crate::provider::deed::Session;
use crate::provider::deed::SessionOrder;
use crate::provider::deed::Sessions;
use crate::provider::fault::Stranger;
use crate::provider::member::Member;
use crate::provider::member::Object;
use crate::token::Secret;

/// Most sessions that are told of. A user may have three.
const MOST_TOLD: usize = 100;

/// Longest id, in bytes. The wiki's have eleven.
const LONGEST_ID: usize = 128;

/// Longest other text, in characters.
const LONGEST_TEXT: usize = 200;

/// What is wanted, under way.
pub(super) struct Order {
    base: Url,
    order: SessionOrder,
    access: Secret,
    stage: Stage,
}

/// Which answer is waited for.
#[derive(Clone, Copy)]
enum Stage {
    Beginning,
    Ordered,
    /// After a 404: whether there are sessions at all.
    Wondering,
}

impl Order {
    pub(super) fn new(base: Url, order: SessionOrder, access: Secret) -> Self {
        Self { base, order, access, stage: Stage::Beginning }
    }

    fn begin(&mut self) -> Result<Step<Result<Sessions, RefreshError>>, RefreshError> {
        self.stage = Stage::Ordered;
        let request = match &self.order {
            SessionOrder::List => self.list(),
            SessionOrder::EndAll => self.request(Method::Post, &["logout-all"]),
            SessionOrder::End(id) if is_id(id) => self.request(Method::Delete, &[id]),
            SessionOrder::End(_) => return Err(no_such_session()),
        };
        Ok(Step::Ask(request))
    }

    fn list(&self) -> Request {
        self.request(Method::Get, &[])
    }

    fn request(&self, method: Method, below: &[&str]) -> Request {
        request::sessions(method, &self.base, below.iter().copied(), &self.access)
    }

    fn answered(
        &mut self,
        response: &Response,
    ) -> Result<Step<Result<Sessions, RefreshError>>, RefreshError> {
        match (response.status, &self.order) {
            (200..=299, _) if is_page(response) => Err(Stranger::Page(response.status).into()),
            (200..=299, SessionOrder::List) => Ok(Step::Done(Ok(listed(&response.body)?))),
            (200..=299, SessionOrder::End(_)) => Ok(Step::Done(Ok(Sessions::Ended(Some(1))))),
            (200..=299, SessionOrder::EndAll) => Ok(Step::Done(Ok(Sessions::Ended(None)))),
            (404, SessionOrder::End(_)) => {
                self.stage = Stage::Wondering;
                Ok(Step::Ask(self.list()))
            }
            (404 | 405 | 410, _) => Err(no_sessions()),
            _ => Err(refusal::of_access(response)),
        }
    }
}

impl Deed<Sessions> for Order {
    fn next(&mut self, response: Option<Response>) -> Step<Result<Sessions, RefreshError>> {
        let step = match (self.stage, response) {
            (Stage::Beginning, None) => self.begin(),
            (Stage::Ordered, Some(response)) => self.answered(&response),
            (Stage::Wondering, Some(response)) => Err(match response.status {
                200..=299 => no_such_session(),
                404 | 405 | 410 => no_sessions(),
                _ => refusal::of_access(&response),
            }),
            (Stage::Beginning, Some(_)) | (Stage::Ordered | Stage::Wondering, None) => {
                Err(RefreshError::Internal("a deed was driven out of order".into()))
            }
        };
        step.unwrap_or_else(|error| Step::Done(Err(error)))
    }
}

fn no_sessions() -> RefreshError {
    RefreshError::NotOffered("this server has no session API".into())
}

fn no_such_session() -> RefreshError {
    RefreshError::NotOffered("the server has no session of that id".into())
}

/// Whether a text can be an id: one part of a path, and the same to the eye as to the server.
fn is_id(text: &str) -> bool {
    (1..=LONGEST_ID).contains(&text.len())
        && !matches!(text, "." | "..")
        && !text.contains(is_unsafe_to_show)
}

#[derive(Deserialize)]
struct List {
    sessions: Vec<Object<Row>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Row {
    session_id: Member,
    user_agent: Member,
    ip_address: Member,
    created_at: Member,
    last_activity: Member,
    expires_at: Member,
    is_current: Value,
}

/// Reads a list. A session without an id that could be named again is left out.
fn listed(body: &[u8]) -> Result<Sessions, RefreshError> {
    let list: List = serde_json::from_slice(body)
        .map_err(|_| RefreshError::Malformed("no list of sessions".into()))?;
    let sessions = list.sessions.into_iter().filter_map(|Object(row)| row.session());
    Ok(Sessions::Listed(sessions.take(MOST_TOLD).collect()))
}

impl Row {
    fn session(self) -> Option<Session> {
        Some(Session {
            id: self.session_id.identifier().filter(|id| is_id(id))?,
            device: shown(&self.user_agent),
            address: shown(&self.ip_address),
            begun: shown(&self.created_at),
            used: shown(&self.last_activity),
            ends: shown(&self.expires_at),
            current: self.is_current == Value::Bool(true),
        })
    }
}

/// A text as people may see it, control characters left out.
fn shown(member: &Member) -> Option<Box<str>> {
    let text = member.text()?.expose().chars().filter(|it| !is_unsafe_to_show(*it));
    Some(text.take(LONGEST_TEXT).collect::<String>().into())
}
