//! What a hook is called with: an environment, a document, and perhaps a token.
//!
//! The names of the variables are an interface: add, never edit. What there is nothing to say
//! of has no variable. None of it is secret: that is what descriptor 3 is for.

use std::sync::Arc;

use crate::error::foreign::scrubbed;
use crate::hook::Deed;
use crate::hook::Hook;
use crate::hook::Role;
use crate::name::AccountId;
use crate::notice::EventName;
use crate::notice::Notice;
use crate::protocol::error::ErrorBody;
use crate::protocol::event::EventView;
use crate::token::Kind;
use crate::token::Secret;
use crate::wording;

/// Longest message that a variable holds, in characters.
const MESSAGE: usize = 1_000;

/// One call of one hook.
pub struct Call {
    /// Which.
    pub hook: Arc<Hook>,
    /// What it is about.
    pub notice: Arc<Notice>,
    /// The kind of token that the account's programs are given.
    pub kind: Kind,
}

impl Call {
    /// The account that it is about.
    pub fn account(&self) -> &AccountId {
        &self.notice.account
    }

    /// What happened.
    pub fn event(&self) -> EventName {
        self.notice.event.name()
    }

    /// The token, for a hook that is given it, when there is a new one.
    pub fn token(&self) -> Option<&Secret> {
        let is_given = matches!(self.hook.deed, Deed::Run { role: Role::Bearer, .. });
        let held = self.notice.snapshot.held.as_ref();
        let held = held.filter(|_| is_given && self.event() == EventName::TokenChanged)?;
        held.tokens.get(self.kind)
    }

    /// What happened, as variables.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let EventView {
            event,
            account,
            timestamp,
            state,
            paused,
            generation,
            expires_at,
            next_at,
            unsaved,
            reason,
            attempt,
            refresh_error,
            ends_at,
            hook: _,
        } = wording::event(&self.notice);
        let code = |error: &ErrorBody| error.error_code.as_str().to_owned();
        let retry_at = refresh_error.as_ref().and_then(|error| error.retry_at.clone());
        let said = [
            ("TOKENKEEPER_HOOK", Some(self.hook.name.to_string())),
            ("TOKENKEEPER_EVENT", Some(event)),
            ("TOKENKEEPER_ACCOUNT", Some(account)),
            ("TOKENKEEPER_TIMESTAMP", Some(timestamp)),
            ("TOKENKEEPER_STATE", Some(state)),
            ("TOKENKEEPER_PAUSED", paused.then(|| "1".to_owned())),
            ("TOKENKEEPER_GENERATION", Some(generation.to_string())),
            ("TOKENKEEPER_EXPIRES_AT", expires_at),
            ("TOKENKEEPER_NEXT_AT", next_at),
            ("TOKENKEEPER_UNSAVED", unsaved.then(|| "1".to_owned())),
            ("TOKENKEEPER_REASON", reason),
            ("TOKENKEEPER_ATTEMPT", attempt.map(|attempt| attempt.to_string())),
            ("TOKENKEEPER_CODE", refresh_error.as_ref().map(code)),
            ("TOKENKEEPER_MESSAGE", refresh_error.map(|error| scrubbed(&error.message, MESSAGE))),
            ("TOKENKEEPER_RETRY_AT", retry_at),
            ("TOKENKEEPER_ENDS_AT", ends_at),
        ];
        said.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    /// The same as a JSON document on one line.
    pub fn document(&self) -> String {
        // A view of strings and numbers always has a JSON text.
        let mut text = serde_json::to_string(&wording::event(&self.notice)).unwrap_or_default();
        text.push('\n');
        text
    }
}
