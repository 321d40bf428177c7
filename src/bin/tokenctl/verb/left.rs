//! A login that a program left behind in its file: what is to be done about it.
//!
//! Pure: from what the daemon said of it, and when, to a [`Deal`].
//!
//! # Invariants
//!
//! * Nothing is written over that may be alive. One refusal of a refresh token is not the last
//!   word (the daemon confirms those of its own, too), and what says nothing of the token says
//!   nothing against it.
//! * A refused login is not handed in at every turn: each time costs an exchange.

use tokenkeeper::error::code::Code;
use tokenkeeper::protocol::error::ErrorBody;
use tokenkeeper::schedule::SUSPECT_PROBES;
use tokenkeeper::time::Moment;
use zeroize::Zeroizing;

/// The last login that was found, and what came of it.
#[derive(Default)]
pub(super) struct Left(Option<(Zeroizing<String>, Fate)>);

/// What came of handing a login in.
#[derive(Clone, Copy)]
enum Fate {
    /// The daemon has it, or the provider has refused it for good.
    Settled,
    /// It was refused that often, and is handed in again then.
    Refused { times: usize, again: Moment },
}

/// What is to be done about a login that is found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Deal {
    /// The daemon is to have it, before anything is written.
    HandOver,
    /// It may be written over.
    WriteOver,
    /// The file stays as it is.
    LeaveAlone,
}

impl Left {
    /// What is to be done about `token` at `now`. Another one than the last is a new login.
    pub(super) fn deal(&self, token: &str, now: Moment) -> Deal {
        match self.fate(token) {
            Some(Fate::Settled) => Deal::WriteOver,
            Some(Fate::Refused { again, .. }) if now < again => Deal::LeaveAlone,
            Some(Fate::Refused { .. }) | None => Deal::HandOver,
        }
    }

    /// Takes down that `token` needs to be handed in no more.
    pub(super) fn settled(&mut self, token: Zeroizing<String>) {
        self.0 = Some((token, Fate::Settled));
    }

    /// Takes down that the provider refused `token` at `now`.
    pub(super) fn refused(&mut self, token: Zeroizing<String>, now: Moment) {
        let times = match self.fate(&token) {
            Some(Fate::Refused { times, .. }) => times,
            Some(Fate::Settled) | None => 0,
        };
        let [.., longest] = SUSPECT_PROBES;
        let again = now + SUSPECT_PROBES.get(times).copied().unwrap_or(longest);
        self.0 = Some((token, Fate::Refused { times: times.saturating_add(1), again }));
    }

    fn fate(&self, token: &str) -> Option<Fate> {
        self.0.as_ref().filter(|(last, _)| **last == token).map(|(_, fate)| *fate)
    }
}

/// Whether the provider itself has said that the token is good for nothing, once and for all. The
/// daemon has words of its own with the same codes, which say nothing of the token.
pub(super) fn is_dead(refusal: &ErrorBody) -> bool {
    let definite =
        matches!(refusal.error_code, Code::NeedsLogin | Code::SessionExpired | Code::LoginRejected);
    definite && refusal.provider_error.is_some()
}

/// Whether the provider refused the token, which is to be confirmed.
pub(super) fn is_refused(refusal: &ErrorBody) -> bool {
    refusal.error_code == Code::GrantRejected
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokenkeeper::error::code::Remedy;
    use tokenkeeper::error::foreign::OauthError;

    use super::*;

    #[test]
    fn a_refused_login_is_handed_in_again_ever_later_and_never_written_over() {
        let mut left = Left::default();
        let mut now = Moment::from_millis(1000);
        assert_eq!(left.deal("r1", now), Deal::HandOver);
        for secs in [60, 600, 3600, 3600] {
            left.refused(token("r1"), now);
            let again = now + Duration::from_secs(secs);
            assert_eq!(left.deal("r1", again.before(Duration::from_millis(1))), Deal::LeaveAlone);
            assert_eq!(left.deal("r1", again), Deal::HandOver);
            assert_eq!(left.deal("r2", now), Deal::HandOver, "another one is a new login");
            now = again;
        }
        left.settled(token("r1"));
        assert_eq!(left.deal("r1", now), Deal::WriteOver);
        assert_eq!(left.deal("r2", now), Deal::HandOver);
    }

    #[test]
    fn only_the_providers_last_word_makes_a_login_dead() {
        #[rustfmt::skip]
        let cases = [
            // code                    provider spoke  dead   refused
            (Code::NeedsLogin,         true,           true,  false),
            (Code::NeedsLogin,         false,          false, false),
            (Code::SessionExpired,     true,           true,  false),
            (Code::GrantRejected,      true,           false, true),
            (Code::ClientRejected,     true,           false, false),
            (Code::NotSupported,       false,          false, false),
            (Code::StoreUnavailable,   false,          false, false),
        ];
        for (code, spoke, dead, refused) in cases {
            let body = refusal(code, spoke);
            assert_eq!((is_dead(&body), is_refused(&body)), (dead, refused), "{code:?} {spoke}");
        }
    }

    fn token(text: &str) -> Zeroizing<String> {
        Zeroizing::new(text.to_owned())
    }

    fn refusal(code: Code, provider_spoke: bool) -> ErrorBody {
        ErrorBody {
            error: String::new(),
            message: String::new(),
            error_code: code,
            timestamp: String::new(),
            account: None,
            retry_at: None,
            remedy: Remedy::Wait,
            provider_error: provider_spoke.then(|| OauthError::new("why", None)),
        }
    }
}
