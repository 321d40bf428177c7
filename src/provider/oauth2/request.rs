//! What is asked of a provider, and how a client says who it is: RFC 6749 sections 2.3.1, 4.4.2
//! and 6.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::Url;
use url::form_urlencoded;

use super::CLIENT_SECRET;
use super::ClientAuth;
use super::Format;
use super::GrantType;
use super::OAuth2;
use crate::error::RefreshError;
use crate::provider::Method;
use crate::provider::Request;
use crate::provider::Spend;
use crate::provider::ask;
use crate::token::Secret;

/// What one request to the provider carries besides who asks.
pub(super) struct Post<'a> {
    /// Its own parameters, in their order.
    pub(super) own: Vec<(&'a str, &'a str)>,
    /// Further ones, of the configuration.
    pub(super) further: &'a [(Box<str>, Box<str>)],
    /// The client's secret, if there is one.
    pub(super) secret: Option<&'a Secret>,
    /// Whether it carries the refresh token that is to be spent.
    pub(super) spends: bool,
}

/// Writes the token request of `account` to `url`.
pub(super) fn token_request(
    account: &OAuth2,
    url: &Url,
    spend: &Spend,
) -> Result<Request, RefreshError> {
    let mut own = Vec::new();
    match account.grant {
        GrantType::RefreshToken => {
            let token = spend.refresh_token.as_ref().ok_or(RefreshError::Internal(
                "an exchange began without a refresh token".into(),
            ))?;
            own.push(("grant_type", "refresh_token"));
            own.push(("refresh_token", token.expose()));
        }
        GrantType::ClientCredentials => own.push(("grant_type", "client_credentials")),
    }
    if let Some(scope) = &account.scope {
        own.push(("scope", scope));
    }
    let post = Post {
        own,
        further: &account.token_params,
        secret: spend.secret(CLIENT_SECRET),
        spends: account.grant.spends(),
    };
    posted(account, url, post)
}

/// Writes a request of the client to `url`.
///
/// The body names each parameter once: further ones add to the request's own and never
/// replace one.
pub(super) fn posted(account: &OAuth2, url: &Url, post: Post<'_>) -> Result<Request, RefreshError> {
    let Post { own: mut params, further, secret, spends } = post;
    let mut headers = ask::headers();
    headers.push(("content-type", Secret::new(account.format.content_type())));
    match account.client_auth {
        ClientAuth::Basic => {
            headers.push(("authorization", basic(&account.client_id, needed(secret)?)));
        }
        ClientAuth::Post => {
            params.push(("client_id", &account.client_id));
            params.push(("client_secret", needed(secret)?.expose()));
        }
        ClientAuth::None => params.push(("client_id", &account.client_id)),
    }
    for (name, value) in further {
        if !params.iter().any(|(taken, _)| **taken == **name) {
            params.push((name, value));
        }
    }
    let body = match account.format {
        Format::Form => form(&params),
        Format::Json => ask::json(&params)?,
    };
    Ok(Request { method: Method::Post, url: url.clone(), headers, body, spends })
}

/// Writes the request for the metadata document at `url`. It carries nothing secret.
pub(super) fn metadata_request(url: Url) -> Request {
    Request {
        method: Method::Get,
        url,
        headers: ask::headers(),
        body: Secret::new(""),
        spends: false,
    }
}

/// RFC 6749 section 2.3.1: both halves are form-encoded before they are joined.
fn basic(client_id: &str, secret: &Secret) -> Secret {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = Secret::new(format!("{}:{}", encoded(client_id), encoded(secret.expose())));
    Secret::new(format!("Basic {}", STANDARD.encode(pair.expose())))
}

fn needed(secret: Option<&Secret>) -> Result<&Secret, RefreshError> {
    secret.ok_or_else(|| RefreshError::SecretUnavailable {
        slot: CLIENT_SECRET.into(),
        why: "it is not stored, or cannot be read from where the configuration says".into(),
    })
}

fn form(params: &[(&str, &str)]) -> Secret {
    Secret::new(form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish())
}

impl Format {
    const fn content_type(self) -> &'static str {
        match self {
            Self::Form => "application/x-www-form-urlencoded",
            Self::Json => "application/json",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::oauth2::tests::account;
    use crate::provider::oauth2::tests::spend;
    use crate::provider::testing::header;

    #[test]
    fn a_request_is_written_as_the_account_says() {
        let refresh = || account("https://idp.example/token");
        let client = || OAuth2 { grant: GrantType::ClientCredentials, ..refresh() };
        let params = [("audience", "a&b"), ("grant_type", "password")]
            .map(|(name, value)| (name.into(), value.into()));
        #[rustfmt::skip]
        let cases = [
            ("a public client names itself in the body", refresh(),
             "grant_type=refresh_token&refresh_token=r%2B1&client_id=the+client"),
            ("a basic one does not", OAuth2 { client_auth: ClientAuth::Basic, ..refresh() },
             "grant_type=refresh_token&refresh_token=r%2B1"),
            ("post puts the secret in the body", OAuth2 { client_auth: ClientAuth::Post, ..refresh() },
             "grant_type=refresh_token&refresh_token=r%2B1&client_id=the+client&client_secret=s%3A%2F%25"),
            ("a scope is asked for", OAuth2 { scope: Some("a b".into()), ..refresh() },
             "grant_type=refresh_token&refresh_token=r%2B1&scope=a+b&client_id=the+client"),
            ("further parameters add and never replace", OAuth2 { token_params: params.into(), ..refresh() },
             "grant_type=refresh_token&refresh_token=r%2B1&client_id=the+client&audience=a%26b"),
            ("client credentials send no refresh token", client(),
             "grant_type=client_credentials&client_id=the+client"),
            ("JSON has the same members", OAuth2 { format: Format::Json, ..refresh() },
             r#"{"grant_type":"refresh_token","refresh_token":"r+1","client_id":"the client"}"#),
        ];
        for (name, account, body) in cases {
            let request = token_request(&account, &url(), &spend()).ok().unwrap();
            assert_eq!(request.body.expose(), body, "{name}");
            assert_eq!(request.spends, account.grant == GrantType::RefreshToken, "{name}");
            assert_eq!(header(&request, "content-type"), Some(account.format.content_type()));
        }
    }

    #[test]
    fn every_request_asks_for_plain_json_and_says_who_asks() {
        let token = token_request(&account("https://idp.example/token"), &url(), &spend());
        for request in [token.ok().unwrap(), metadata_request(url())] {
            assert_eq!(header(&request, "accept"), Some("application/json"));
            assert_eq!(header(&request, "accept-encoding"), Some("identity"));
            assert!(header(&request, "user-agent").unwrap().starts_with("tokenkeeper/"));
        }
    }

    /// `the+client:s%3A%2F%25`, which tells the form-encoding from a bare one.
    #[test]
    fn basic_encodes_both_halves_before_it_joins_them() {
        let account =
            OAuth2 { client_auth: ClientAuth::Basic, ..account("https://idp.example/token") };
        let request = token_request(&account, &url(), &spend()).ok().unwrap();
        let expected = "Basic dGhlK2NsaWVudDpzJTNBJTJGJTI1";
        assert_eq!(header(&request, "authorization"), Some(expected));
    }

    #[test]
    fn a_secret_that_is_not_there_is_named_and_nothing_is_sent() {
        for client_auth in [ClientAuth::Basic, ClientAuth::Post] {
            let account = OAuth2 { client_auth, ..account("https://idp.example/token") };
            let spend = Spend { secrets: Vec::new(), ..spend() };
            let error = token_request(&account, &url(), &spend).err().unwrap();
            assert!(
                matches!(error, RefreshError::SecretUnavailable { slot, .. } if slot == CLIENT_SECRET)
            );
        }
    }

    fn url() -> Url {
        Url::parse("https://idp.example/token").unwrap()
    }
}
