//! `logout` and `sessions`: what an account has at its provider, and ending it.

use tokenkeeper::protocol::login::SessionsView;
use url::form_urlencoded::byte_serialize;

use super::Session;
use super::change::done;
use super::change::json;
use super::of;
use crate::args::login::LogoutArgs;
use crate::args::login::SessionsArgs;
use crate::client::Request;
use crate::fault::Fault;
use crate::print;
use crate::print::Form;

/// Ends the login, at the provider too unless only this host is meant.
pub(super) fn logout(session: &Session, args: &LogoutArgs) -> Result<(), Fault> {
    use tokenkeeper::protocol::login::LogoutRequest;

    let body = json(&LogoutRequest { local: args.local.then_some(true) }, 0);
    done(session, &Request::post(of(&args.account, "/logout")).json(body))
}

/// Lists the sessions, or ends some.
pub(super) fn sessions(session: &Session, args: &SessionsArgs) -> Result<(), Fault> {
    let which = match (&args.terminate, args.terminate_all) {
        (Some(id), _) => format!("id={}", byte_serialize(id.as_bytes()).collect::<String>()),
        (None, true) => "all=true".to_owned(),
        (None, false) => return list(session, args),
    };
    done(session, &Request::delete(of(&args.account, &format!("/sessions?{which}"))))
}

fn list(session: &Session, args: &SessionsArgs) -> Result<(), Fault> {
    let request = Request::get(of(&args.account, "/sessions")).slowly();
    let (view, reply) = session.daemon.fetch::<SessionsView>(&request)?;
    match session.output.form {
        Form::Json => session.output.reply(&reply),
        Form::Text => {
            session.output.page(&print::sessions::table(&view.sessions, session.output.style))
        }
    }
}
