//! What a path means.

/// What a request is aimed at. `'a` is the path of the request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Route<'a> {
    /// Discovery of an account.
    Discovery(&'a str),
    /// An endpoint of an account, and its path behind the account's name.
    Endpoint(&'a str, &'a str),
    /// Revocation endpoint of an account.
    Revoke(&'a str),
    /// The protected resource of an account.
    Resource(&'a str),
    /// The control interface, where it answers at once.
    Control(Control<'a>),
    /// The control interface: wait for a total.
    Wait,
}

impl<'a> Route<'a> {
    /// The path behind the account's name, where services tell their endpoints apart by it.
    pub(crate) fn path(&self) -> &'a str {
        match self {
            Self::Endpoint(_, path) => path,
            Self::Discovery(_)
            | Self::Revoke(_)
            | Self::Resource(_)
            | Self::Control(_)
            | Self::Wait => "",
        }
    }
}

/// A request of the control interface.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Control<'a> {
    /// Create or reset many accounts.
    PutMany,
    /// Create or reset an account.
    Put(&'a str),
    /// Change the behaviour of an account.
    Patch(&'a str),
    /// Look at an account.
    Look(&'a str),
    /// Remove an account.
    Remove(&'a str),
    /// Queue faults.
    Next(&'a str),
    /// End every login of an account.
    RevokeAll(&'a str),
    /// Begin a new login of an account.
    Mint(&'a str),
    /// The behaviour of accounts that are not known.
    Default,
    /// Hold the requests of an account.
    Hold,
    /// Let them go.
    Release,
    /// The requests so far.
    Ledger,
    /// The totals so far.
    Summary,
}

/// Why a request is aimed at nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Miss {
    /// The path means nothing.
    #[error("no such path; `tokenkeeper-idp --help` lists them all")]
    Path,
    /// The path means something under another method.
    #[error("this path takes {0}")]
    Method(&'static str),
    /// An account cannot have that name.
    #[error("account names are 1 to 64 of a-z, 0-9, - and _, and not `control`")]
    Account,
}

/// Longest name of an account.
const LONGEST_NAME: usize = 64;
const OPENID: &str = "openid-configuration";
const OAUTH: &str = "oauth-authorization-server";

/// Finds what `method` on `path` (without query) is aimed at.
///
/// # Errors
///
/// Nothing, and why.
pub(crate) fn route<'a>(method: &str, path: &'a str) -> Result<Route<'a>, Miss> {
    let segments = path.strip_prefix('/').ok_or(Miss::Path)?.split('/').collect::<Vec<_>>();
    match segments.as_slice() {
        ["control", "wait"] => only("GET", method).map(|()| Route::Wait),
        ["control", rest @ ..] => control(method, rest).map(Route::Control),
        [account, ".well-known", OPENID | OAUTH] | [".well-known", OAUTH, account] => {
            only("GET", method)?;
            Ok(Route::Discovery(named(account)?))
        }
        [account, "token"] => {
            only("POST", method)?;
            Ok(Route::Endpoint(named(account)?, "token"))
        }
        [account, "user", "sign-in"]
        | [account, "auth", "refresh"]
        | [account, "device", "list"] => {
            only("POST", method)?;
            Ok(Route::Endpoint(named(account)?, behind(path)))
        }
        [account, "api", ..] => Ok(Route::Endpoint(named(account)?, behind(path))),
        [account] | [account, ""] if !account.is_empty() => {
            only("POST", method)?;
            Ok(Route::Endpoint(named(account)?, ""))
        }
        [account, "revoke"] => {
            only("POST", method)?;
            Ok(Route::Revoke(named(account)?))
        }
        [account, "resource"] => {
            only("GET", method)?;
            Ok(Route::Resource(named(account)?))
        }
        _ => Err(Miss::Path),
    }
}

/// What follows the slash behind the first segment.
fn behind(path: &str) -> &str {
    path.get(1..).and_then(|path| path.split_once('/')).map_or("", |(_, rest)| rest)
}

/// Whether an account may have this name.
///
/// # Errors
///
/// It may not.
pub(crate) fn named(account: &str) -> Result<&str, Miss> {
    let plain = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
    let fits = (1..=LONGEST_NAME).contains(&account.len());
    if fits && account.bytes().all(plain) && account != "control" {
        Ok(account)
    } else {
        Err(Miss::Account)
    }
}

fn control<'a>(method: &str, segments: &[&'a str]) -> Result<Control<'a>, Miss> {
    match segments {
        ["accounts"] => only("POST", method).map(|()| Control::PutMany),
        ["accounts", account] => {
            let account = named(account)?;
            match method {
                "PUT" => Ok(Control::Put(account)),
                "PATCH" => Ok(Control::Patch(account)),
                "GET" => Ok(Control::Look(account)),
                "DELETE" => Ok(Control::Remove(account)),
                _ => Err(Miss::Method("GET, PUT, PATCH or DELETE")),
            }
        }
        ["accounts", account, verb] => {
            let act = match *verb {
                "next" => Control::Next,
                "revoke" => Control::RevokeAll,
                "mint" => Control::Mint,
                _ => return Err(Miss::Path),
            };
            only("POST", method)?;
            named(account).map(act)
        }
        ["default"] => only("POST", method).map(|()| Control::Default),
        ["hold"] => only("POST", method).map(|()| Control::Hold),
        ["release"] => only("POST", method).map(|()| Control::Release),
        ["ledger"] => only("GET", method).map(|()| Control::Ledger),
        ["summary"] => only("GET", method).map(|()| Control::Summary),
        _ => Err(Miss::Path),
    }
}

fn only(wanted: &'static str, method: &str) -> Result<(), Miss> {
    if method == wanted { Ok(()) } else { Err(Miss::Method(wanted)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_has_one_meaning() {
        #[rustfmt::skip]
        let cases = [
            ("GET",    "/a/.well-known/openid-configuration",       Ok(Route::Discovery("a"))),
            ("GET",    "/a/.well-known/oauth-authorization-server", Ok(Route::Discovery("a"))),
            ("GET",    "/.well-known/oauth-authorization-server/a", Ok(Route::Discovery("a"))),
            ("POST",   "/a-1_z/token",              Ok(Route::Endpoint("a-1_z", "token"))),
            ("POST",   "/a/user/sign-in",           Ok(Route::Endpoint("a", "user/sign-in"))),
            ("GET",    "/a/auth/refresh",           Err(Miss::Method("POST"))),
            ("DELETE", "/a/api/auth/sessions/x",    Ok(Route::Endpoint("a", "api/auth/sessions/x"))),
            ("POST",   "/a/",                       Ok(Route::Endpoint("a", ""))),
            ("POST",   "/a",                        Ok(Route::Endpoint("a", ""))),
            ("POST",   "/a/revoke",                 Ok(Route::Revoke("a"))),
            ("GET",    "/a/resource",               Ok(Route::Resource("a"))),
            ("POST",   "/control/accounts",         Ok(Route::Control(Control::PutMany))),
            ("PUT",    "/control/accounts/a",       Ok(Route::Control(Control::Put("a")))),
            ("PATCH",  "/control/accounts/a",       Ok(Route::Control(Control::Patch("a")))),
            ("GET",    "/control/accounts/a",       Ok(Route::Control(Control::Look("a")))),
            ("DELETE", "/control/accounts/a",       Ok(Route::Control(Control::Remove("a")))),
            ("POST",   "/control/accounts/a/next",  Ok(Route::Control(Control::Next("a")))),
            ("POST",   "/control/accounts/a/revoke", Ok(Route::Control(Control::RevokeAll("a")))),
            ("POST",   "/control/accounts/a/mint",  Ok(Route::Control(Control::Mint("a")))),
            ("POST",   "/control/default",          Ok(Route::Control(Control::Default))),
            ("POST",   "/control/hold",             Ok(Route::Control(Control::Hold))),
            ("POST",   "/control/release",          Ok(Route::Control(Control::Release))),
            ("GET",    "/control/ledger",           Ok(Route::Control(Control::Ledger))),
            ("GET",    "/control/summary",          Ok(Route::Control(Control::Summary))),
            ("GET",    "/control/wait",             Ok(Route::Wait)),
            ("GET",    "/a/token",                  Err(Miss::Method("POST"))),
            ("POST",   "/A/token",                  Err(Miss::Account)),
            ("POST",   "//token",                   Err(Miss::Account)),
            ("POST",   "/control/token",            Err(Miss::Path)),
            ("PUT",    "/control/accounts/control", Err(Miss::Account)),
            ("GET",    "/",                         Err(Miss::Path)),
            ("GET",    "*",                         Err(Miss::Path)),
            ("POST",   "/a/token/",                 Err(Miss::Path)),
        ];
        for (method, path, expected) in cases {
            assert_eq!(route(method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn a_name_has_at_most_64_characters() {
        assert!(named(&"a".repeat(64)).is_ok());
        assert_eq!(named(&"a".repeat(65)), Err(Miss::Account));
    }
}
