//! What is wrong with an answer that holds neither tokens, nor metadata, nor OAuth's word for
//! a refusal.

use url::Url;

use crate::error::RefreshError;

/// An answer that something else gave in the provider's place.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stranger {
    /// Written for a browser.
    #[error("a page, with HTTP {0}")]
    Page(u16),
    /// RFC 6585 section 6.
    #[error("a network that wants a login")]
    CaptivePortal,
    /// A redirect that says where to.
    #[error("HTTP {status} to {host}, which is not followed")]
    Redirect {
        /// Its status.
        status: u16,
        /// The host in its `Location`.
        host: Box<str>,
    },
    /// A redirect that does not.
    #[error("HTTP {0}, which is not followed")]
    RedirectNowhere(u16),
    /// An error that no OAuth endpoint gives.
    #[error("HTTP {0} without an OAuth error")]
    Wordless(u16),
    /// Written for a browser, asked for metadata.
    #[error("a page, where its metadata should be")]
    MetadataPage,
    /// Another status, asked for metadata.
    #[error("HTTP {0}, where its metadata should be")]
    MetadataStatus(u16),
    /// No metadata document.
    #[error("its metadata cannot be read")]
    MetadataUnreadable,
}

impl From<Stranger> for RefreshError {
    fn from(stranger: Stranger) -> Self {
        Self::NotTheProvider(stranger.to_string())
    }
}

/// Why there is no token endpoint to ask.
#[derive(Debug, thiserror::Error)]
pub(super) enum Missing {
    /// Nothing is there.
    #[error(
        "{endpoint} answers HTTP {status}; check the path of that URL, the credential was not \
         looked at"
    )]
    Endpoint {
        /// Where it should be, from [`place`].
        endpoint: Box<str>,
        /// What is there instead.
        status: u16,
    },
    /// The issuer has neither kind of document.
    #[error("the issuer has no metadata")]
    Metadata,
    /// The document is of another issuer.
    #[error("the metadata are of another issuer")]
    OtherIssuer,
    /// The document names none.
    #[error("the metadata name no token endpoint")]
    Unnamed,
    /// Nothing says where a login begins.
    #[error("nothing says where a login begins: set {0}")]
    Key(&'static str),
    /// The document names no place where a login is ended.
    #[error("the issuer names no place where a login is ended")]
    Revocation,
    /// The document names one that a credential must not be sent to.
    #[error("the metadata name a token endpoint that is not safe")]
    Unsafe,
}

impl From<Missing> for RefreshError {
    fn from(missing: Missing) -> Self {
        match missing {
            Missing::Key(_) | Missing::Revocation => Self::NotOffered(missing.to_string()),
            Missing::Endpoint { .. }
            | Missing::Metadata
            | Missing::OtherIssuer
            | Missing::Unnamed
            | Missing::Unsafe => Self::NoEndpoint(missing.to_string()),
        }
    }
}

/// A URL as far as it may be shown: without user, query and fragment, and 200 characters at
/// most. Its path is shown as it is, since it is what has to be compared; a URL has no
/// characters that could harm a terminal.
pub(super) fn place(url: &Url) -> String {
    const LONGEST: usize = 200;

    let mut place = url.origin().ascii_serialization();
    place.push_str(url.path());
    // ASCII throughout: a cut is never inside a character.
    place.truncate(LONGEST);
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_url_only_its_place_is_shown() {
        #[rustfmt::skip]
        let cases = [
            ("https://idp.example/oauth2/token",                "https://idp.example/oauth2/token"),
            ("https://idp.example:8443",                        "https://idp.example:8443/"),
            ("https://pat:secret@idp.example/t?key=hidden#top", "https://idp.example/t"),
            ("https://idp.example/\u{202e}\u{1b}t",             "https://idp.example/%E2%80%AE%1Bt"),
        ];
        for (url, shown) in cases {
            assert_eq!(place(&Url::parse(url).unwrap()), shown);
        }
        let long = Url::parse(&format!("https://idp.example/{}", "a".repeat(4000))).unwrap();
        assert_eq!(place(&long).len(), 200);
    }
}
