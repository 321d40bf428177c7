//! The bytes of a credential.

use std::time::Duration;

use bytes::Bytes;

use crate::asking;
use crate::asking::answer::Front;
use crate::credential::wanted::Form;
use crate::error::code::Code;
use crate::keeper::Seat;
use crate::snapshot::Held;
use crate::snapshot::Refusal;
use crate::snapshot::Snapshot;
use crate::time::Now;
use crate::token::Generation;
use crate::token::Kind;
use crate::token::Secret;
use crate::wording;

/// What a unit is given.
pub(super) struct Given {
    /// All of it: nothing is added at the end. Wiped when it goes.
    pub(super) text: Bytes,
    /// Which token it is.
    pub(super) generation: Generation,
    /// How long that is still good.
    pub(super) ttl: Duration,
}

/// The token that a form needs, of an account whose API takes `default`.
///
/// # Errors
///
/// `BAD_REQUEST`, if there is no such form of that token.
pub(super) fn kind(form: Form, default: Kind) -> Result<Kind, Refusal> {
    match (form, default) {
        (Form::Raw(kind), _) => Ok(kind.unwrap_or(default)),
        (Form::Header, Kind::Aws) => {
            let message = "AWS credentials go into no header; ask for .aws";
            Err(Refusal::new(Code::BadRequest, message))
        }
        (Form::Header | Form::Json, _) => Ok(default),
    }
}

/// How long a token has to last: as long as is wanted, but half of its life at the most, so that
/// no short-lived one is out of reach.
pub(super) fn min_ttl(wanted: Duration, snapshot: &Snapshot, kind: Kind) -> Duration {
    let lifetime = snapshot.held.as_ref().and_then(|held| match kind {
        Kind::Access | Kind::Id => Some(held.lifetime),
        Kind::Aws => held.aws.as_ref().map(|aws| aws.lifetime),
    });
    lifetime.map_or(wanted, |lifetime| wanted.min(lifetime / 2))
}

impl Given {
    /// The token of that kind, if `held` has one, with so much left.
    pub(super) fn of(
        (seat, snapshot, held): (&Seat, &Snapshot, &Held),
        (form, kind): (Form, Kind),
        ttl: Duration,
        now: Now,
    ) -> Option<Self> {
        let text = match kind {
            Kind::Access | Kind::Id => {
                let token = held.tokens.get(kind)?;
                match form {
                    Form::Raw(_) => asking::answer::plain(&[token.expose()]),
                    Form::Header => header(seat, token),
                    Form::Json => json((seat, snapshot, held), (kind, token), ttl, now),
                }
            }
            Kind::Aws => asking::aws::credential_process(held.aws.as_ref()?),
        };
        Some(Self { text, generation: held.generation, ttl })
    }
}

/// The same line as on the socket.
fn header(seat: &Seat, token: &Secret) -> Bytes {
    let header = seat.profile().header();
    let [scheme, space, token] = header.value(token);
    asking::answer::plain(&[&header.name, ": ", scheme, space, token])
}

/// The same text as on the socket.
fn json(
    (seat, snapshot, held): (&Seat, &Snapshot, &Held),
    (kind, token): (Kind, &Secret),
    ttl: Duration,
    now: Now,
) -> Bytes {
    let raised = wording::raised(snapshot, &seat.account, now);
    let front = Front::new(&seat.account, seat.profile().header(), held, kind, token);
    let after = asking::answer::after_ttl(snapshot, held, raised.as_ref());
    let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
    asking::answer::plain(&[text(&front.json), &ttl.as_secs().to_string(), text(&after)])
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::time::Moment;
    use crate::time::Timestamp;
    use crate::token::TokenSet;

    #[test]
    fn a_form_is_of_the_token_that_the_api_takes_unless_it_names_another() {
        #[rustfmt::skip]
        let cases = [
            (Form::Raw(None),               Kind::Id,     Some(Kind::Id)),
            (Form::Raw(None),               Kind::Aws,    Some(Kind::Aws)),
            (Form::Raw(Some(Kind::Access)), Kind::Id,     Some(Kind::Access)),
            (Form::Header,                  Kind::Id,     Some(Kind::Id)),
            (Form::Header,                  Kind::Aws,    None),
            (Form::Json,                    Kind::Access, Some(Kind::Access)),
            (Form::Json,                    Kind::Aws,    Some(Kind::Aws)),
        ];
        for (form, default, expected) in cases {
            assert_eq!(kind(form, default).ok(), expected, "{form:?} {default:?}");
        }
    }

    #[test]
    fn a_token_never_has_to_last_for_more_than_half_of_its_life() {
        let secs = Duration::from_secs;
        #[rustfmt::skip]
        let cases = [
            // wanted, lifetime, needed
            (60,       3_600,    60),
            (60,       120,      60),
            (60,       90,       45),
            (0,        90,       0),
        ];
        for (wanted, lifetime, needed) in cases {
            let snapshot = Snapshot { held: Some(held(secs(lifetime))), ..Snapshot::vacant() };
            for kind in [Kind::Access, Kind::Id] {
                assert_eq!(min_ttl(secs(wanted), &snapshot, kind), secs(needed), "{lifetime}");
            }
            assert_eq!(min_ttl(secs(wanted), &snapshot, Kind::Aws), secs(wanted), "it has none");
        }
        assert_eq!(min_ttl(secs(60), &Snapshot::vacant(), Kind::Access), secs(60));
    }

    fn held(lifetime: Duration) -> Held {
        let tokens = TokenSet {
            access: Secret::new("a"),
            id: None,
            token_type: "Bearer".into(),
            scope: None,
        };
        Held {
            tokens: Arc::new(tokens),
            generation: Generation(1),
            issued_at: Timestamp::default(),
            lifetime,
            expires_boot: Moment::default(),
            expires_wall: Timestamp::default(),
            aws: None,
        }
    }
}
