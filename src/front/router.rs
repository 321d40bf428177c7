//! Which request is meant: method and path against one table.

use hyper::Method;
use matchit::Match;

use crate::error::code::Code;
use crate::front::reply::Refused;
use crate::front::spelling::quoted;
use crate::front::spelling::quoted_path;
use crate::limits;
use crate::snapshot::Refusal;
use crate::spelling::nearest;

/// A request that is served.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Route {
    Accounts,
    Account,
    Token,
    Refresh,
    Report,
    Import,
    Login,
    Logout,
    Sessions,
    EndSessions,
    Secret,
    Pause,
    Release,
    Resume,
    Retry,
    Purge,
    Credential,
    Access,
    Events,
    WhoAmI,
    Status,
    Backup,
    Reload,
    CheckConfig,
    Metrics,
    OpenApi,
}

/// Every request, sorted by path and method.
#[rustfmt::skip]
pub(super) const ROUTES: &[(Method, &str, Route)] = &[
    (Method::GET,    "/metrics",                          Route::Metrics),
    (Method::GET,    "/v1/accounts",                      Route::Accounts),
    (Method::GET,    "/v1/accounts/{account}",            Route::Account),
    (Method::GET,    "/v1/accounts/{account}/access",     Route::Access),
    (Method::DELETE, "/v1/accounts/{account}/credential", Route::Credential),
    (Method::POST,   "/v1/accounts/{account}/import",     Route::Import),
    (Method::POST,   "/v1/accounts/{account}/login",      Route::Login),
    (Method::POST,   "/v1/accounts/{account}/logout",     Route::Logout),
    (Method::POST,   "/v1/accounts/{account}/pause",      Route::Pause),
    (Method::POST,   "/v1/accounts/{account}/purge",      Route::Purge),
    (Method::POST,   "/v1/accounts/{account}/refresh",    Route::Refresh),
    (Method::POST,   "/v1/accounts/{account}/release",    Route::Release),
    (Method::POST,   "/v1/accounts/{account}/report",     Route::Report),
    (Method::POST,   "/v1/accounts/{account}/resume",     Route::Resume),
    (Method::POST,   "/v1/accounts/{account}/retry",      Route::Retry),
    (Method::POST,   "/v1/accounts/{account}/secret",     Route::Secret),
    (Method::DELETE, "/v1/accounts/{account}/sessions",   Route::EndSessions),
    (Method::GET,    "/v1/accounts/{account}/sessions",   Route::Sessions),
    (Method::GET,    "/v1/accounts/{account}/token",      Route::Token),
    (Method::POST,   "/v1/backup",                        Route::Backup),
    (Method::POST,   "/v1/config/check",                  Route::CheckConfig),
    (Method::GET,    "/v1/events",                        Route::Events),
    (Method::GET,    "/v1/openapi.json",                  Route::OpenApi),
    (Method::POST,   "/v1/reload",                        Route::Reload),
    (Method::GET,    "/v1/status",                        Route::Status),
    (Method::GET,    "/v1/whoami",                        Route::WhoAmI),
];

/// Finds routes.
pub(super) struct Router(matchit::Router<&'static [(Method, &'static str, Route)]>);

impl Router {
    /// A router of [`ROUTES`].
    ///
    /// # Errors
    ///
    /// Two routes that cannot be told apart; a test holds that there are none.
    pub(super) fn new() -> Result<Self, matchit::InsertError> {
        let mut router = matchit::Router::new();
        for rows in ROUTES.chunk_by(|one, other| one.1 == other.1) {
            if let Some((_, path, _)) = rows.first() {
                router.insert(*path, rows)?;
            }
        }
        Ok(Self(router))
    }

    /// The route, and the account's name where the path has one.
    ///
    /// # Errors
    ///
    /// 404 with the nearest path, or 405 with the methods that the path has.
    pub(super) fn find<'p>(
        &self,
        method: &Method,
        path: &'p str,
    ) -> Result<(Route, &'p str), Box<Refused>> {
        let Ok(Match { value: rows, params }) = self.0.at(path) else {
            return Err(Box::new(no_such_path(path)));
        };
        match rows.iter().find(|(allowed, ..)| allowed == method) {
            Some((_, _, route)) => Ok((*route, params.get("account").unwrap_or_default())),
            None => Err(Box::new(no_such_method(method, path, rows))),
        }
    }
}

fn no_such_path(path: &str) -> Refused {
    let message = match nearest_path(path) {
        Some(near) => {
            format!("there is no {}; did you mean {}?", quoted_path(path), quoted_path(&near))
        }
        None => format!("there is no {}; /v1/openapi.json lists what there is", quoted_path(path)),
    };
    Refused::with_status(404, Refusal::new(Code::BadRequest, message))
}

fn no_such_method(method: &Method, path: &str, rows: &[(Method, &'static str, Route)]) -> Refused {
    let (method, path) = (quoted(method.as_str()), quoted_path(path));
    let allowed = rows.iter().map(|(allowed, ..)| allowed.as_str()).collect::<Vec<_>>();
    let message = format!("{path} takes {}, not {method}", allowed.join(" and "));
    let refused = Refused::with_status(405, Refusal::new(Code::BadRequest, message));
    refused.allowing(allowed.join(", "))
}

/// The existing path that is spelled most like `path`, with the account's name as it was sent.
fn nearest_path(path: &str) -> Option<String> {
    if path.len() > limits::SPELLED {
        return None;
    }
    // Neither stands in a name, and a path that climbs is not one to be proposed.
    let may_be_one = |name: &&str| !name.is_empty() && !name.contains(['.', '%']);
    let account = path.split('/').nth(3).filter(may_be_one).unwrap_or("ACCOUNT");
    let paths = ROUTES.iter().map(|(_, path, _)| path.replace("{account}", account));
    let paths = paths.collect::<Vec<_>>();
    nearest(path, paths.iter().map(String::as_str)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_found_by_its_method_and_path() {
        let router = Router::new().unwrap();
        for (method, pattern, route) in ROUTES {
            let path = pattern.replace("{account}", "mail");
            let (found, account) = router.find(method, &path).ok().unwrap();
            assert_eq!(found, *route);
            assert_eq!(account, if pattern.contains('{') { "mail" } else { "" });
        }
    }

    #[test]
    fn the_table_is_sorted_and_has_no_row_twice() {
        let place = |row: &(Method, &'static str, Route)| (row.1, row.0.to_string());
        assert!(ROUTES.is_sorted_by(|a, b| place(a) < place(b)));
    }

    #[test]
    fn what_does_not_exist_is_refused_with_what_does() {
        let router = Router::new().unwrap();
        #[rustfmt::skip]
        let cases = [
            (Method::GET,  "/",                             404, "there is no `/`; /v1/openapi.json lists what there is"),
            (Method::GET,  "/v1/acounts",                   404, "there is no `/v1/acounts`; did you mean `/v1/accounts`?"),
            (Method::GET,  "/v1/accounts/mail/tokn",        404, "there is no `/v1/accounts/mail/tokn`; did you mean `/v1/accounts/mail/token`?"),
            (Method::GET,  "/v1/accounts/mail/token/",      404, "there is no `/v1/accounts/mail/token/`; did you mean `/v1/accounts/mail/token`?"),
            (Method::GET,  "/v1/acounts/gho-16C7e42F292c6912E7710c83/token", 404, "there is no `/v1/acounts/[masked]/token`; did you mean `/v1/accounts/[masked]/token`?"),
            (Method::GET,  "/v1/accounts/",                 404, "there is no `/v1/accounts/`; did you mean `/v1/accounts`?"),
            (Method::GET,  "/v1/accounts/../../etc/passwd", 404, "there is no `/v1/accounts/../../etc/passwd`; did you mean `/v1/accounts`?"),
            (Method::GET,  "/v1/accounts/%2e%2e/tokn",      404, "there is no `/v1/accounts/%2e%2e/tokn`; did you mean `/v1/accounts/ACCOUNT/token`?"),
            (Method::GET,  "/v2/status",                    404, "there is no `/v2/status`; did you mean `/v1/status`?"),
            (Method::POST, "/v1/accounts/mail/token",       405, "`/v1/accounts/mail/token` takes GET, not `POST`"),
            (Method::GET,  "/v1/accounts/mail/refresh",     405, "`/v1/accounts/mail/refresh` takes POST, not `GET`"),
            (Method::POST, "/v1/accounts/mail/sessions",    405, "`/v1/accounts/mail/sessions` takes DELETE and GET, not `POST`"),
            (Method::POST, "/v1/accounts/mail/credential",  405, "`/v1/accounts/mail/credential` takes DELETE, not `POST`"),
        ];
        for (method, path, status, message) in cases {
            let refused = router.find(&method, path).err().unwrap();
            assert_eq!(refused.status(), status, "{path}");
            assert_eq!(refused.refusal.message, message);
        }
    }
}
