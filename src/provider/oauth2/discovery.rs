//! Where an issuer's metadata is, and what is believed of it.
//!
//! OpenID Connect Discovery 1.0 section 4 puts the document below the issuer, RFC 8414
//! section 3.1 between its host and its path. The first is asked for first, since nearly
//! every issuer has it; the second only where the first is not there.

use serde::Deserialize;
use url::Url;

use crate::error::RefreshError;
use crate::error::foreign::OauthError;
use crate::provider::Response;
use crate::provider::Transport;
use crate::provider::answer::is_page;
use crate::provider::fault::Missing;
use crate::provider::fault::Stranger;

/// Where a metadata document is looked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Placement {
    /// OpenID Connect Discovery 1.0 section 4.
    OpenId,
    /// RFC 8414 section 3.1.
    Rfc8414,
}

/// What became of asking for the document.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Found {
    /// What it names.
    Places(Box<Places>),
    /// There is no document at this place.
    Nothing,
}

/// What an issuer's metadata name, as far as it is safe.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Places {
    /// The token endpoint.
    pub(super) token: Url,
    /// RFC 8628 section 4.
    pub(super) device: Option<Url>,
    /// RFC 6749 section 3.1.
    pub(super) authorization: Option<Url>,
    /// RFC 7009 section 2.
    pub(super) revocation: Option<Url>,
    /// Whether an authorization response without `iss` is not the issuer's (RFC 9207 section 3).
    pub(super) says_iss: bool,
}

impl Placement {
    /// URL of the document of `issuer`.
    pub(super) fn url(self, issuer: &Url) -> Url {
        let path = issuer.path().trim_end_matches('/');
        let mut url = issuer.clone();
        url.set_query(None);
        url.set_fragment(None);
        url.set_path(&match self {
            Self::OpenId => format!("{path}/.well-known/openid-configuration"),
            Self::Rfc8414 => format!("/.well-known/oauth-authorization-server{path}"),
        });
        url
    }
}

/// Reads the answer to a metadata request.
///
/// The document has to name the issuer that it was asked of (RFC 8414 section 3.3): or else
/// one issuer could have another one's refresh tokens sent to itself. The endpoint may be on
/// any host, but not on plain http where the issuer is not.
///
/// # Errors
///
/// Nothing was spent by asking, so none of them is [`Class::Ambiguous`](crate::error::Class).
pub(super) fn read(
    response: &Response,
    issuer: &Url,
    transport: &Transport,
) -> Result<Found, RefreshError> {
    #[derive(Deserialize)]
    struct Metadata {
        issuer: String,
        token_endpoint: Option<String>,
        device_authorization_endpoint: Option<String>,
        authorization_endpoint: Option<String>,
        revocation_endpoint: Option<String>,
        #[serde(default)]
        authorization_response_iss_parameter_supported: bool,
    }

    match response.status {
        200 => {}
        404 => return Ok(Found::Nothing),
        status => return Err(refused(status, response)),
    }
    if is_page(response) {
        return Err(Stranger::MetadataPage.into());
    }
    let Ok(metadata) = serde_json::from_slice::<Metadata>(&response.body) else {
        return Err(Stranger::MetadataUnreadable.into());
    };
    if !Url::parse(&metadata.issuer).is_ok_and(|named| same_issuer(&named, issuer)) {
        return Err(Missing::OtherIssuer.into());
    }
    let Some(endpoint) = metadata.token_endpoint else {
        return Err(Missing::Unnamed.into());
    };
    let safe = |endpoint: &str| {
        Url::parse(endpoint).ok().filter(|url| {
            transport.permits(url) && (url.scheme() == "https" || issuer.scheme() == "http")
        })
    };
    let token = safe(&endpoint).ok_or(Missing::Unsafe)?;
    Ok(Found::Places(Box::new(Places {
        token,
        device: metadata.device_authorization_endpoint.as_deref().and_then(safe),
        authorization: metadata.authorization_endpoint.as_deref().and_then(safe),
        revocation: metadata.revocation_endpoint.as_deref().and_then(safe),
        says_iss: metadata.authorization_response_iss_parameter_supported,
    })))
}

/// The same URL but for a slash at the end, which issuers and those who copy them disagree about.
pub(super) fn same_issuer(one: &Url, other: &Url) -> bool {
    one.as_str().trim_end_matches('/') == other.as_str().trim_end_matches('/')
}

fn refused(status: u16, response: &Response) -> RefreshError {
    let (answer, retry_after) = (OauthError::status(status), response.retry_after);
    match status {
        429 => RefreshError::Throttled { answer, retry_after },
        503 if retry_after.is_some() => RefreshError::Throttled { answer, retry_after },
        408 | 425 | 500..=510 | 512..=599 => {
            RefreshError::Unavailable { answer, retry_after, maybe_rotated: false }
        }
        405 | 410 => Missing::Metadata.into(),
        _ => Stranger::MetadataStatus(status).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Class;
    use crate::provider::testing::response;

    #[test]
    fn a_document_is_looked_for_where_the_standards_put_it() {
        #[rustfmt::skip]
        let cases = [
            ("https://idp.example",         "https://idp.example/.well-known/openid-configuration",
                                            "https://idp.example/.well-known/oauth-authorization-server"),
            ("https://idp.example/",        "https://idp.example/.well-known/openid-configuration",
                                            "https://idp.example/.well-known/oauth-authorization-server"),
            ("https://idp.example:8443/a/", "https://idp.example:8443/a/.well-known/openid-configuration",
                                            "https://idp.example:8443/.well-known/oauth-authorization-server/a"),
        ];
        for (issuer, open_id, rfc_8414) in cases {
            let issuer = Url::parse(issuer).unwrap();
            assert_eq!(Placement::OpenId.url(&issuer).as_str(), open_id);
            assert_eq!(Placement::Rfc8414.url(&issuer).as_str(), rfc_8414);
        }
    }

    #[test]
    fn metadata_are_believed_only_of_their_own_issuer_and_no_less_safe_than_it() {
        let good = "https://idp.example/t";
        #[rustfmt::skip]
        let cases = [
            // name                              issuer                 document says          token_endpoint              believed
            ("the issuer itself",                "https://idp.example", "https://idp.example",  Some(good),                 true),
            ("a slash more is the same",         "https://idp.example", "https://idp.example/", Some(good),                 true),
            ("an endpoint on another host",      "https://idp.example", "https://idp.example",  Some("https://x.example/"), true),
            ("loopback, from loopback",          "http://127.0.0.1:1",  "http://127.0.0.1:1",   Some("http://127.0.0.1:1/"), true),
            ("another issuer",                   "https://idp.example", "https://x.example",    Some(good),                 false),
            ("another path",                     "https://idp.example", "https://idp.example/a", Some(good),                false),
            ("another port",                     "https://idp.example", "https://idp.example:1", Some(good),                false),
            ("an issuer that is no URL",         "https://idp.example", "idp.example",          Some(good),                 false),
            ("no endpoint",                      "https://idp.example", "https://idp.example",  None,                       false),
            ("an endpoint that is no URL",       "https://idp.example", "https://idp.example",  Some("/token"),             false),
            ("plain http, from https",           "https://idp.example", "https://idp.example",  Some("http://127.0.0.1/"),  false),
            ("plain http to anywhere",           "http://127.0.0.1:1",  "http://127.0.0.1:1",   Some("http://192.0.2.1/"),  false),
        ];
        for (name, issuer, says, endpoint, believed) in cases {
            let body = serde_json::json!({ "issuer": says, "token_endpoint": endpoint });
            let response = response(200, "application/json", &body.to_string());
            let issuer = Url::parse(issuer).unwrap();
            match read(&response, &issuer, &Transport::default()) {
                Ok(Found::Places(places)) => {
                    assert!(believed, "{name}");
                    assert_eq!(Some(places.token.as_str()), endpoint, "{name}");
                }
                Err(RefreshError::NoEndpoint(_)) => assert!(!believed, "{name}"),
                other => panic!("{name}: {other:?}"),
            }
        }
    }

    /// What is not safe is as good as not there.
    #[test]
    fn further_endpoints_are_believed_where_they_are_safe() {
        let body = r#"{"issuer":"https://idp.example","token_endpoint":"https://idp.example/t",
            "device_authorization_endpoint":"https://idp.example/d",
            "authorization_endpoint":"http://idp.example/a","revocation_endpoint":"nonsense",
            "authorization_response_iss_parameter_supported":true}"#;
        let response = response(200, "application/json", body);
        let issuer = Url::parse("https://idp.example").unwrap();
        let Ok(Found::Places(places)) = read(&response, &issuer, &Transport::default()) else {
            panic!("not believed")
        };
        assert_eq!(places.device.unwrap().as_str(), "https://idp.example/d");
        assert_eq!((places.authorization, places.revocation), (None, None));
        assert!(places.says_iss);
    }

    #[test]
    fn an_answer_that_is_no_document_spends_nothing_and_mostly_passes() {
        let json = "application/json";
        #[rustfmt::skip]
        let cases = [
            ("a captive portal",          response(200, "text/html", "<html>"), Some(Class::Transient)),
            ("cut off",                   response(200, json, r#"{"issuer":"#), Some(Class::Transient)),
            ("no object",                 response(200, json, "null"),          Some(Class::Transient)),
            ("not there: the other place", response(404, json, "{}"),           None),
            ("gone",                      response(410, "", ""),                Some(Class::Config)),
            ("too many requests",         response(429, "", ""),                Some(Class::Throttled)),
            ("a redirect",                response(302, "", ""),                Some(Class::Transient)),
            ("forbidden",                 response(403, "", ""),                Some(Class::Transient)),
            ("an outage",                 response(500, "", ""),                Some(Class::Transient)),
            ("a captive portal, honest",  response(511, "", ""),                Some(Class::Transient)),
        ];
        let issuer = Url::parse("https://idp.example").unwrap();
        for (name, response, class) in cases {
            let got = read(&response, &issuer, &Transport::default());
            match class {
                Some(class) => assert_eq!(got.unwrap_err().class(), class, "{name}"),
                None => assert_eq!(got, Ok(Found::Nothing), "{name}"),
            }
        }
    }
}
