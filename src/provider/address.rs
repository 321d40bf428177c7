//! Reading where an account's tokens may go, by the rule of [`Transport::permits`].

use url::Url;

use super::Transport;
use crate::section::address::Query;
use crate::section::complaint::Problem;
use crate::section::value::Value;

/// Reads a URL that the transport permits.
pub(super) fn read(value: &Value<'_>, transport: &Transport, query: Query) -> Option<Url> {
    let url = value.url(query)?;
    if transport.permits(&url) {
        return Some(url);
    }
    let with_plain_http = Transport { plain_http: true, ca_file: None };
    let rule = if with_plain_http.permits(&url) {
        "plain http to a private address needs plain_http = true; better is https"
    } else if transport.plain_http {
        "plain http goes to this host and to private addresses written as numbers only; expected \
         \"https://…\""
    } else {
        "plain http goes to this host only; expected \"https://…\""
    };
    value.complain(Problem::Rule(rule.into()));
    None
}
