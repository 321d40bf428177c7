//! `list`, `status`, `why`, `whoami` and `access`: how things stand.

use serde::Serialize;
use tokenkeeper::clock;
use tokenkeeper::error::foreign::shown;
use tokenkeeper::name::AccountId;
use tokenkeeper::protocol::account::AccountList;
use tokenkeeper::protocol::account::AccountView;
use tokenkeeper::protocol::daemon::AccessView;
use tokenkeeper::protocol::daemon::StatusView;
use tokenkeeper::protocol::daemon::WhoAmI;
use tokenkeeper::section::Mode;
use url::form_urlencoded::byte_serialize;

use super::Session;
use super::of;
use crate::args::admin::AccessArgs;
use crate::client::Request;
use crate::fault::Fault;
use crate::people::Person;
use crate::print;
use crate::print::Form;
use crate::usage::Mistake;

/// The names of the accounts, one on a line.
pub(super) fn list(session: &Session) -> Result<(), Fault> {
    let (list, reply) = session.daemon.fetch::<AccountList>(&Request::get("/v1/accounts"))?;
    match session.output.form {
        Form::Json => session.output.reply(&reply),
        Form::Text => {
            let names = list.accounts.iter().map(|view| format!("{}\n", shown(&view.account)));
            session.output.page(&names.collect::<String>())
        }
    }
}

/// The daemon, and the accounts or one of them.
pub(super) fn status(session: &Session, only: Option<&AccountId>) -> Result<(), Fault> {
    /// With `--json`.
    #[derive(Serialize)]
    struct Standing {
        socket: String,
        daemon: StatusView,
        accounts: Vec<AccountView>,
    }

    let (daemon, _) = session.daemon.fetch::<StatusView>(&Request::get("/v1/status"))?;
    let accounts = match only {
        Some(account) => vec![view(session, account)?],
        None => session.daemon.fetch::<AccountList>(&Request::get("/v1/accounts"))?.0.accounts,
    };
    let place = session.daemon.place().ok_or_else(|| session.daemon.unexpected())?;
    if session.output.form == Form::Json {
        let socket = place.path.to_string_lossy().into_owned();
        return session.output.json(&Standing { socket, daemon, accounts });
    }
    let (now, style) = (clock::now().wall, session.output.style);
    let mut page = print::status::daemon(place, &daemon, now, style);
    if accounts.is_empty() {
        let (me, _) = session.daemon.fetch::<WhoAmI>(&Request::get("/v1/whoami"))?;
        page.push_str(&format!("{}\n", print::status::of_none(&me)));
    } else {
        page.push('\n');
        page.push_str(&print::status::accounts(&accounts, now, style));
    }
    session.output.page(&page)
}

/// The story of one account.
pub(super) fn why(session: &Session, account: &AccountId) -> Result<(), Fault> {
    let request = Request::get(of(account, ""));
    let (view, reply) = session.daemon.fetch::<AccountView>(&request)?;
    match session.output.form {
        Form::Json => session.output.reply(&reply),
        Form::Text => session.output.page(&print::why::story(&view, clock::now().wall)),
    }
}

fn view(session: &Session, account: &AccountId) -> Result<AccountView, Fault> {
    Ok(session.daemon.fetch(&Request::get(of(account, "")))?.0)
}

/// How the daemon sees the caller.
pub(super) fn whoami(session: &Session) -> Result<(), Fault> {
    let (me, reply) = session.daemon.fetch::<WhoAmI>(&Request::get("/v1/whoami"))?;
    match session.output.form {
        Form::Json => session.output.reply(&reply),
        Form::Text => session.output.page(&print::daemon::whoami(&me)),
    }
}

/// What somebody else may do, and why.
pub(super) fn access(session: &Session, args: &AccessArgs) -> Result<(), Fault> {
    let (who, person) = match (&args.of_user, args.uid) {
        (Some(name), _) => (Some(name.clone()), Some(Person::named(name, &args.groups)?)),
        (None, Some(uid)) => {
            (Some(format!("uid {uid}")), Some(Person::numbered(uid, &args.groups)?))
        }
        // Units of a session prove no more than its user, and a group is a user's.
        (None, None)
            if args.unit.is_none() || !args.groups.is_empty() || session.mode == Mode::User =>
        {
            let who = "--user or --uid, or --unit alone of a unit of the host";
            return Err(Mistake::neither("access", who).into());
        }
        (None, None) => (None, None),
    };
    let user = person.map(|Person { uid, gid, groups }| {
        let groups = groups.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        format!("uid={uid}&gid={gid}&groups={groups}")
    });
    let unit = args.unit.as_ref().map(|unit| {
        let escaped = byte_serialize(unit.as_bytes()).collect::<String>();
        format!("unit={escaped}")
    });
    let question = user.into_iter().chain(unit).collect::<Vec<_>>().join("&");
    let question = format!("/access?{question}");
    let request = Request::get(of(&args.account, &question));
    let (view, reply) = session.daemon.fetch::<AccessView>(&request)?;
    match session.output.form {
        Form::Json => session.output.reply(&reply),
        Form::Text => {
            let who = match (who, &args.unit) {
                (Some(who), Some(unit)) => format!("{who} in {unit}"),
                (None, Some(unit)) => format!("{unit}, by LoadCredential="),
                (who, None) => who.unwrap_or_default(),
            };
            session.output.page(&print::daemon::access(&who, &view))
        }
    }
}
