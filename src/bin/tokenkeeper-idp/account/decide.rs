//! The decision about one token request.
//!
//! Whatever a script or a client brings, it comes to one [`Decision`]: tokens, or a refusal with
//! its code. A rotation happens in here and nowhere else.

use std::num::NonZeroU32;
use std::rc::Rc;
use std::time::Duration;

use super::Account;
use super::Tools;
use super::Treatment;
use crate::clock::Moment;
use crate::family::Issue;
use crate::family::Reuse;
use crate::family::Rotation;
use crate::family::Rule;
use crate::family::Scope;
use crate::family::Spend;
use crate::fault::Kind;
use crate::field::Grant;
use crate::grant::Granter;
use crate::grant::Pair;
use crate::ledger::Verdict;
use crate::oauth;
use crate::oauth::Call;
use crate::oauth::Params;
use crate::oauth::Refusal;
use crate::reply::Reply;

/// The judgement on one request.
#[derive(Debug)]
pub(crate) struct Decision {
    /// For the ledger.
    pub(crate) verdict: Verdict,
    /// Whether the refresh token was rotated.
    pub(crate) committed: bool,
    /// What the client is to get.
    pub(crate) reply: Reply,
}

impl Account {
    /// Judges a request at `now`, rotates what is to be rotated, and phrases the reply.
    pub(crate) fn decide(
        &mut self,
        call: &Call,
        treatment: &Treatment,
        mut tools: Tools<'_>,
        now: Moment,
    ) -> Decision {
        let script = Rc::clone(&self.script);
        let fault = treatment.fault().map(|fault| &fault.kind);
        let judged = match treatment {
            Treatment::Limited(wait) => Err(Denial::from(too_many(*wait))),
            Treatment::Sound | Treatment::Faulty(_) => call
                .params(script.behaviour.request_format)
                .map_err(Denial::from)
                .and_then(|params| self.judge(call, &params, fault, &mut tools, now)),
        };

        let format = script.behaviour.reply_format;
        match judged {
            Ok(granted) => {
                let granter = Granter {
                    mint: tools.mint,
                    origin: tools.origin,
                    account: &self.name,
                    behaviour: &script.behaviour,
                };
                let mut members = granter.members(&granted.pair, now);
                if let Some(Kind::WrongTypes { members: wrong }) = fault {
                    members.extend(wrong.clone());
                }
                Decision {
                    verdict: granted.verdict,
                    committed: granted.committed,
                    reply: Reply::members(200, format, &members),
                }
            }
            Err(denial) => Decision {
                verdict: denial.verdict,
                committed: false,
                reply: denial.refusal.reply(format),
            },
        }
    }

    fn judge<'f>(
        &mut self,
        call: &Call,
        params: &Params,
        fault: Option<&'f Kind>,
        tools: &mut Tools<'_>,
        now: Moment,
    ) -> Result<Granted<'f>, Denial> {
        let script = Rc::clone(&self.script);
        let behaviour = &script.behaviour;
        oauth::authenticate(behaviour, &self.name, call.authorization.as_deref(), params)?;
        let wanted = params.one("grant_type").ok_or_else(|| {
            Refusal::new("invalid_request", "the parameter grant_type is missing")
        })?;
        let grant = behaviour.grants.iter().find(|grant| grant.as_str() == wanted);

        let other_subject = match fault {
            Some(Kind::OtherSubject { subject }) => Some(subject.as_str()),
            _ => None,
        };
        match grant {
            None => {
                Err(Refusal::new("unsupported_grant_type", "not a grant of this account").into())
            }
            Some(Grant::ClientCredentials) => {
                let issue = Issue { generation: 0, serial: self.serial(), at: now };
                let pair = Pair { family: self.direct, issue, refresh_token: None, other_subject };
                Ok(Granted { verdict: Verdict::Granted, committed: false, pair })
            }
            Some(Grant::RefreshToken) => {
                let token = params.one("refresh_token").ok_or_else(|| {
                    Refusal::new("invalid_request", "the parameter refresh_token is missing")
                })?;
                let mut granted = self.spend(token, fault, tools, now)?;
                granted.pair.other_subject = other_subject;
                Ok(granted)
            }
        }
    }

    fn spend<'f>(
        &mut self,
        token: &str,
        fault: Option<&'f Kind>,
        tools: &mut Tools<'_>,
        now: Moment,
    ) -> Result<Granted<'f>, Denial> {
        let invalid = |description| Denial::from(Refusal::new("invalid_grant", description));
        if self.adopts && self.logins.is_empty() && self.locate(tools.mint, token).is_none() {
            self.log_in(tools.families, Some(token.to_owned()));
        }
        let (number, generation) = self
            .locate(tools.mint, token)
            .ok_or_else(|| invalid("the refresh token is unknown"))?;
        if matches!(fault, Some(Kind::RevokedFamily {})) {
            self.end(number);
        }

        let serial = self.serial();
        let rotation = match fault {
            Some(Kind::DifferentRefreshToken { valid: true }) => FORCED,
            _ => self.script.behaviour.rotation(),
        };
        let login =
            self.logins.get_mut(&number).ok_or_else(|| invalid("the refresh token is unknown"))?;
        let before = login.family.newest();
        let (verdict, issue) = match login.family.spend(generation, rotation, serial, now) {
            Spend::Granted(issue) => (Verdict::Granted, issue),
            Spend::Replayed(issue) => (Verdict::Replayed, issue),
            Spend::Dead => return Err(invalid("the login has ended")),
            Spend::Reused => {
                let refusal = Refusal::new("invalid_grant", "the refresh token was used before");
                return Err(Denial { verdict: Verdict::Reused, refusal });
            }
        };
        let committed = login.family.newest() != before;

        let refresh_token = match (fault, self.logins.get(&number)) {
            // Family 0 does not exist: a token of it is well made and leads nowhere.
            (Some(Kind::DifferentRefreshToken { valid: false }), _) => {
                Some(tools.mint.refresh(&self.name, 0, serial))
            }
            (_, Some(login)) if !self.script.behaviour.omit_refresh_token => {
                Some(self.shown(tools.mint, number, login, issue.generation))
            }
            _ => None,
        };
        let pair = Pair { family: number, issue, refresh_token, other_subject: None };
        Ok(Granted { verdict, committed, pair })
    }
}

/// What the fault `different_refresh_token` does: one rotation that costs the old token nothing.
const FORCED: Rotation = Rotation::Every(Rule {
    every: NonZeroU32::MIN,
    grace: None,
    scope: Scope::Any,
    reuse: Reuse::Refuse,
});

struct Granted<'f> {
    verdict: Verdict,
    committed: bool,
    pair: Pair<'f>,
}

struct Denial {
    verdict: Verdict,
    refusal: Refusal,
}

impl From<Refusal> for Denial {
    fn from(refusal: Refusal) -> Self {
        Self { verdict: Verdict::Refused(refusal.code.clone()), refusal }
    }
}

fn too_many(wait: Option<Duration>) -> Refusal {
    let mut refusal = Refusal::new("rate_limit_exceeded", "more requests than the script allows");
    refusal.status = 429;
    // Rounded up: whoever waits so long is let through.
    refusal.retry_after = wait.map(|wait| wait.as_secs() + u64::from(wait.subsec_nanos() > 0));
    refusal
}
