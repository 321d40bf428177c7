//! A provider that is a program of the operator's, or a service on a socket of his.
//!
//! Whoever this program does not know is asked by somebody who does. The contract is one JSON
//! object each way and is documented, with its version, in tokenkeeper-exec(7).
//!
//! # Reading order
//!
//! `question`: what is asked. `answer`: what an answer is. `login`: a login by
//! `tokenctl login`. `settings`: the keys.
//!
//! # Invariants
//!
//! * A callee that did not begin has spent nothing. One that began with the refresh token and
//!   gave no whole answer may have spent it.
//! * A callee that refuses by a word of OAuth's has spent nothing: it says so by that.
//! * Nothing that a callee says is told except through
//!   [`OauthError`](crate::error::foreign::OauthError).

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use self::answer::Rules;
use self::question::Action;
use super::Exchange;
use super::Outcome;
use super::Profile;
use super::Provider;
use super::Response;
use super::Spend;
use super::Step;
use super::call::Call;
use super::call::Called;
use super::call::Callee;
use super::login::Login;
use super::login::LoginStart;
use crate::error::RefreshError;
use crate::section::Section;
use crate::token::Secret;

mod answer;
mod login;
mod question;
mod settings;

/// Reads the keys of an `exec` account.
pub fn configure(section: &mut Section<'_>) -> Option<Arc<dyn Provider>> {
    settings::configure(section)
}

/// An account whose tokens come from a program.
#[derive(Clone, Debug)]
pub struct Exec {
    /// Name of the account, for the program.
    pub account: Arc<str>,
    /// Who is asked.
    pub callee: Callee,
    /// Whose account it is, for the program.
    pub username: Option<Box<str>>,
    /// What else the program is told, sorted by name.
    pub context: Vec<(Box<str>, Box<str>)>,
    /// The longest that a call may take, where that is less than what an exchange may.
    pub limit: Option<Duration>,
    /// What the rest of the program needs to know.
    pub profile: Profile,
}

impl Provider for Exec {
    fn profile(&self) -> &Profile {
        &self.profile
    }

    fn exchange(&self, spend: Spend) -> Box<dyn Exchange> {
        Box::new(self.conversation(Action::Refresh, spend))
    }

    fn sign_in(&self, spend: Spend) -> Option<Box<dyn Exchange>> {
        self.profile.sign_in.as_ref()?;
        Some(Box::new(self.conversation(Action::Login, spend)))
    }

    fn login(&self, start: LoginStart) -> Option<Box<dyn Login>> {
        self.profile.sign_in.as_ref()?;
        Some(Box::new(login::begin(self, start)))
    }
}

impl Exec {
    fn conversation(&self, action: Action, mut spend: Spend) -> Conversation {
        let spent = match action {
            Action::Refresh if self.profile.has_refresh_token => spend.refresh_token.take(),
            Action::Refresh | Action::Login => None,
        };
        let missing = action == Action::Refresh && self.profile.has_refresh_token;
        let stage = if missing && spent.is_none() {
            Stage::Over
        } else {
            Stage::Beginning(self.call(action, spent.as_ref(), spend.secrets))
        };
        let default_lifetime = self.profile.default_lifetime();
        Conversation { stage, rules: Rules { action, default_lifetime, spends: spent.is_some() } }
    }

    fn call(
        &self,
        action: Action,
        spent: Option<&Secret>,
        secrets: Vec<(&'static str, Secret)>,
    ) -> Call {
        let question = question::write(self, action, spent, &secrets);
        let hidden = secrets.into_iter().map(|(_, secret)| secret).chain(spent.cloned());
        Call {
            callee: self.callee.clone(),
            account: Arc::clone(&self.account),
            question,
            hidden: hidden.collect(),
            limit: self.limit,
            spends: spent.is_some(),
        }
    }
}

/// One call and its answer.
struct Conversation {
    stage: Stage,
    rules: Rules,
}

enum Stage {
    Beginning(Call),
    Asked,
    Over,
}

impl Exchange for Conversation {
    fn next(&mut self, response: Option<Response>) -> Step {
        match (std::mem::replace(&mut self.stage, Stage::Over), response) {
            (Stage::Beginning(call), None) => {
                self.stage = Stage::Asked;
                Step::Call(call)
            }
            (Stage::Beginning(_), Some(_)) | (Stage::Asked | Stage::Over, _) => out_of_order(),
        }
    }

    fn called(&mut self, called: Called) -> Step {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Asked => Step::Done(answer::read(called, &self.rules)),
            Stage::Beginning(_) | Stage::Over => out_of_order(),
        }
    }

    fn learned(&self) -> Option<Url> {
        None
    }
}

fn out_of_order() -> Step {
    let error = RefreshError::Internal("an exchange was driven out of order".into());
    Step::Done(Outcome::Failed(error))
}

#[cfg(test)]
mod tests;
