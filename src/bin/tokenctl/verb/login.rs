//! `login`: the daemon's conversation with a provider, held with the person at the terminal.
//!
//! The daemon is asked again and again, a second at a time, so that Ctrl-C is heard at every
//! step and passed on: a login that ends here does not go on there.

use std::time::Duration;

use serde::Serialize;
use tokenkeeper::name::AccountId;
use tokenkeeper::protocol::login::LoginView;
use tokenkeeper::protocol::login::PromptView;
use tokenkeeper::time::spoken;
use zeroize::Zeroizing;

use super::Session;
use super::change::json;
use super::of;
use crate::args::login::LoginArgs;
use crate::browser::Browser;
use crate::browser::pasted;
use crate::client::Request;
use crate::client::reply::Reply;
use crate::fault::Fault;
use crate::input;
use crate::person::Echo;
use crate::person::Person;
use crate::person::Question;
use crate::person::Terminal;
use crate::usage::Mistake;

/// How long one look at the login waits for news.
const GLANCE: Duration = Duration::from_secs(1);

/// Logs an account in.
pub(super) fn login(session: &Session, args: &LoginArgs) -> Result<(), Fault> {
    if args.literal.is_some() {
        let instead = "leave it out to be asked, or give it to --password-stdin";
        return Err(Mistake::literal_secret("login", instead).into());
    }
    let password = match args.password_stdin {
        true => Some(input::secret(Some("-".as_ref()), "Password")?.secret),
        false => None,
    };
    // Without loopback there is no browser flow, and the daemon says so if it needs one.
    let browser = if args.no_browser { None } else { Browser::listen().ok() };
    let mut person = Terminal::open()?;
    let account = &args.account;
    let talk = Talk { session, account, person: &mut person, browser, password };
    let (view, reply) = talk.hold()?;
    drop(person);
    session.output.note(&outcome(&view), &reply)
}

/// One login.
struct Talk<'a, P> {
    session: &'a Session,
    account: &'a AccountId,
    person: &'a mut P,
    browser: Option<Browser>,
    password: Option<Zeroizing<String>>,
}

/// The body of a request, as the protocol's `LoginRequest`, borrowed.
#[derive(Default, Serialize)]
struct Wish<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    login: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seen: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cancel: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    redirect: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    typed: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unattended: Option<bool>,
}

impl<P: Person> Talk<'_, P> {
    /// Holds it to its end. Whatever ends it here ends it at the daemon, too.
    fn hold(mut self) -> Result<(LoginView, Reply), Fault> {
        let redirect = self.browser.as_ref().map(|browser| browser.redirect().to_owned());
        // A password that is given is used: the stored one stays out of it.
        let typed = self.password.as_ref().map(|_| true);
        // Nobody is sent a code that could be typed nowhere.
        let unattended = (!self.person.can_type()).then_some(true);
        let redirect = redirect.as_deref();
        let begin = Wish { redirect, typed, unattended, ..Wish::default() };
        // Its name is needed at once: without it nothing could be cancelled.
        let (first, _) = self.ask_daemon(&begin, Duration::ZERO)?;
        let login = first.login.clone();
        let outcome = self.go_on(first);
        if matches!(outcome, Err(Fault::Interrupted | Fault::Input(_))) {
            let cancel = Wish { login: Some(&login), cancel: Some(true), ..Wish::default() };
            self.ask_daemon(&cancel, Duration::ZERO)?;
        }
        outcome
    }

    fn go_on(&mut self, mut view: LoginView) -> Result<(LoginView, Reply), Fault> {
        let login = view.login.clone();
        let mut seen = 0;
        let mut delayed = false;
        loop {
            let answer = match view.prompt.as_ref().filter(|_| view.turn > seen) {
                Some(prompt) if prompt.answerable => Some(self.answer(prompt)?),
                Some(prompt) => {
                    self.show(prompt);
                    None
                }
                None => None,
            };
            if view.prompt.is_some() {
                seen = view.turn;
            }
            if self.person.is_gone() {
                return Err(Fault::Interrupted);
            }
            // Said once in so many words, since a count is shown on terminals alone.
            if let Some(secs) = view.goes_on_in.filter(|_| !delayed) {
                self.tell_delay(&view, secs);
            }
            delayed = view.goes_on_in.is_some();
            self.wait_shown(&view);
            let answer = answer.as_deref().map(String::as_str);
            let wish = Wish { login: Some(&login), answer, seen: Some(seen), ..Wish::default() };
            let (next, reply) = self.ask_daemon(&wish, GLANCE)?;
            if next.state == "done" {
                return Ok((next, reply));
            }
            view = next;
        }
    }

    /// What the person answers to a question.
    fn answer(&mut self, prompt: &PromptView) -> Result<Zeroizing<String>, Fault> {
        let left = prompt.ttl.map(Duration::from_secs);
        let whose = |of: &Option<String>| of.clone().unwrap_or_else(|| self.account.to_string());
        match prompt.kind.as_str() {
            "password" => {
                if let Some(password) = self.password.take() {
                    return Ok(password);
                }
                let text = format!("Password of {}", whose(&prompt.of));
                let question = Question { text: &text, echo: Echo::Hidden, left, browser: None };
                self.person.ask(&question)
            }
            "browser" => {
                let url = prompt.url.as_deref().unwrap_or_default();
                self.person.tell("Open this address in a browser:");
                self.person.tell(url);
                self.person
                    .tell("If the browser runs elsewhere, paste the address here that it ends at.");
                let browser = self.browser.as_ref();
                let question = Question { text: "Address", echo: Echo::Hidden, left, browser };
                let answer = self.person.ask(&question)?;
                Ok(pasted(&answer))
            }
            _ => {
                if prompt.again {
                    self.person.tell("That was not right.");
                }
                let from = prompt.from.as_deref().unwrap_or("the code");
                let text = format!("Code ({from})");
                let question = Question { text: &text, echo: Echo::Shown, left, browser: None };
                let code = self.person.ask(&question)?;
                Ok(Zeroizing::new(code.trim().to_owned()))
            }
        }
    }

    /// Tells the person what to do elsewhere.
    fn show(&mut self, prompt: &PromptView) {
        let url = prompt.url.as_deref().unwrap_or_default();
        let code = prompt.user_code.as_deref().unwrap_or_default();
        self.person.tell("Open this address on any device and type the code there:");
        self.person.tell(&format!("  address  {url}"));
        self.person.tell(&format!("  code     {code}"));
        if let Some(complete) = &prompt.complete_url {
            self.person.tell(&format!("  or both  {complete}"));
        }
    }

    fn tell_delay(&mut self, view: &LoginView, secs: u64) {
        let why = match view.state.as_str() {
            "proving" => "The credential cannot be proven just yet",
            _ => "There were as many logins at this provider as a minute allows",
        };
        self.person.tell(&format!("{why}; it goes on in {}.", spoken(Duration::from_secs(secs))));
    }

    fn wait_shown(&mut self, view: &LoginView) {
        let goes_on = view.goes_on_in.map(Duration::from_secs);
        match (view.state.as_str(), &view.prompt) {
            (_, _) if goes_on.is_some() => self.person.waits_for("Waiting for a turn", goes_on),
            ("proving", _) => self.person.waits_for("Proving the credential", None),
            (_, Some(prompt)) if !prompt.answerable => {
                let left = prompt.ttl.map(Duration::from_secs);
                self.person.waits_for("Waiting for you to do that", left);
            }
            _ => self.person.waits_for("Asking the provider", None),
        }
    }

    fn ask_daemon(&self, wish: &Wish<'_>, wait: Duration) -> Result<(LoginView, Reply), Fault> {
        let body = json(wish, wish.answer.map_or(0, str::len) + 256);
        let target = of(self.account, &format!("/login?wait={}", wait.as_secs()));
        self.session.daemon.fetch(&Request::post(target).json(body).waiting(wait))
    }
}

fn outcome(view: &LoginView) -> String {
    let LoginView { account, generation, ttl, expires_at, .. } = view;
    let generation = generation.map(|it| format!(", generation {it}")).unwrap_or_default();
    let good = match (ttl, expires_at) {
        (Some(ttl), Some(at)) => {
            format!(", its token is good for {}, until {at}", spoken(Duration::from_secs(*ttl)))
        }
        _ => String::new(),
    };
    format!("{account}: logged in{generation}{good}; from now on it is refreshed in time")
}

#[cfg(test)]
mod tests;
