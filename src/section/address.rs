//! What a URL in the configuration looks like. Where one may lead is its reader's to judge.

use url::Url;

use super::complaint::Problem;

/// What a URL may have behind its path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Query {
    /// A query, as RFC 6749 section 3.2 allows for endpoints.
    Allowed,
    /// None: where a path is put below it, and as RFC 8414 section 2 wants it of issuers.
    Refused,
}

impl Query {
    /// What is expected where such a URL is: an endpoint has a path, an issuer need not.
    pub(super) const fn expected(self) -> &'static str {
        match self {
            Self::Allowed => "a URL such as \"https://login.example.org/token\"",
            Self::Refused => "a URL such as \"https://login.example.org\"",
        }
    }
}

/// Reads a URL with the scheme `https` or `http`.
///
/// # Errors
///
/// The rule that it breaks, without the URL.
pub(super) fn parse(text: &str, query: Query) -> Result<Url, Problem> {
    let url = Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "https" | "http"))
        .ok_or(Problem::Value { expected: query.expected().into(), nearest: None })?;
    let broken = if !url.username().is_empty() || url.password().is_some() {
        "a URL must not have a user name or a password in it"
    } else if url.fragment().is_some() {
        "a URL must not have a fragment (\"#…\") here"
    } else if query == Query::Refused && url.query().is_some() {
        "a URL must not have a query (\"?…\") here"
    } else {
        return Ok(url);
    };
    Err(Problem::Rule(broken.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_place_and_path_belongs_into_a_url() {
        #[rustfmt::skip]
        let cases = [
            // URL                                endpoint  issuer
            ("https://a.example/x",               true,     true),
            ("http://127.0.0.1:8080",             true,     true),
            ("https://a.example/x?tenant=1",      true,     false),
            ("https://a.example/x#frag",          false,    false),
            ("https://pat@a.example/x",           false,    false),
            ("https://pat:secret@a.example/x",    false,    false),
            ("https://:secret@a.example/x",       false,    false),
            ("ftp://a.example/x",                 false,    false),
            ("a.example/x",                       false,    false),
            ("localhost:8080",                    false,    false),
            ("https://",                          false,    false),
        ];
        for (text, endpoint, issuer) in cases {
            assert_eq!(parse(text, Query::Allowed).is_ok(), endpoint, "{text}");
            assert_eq!(parse(text, Query::Refused).is_ok(), issuer, "{text}, issuer");
        }
    }
}
