//! What a client says at the token endpoint, and how it proves who it is.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Map;
use serde_json::Value;
use url::form_urlencoded;

use crate::behaviour::Behaviour;
use crate::call::Call;
use crate::field::ClientAuth;
use crate::field::ReplyFormat;
use crate::field::RequestFormat;
use crate::reply::Reply;

/// The parameters in the content.
///
/// # Errors
///
/// `invalid_request`: the content is in another format, or a parameter occurs twice (RFC 6749, 3.2).
pub(crate) fn params(call: &Call, format: RequestFormat) -> Result<Params, Refusal> {
    let json = match call.media_type() {
        Some("application/json") => true,
        Some("application/x-www-form-urlencoded") => false,
        _ => return Err(Refusal::request("the Content-Type is neither a form nor JSON")),
    };
    match (json, format) {
        (true, RequestFormat::Json | RequestFormat::Any) => json_params(&call.body),
        (false, RequestFormat::Form | RequestFormat::Any) => form_params(&call.body),
        (true, RequestFormat::Form) => Err(Refusal::request("a form was expected, got JSON")),
        (false, RequestFormat::Json) => Err(Refusal::request("JSON was expected, got a form")),
    }
}

/// The parameters of a request, each of which occurs once.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Params(BTreeMap<String, String>);

impl Params {
    /// A parameter; one without a value counts as absent (RFC 6749, 3.2).
    pub(crate) fn one(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

fn form_params(body: &[u8]) -> Result<Params, Refusal> {
    let mut params = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(body) {
        if params.insert(name.into_owned(), value.into_owned()).is_some() {
            return Err(Refusal::request("a parameter occurs twice"));
        }
    }
    Ok(Params(params))
}

fn json_params(body: &[u8]) -> Result<Params, Refusal> {
    serde_json::from_slice(body)
        .map(Params)
        .map_err(|_| Refusal::request("the content is not a JSON object of strings"))
}

/// An error reply of the token endpoint (RFC 6749, 5.2).
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Refusal {
    /// HTTP status.
    pub(crate) status: u16,
    /// The member `error`.
    pub(crate) code: Cow<'static, str>,
    /// The member `error_description`.
    pub(crate) description: Cow<'static, str>,
    /// The value of `Retry-After`, in seconds.
    pub(crate) retry_after: Option<u64>,
}

impl Refusal {
    /// A refusal with status 400.
    pub(crate) fn new(code: &'static str, description: &'static str) -> Self {
        let status = if code == "invalid_client" { 401 } else { 400 };
        Self { status, code: code.into(), description: description.into(), retry_after: None }
    }

    fn request(description: &'static str) -> Self {
        Self::new("invalid_request", description)
    }

    /// The reply that carries it.
    pub(crate) fn reply(&self, format: ReplyFormat) -> Reply {
        let members = Map::from_iter([
            ("error".to_owned(), Value::from(&*self.code)),
            ("error_description".to_owned(), Value::from(&*self.description)),
        ]);
        let mut reply = Reply::members(self.status, format, &members);
        if self.status == 401 {
            reply = reply.header("www-authenticate", "Basic realm=\"tokenkeeper-idp\"");
        }
        if let Some(secs) = self.retry_after {
            reply = reply.header("retry-after", &secs.to_string());
        }
        reply
    }
}

/// Checks that the request comes from the client of `account`, in the way that its behaviour demands.
///
/// # Errors
///
/// `invalid_client`, or `invalid_request` if the client used two ways at once (RFC 6749, 2.3).
pub(crate) fn authenticate(
    behaviour: &Behaviour,
    account: &str,
    authorization: Option<&str>,
    params: &Params,
) -> Result<(), Refusal> {
    let basic = authorization.map(basic_credentials).transpose()?;
    let id = params.one("client_id");
    let secret = params.one("client_secret");
    if basic.is_some() && secret.is_some() {
        return Err(Refusal::request("the client authenticates in two ways at once"));
    }

    let (id, secret, way) = match (&basic, secret) {
        (Some((id, secret)), _) => (Some(id.as_str()), Some(secret.as_str()), ClientAuth::Basic),
        (None, Some(secret)) => (id, Some(secret), ClientAuth::Post),
        (None, None) => (id, None, ClientAuth::None),
    };
    let demanded = behaviour.client_auth;
    if demanded != ClientAuth::Any && demanded != way {
        return Err(Refusal::new("invalid_client", "another way to authenticate is demanded"));
    }
    if id.is_none() && demanded != ClientAuth::Any {
        return Err(Refusal::new("invalid_client", "the client does not name itself"));
    }
    if id.is_some_and(|id| id != behaviour.client_id(account))
        || secret.is_some_and(|secret| secret != behaviour.client_secret(account))
    {
        return Err(Refusal::new("invalid_client", "the client is unknown or its secret is wrong"));
    }
    Ok(())
}

/// Id and secret in an `Authorization` header. Both are form-encoded before they are joined
/// (RFC 6749, 2.3.1).
fn basic_credentials(header: &str) -> Result<(String, String), Refusal> {
    let unreadable = || Refusal::new("invalid_client", "the Authorization header is not Basic");
    let (scheme, encoded) = header.split_once(' ').ok_or_else(unreadable)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(unreadable());
    }
    let joined = STANDARD.decode(encoded.trim()).map_err(|_| unreadable())?;
    let joined = String::from_utf8(joined).map_err(|_| unreadable())?;
    let (id, secret) = joined.split_once(':').ok_or_else(unreadable)?;
    Ok((form_decoded(id), form_decoded(secret)))
}

fn form_decoded(text: &str) -> String {
    // Only the escapes are wanted: a `&` or `=` that the client left bare stands for itself.
    let bare = text.replace('&', "%26").replace('=', "%3D");
    form_urlencoded::parse(bare.as_bytes()).next().map_or_else(String::new, |(name, _)| name.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::behaviour::Script;

    #[test]
    fn a_client_passes_exactly_in_the_way_that_is_demanded() {
        let basic = Some(format!("Basic {}", STANDARD.encode("it:s%2Fc")));
        let wrong = Some(format!("Basic {}", STANDARD.encode("it:nope")));
        let bearer = Some("Bearer x".to_owned());
        let post = "client_id=it&client_secret=s/c";

        #[rustfmt::skip]
        let cases = [
            // demanded, header, body, code
            ("basic", &basic,  "",                 ""),
            ("basic", &basic,  "client_id=it",     ""),
            ("basic", &wrong,  "",                 "invalid_client"),
            ("basic", &bearer, "",                 "invalid_client"),
            ("basic", &basic,  post,               "invalid_request"),
            ("basic", &None,   post,               "invalid_client"),
            ("post",  &None,   post,               ""),
            ("post",  &None,   "client_id=it",     "invalid_client"),
            ("post",  &None,   "client_secret=s/c", "invalid_client"),
            ("none",  &None,   "client_id=it",     ""),
            ("none",  &None,   "client_id=other",  "invalid_client"),
            ("none",  &None,   "",                 "invalid_client"),
            ("none",  &None,   post,               "invalid_client"),
            ("any",   &None,   "",                 ""),
            ("any",   &basic,  "",                 ""),
            ("any",   &None,   post,               ""),
            ("any",   &wrong,  "",                 "invalid_client"),
            ("any",   &None,   "client_id=other",  "invalid_client"),
        ];
        for (demanded, header, body, code) in cases {
            let script = script(&json!({
                "client_auth": demanded, "client_id": "it", "client_secret": "s/c",
            }));
            let params = form_params(body.as_bytes()).unwrap();
            let got = authenticate(&script.behaviour, "a", header.as_deref(), &params);
            let got = got.err().map_or(String::new(), |refusal| refusal.code.into_owned());
            assert_eq!(got, code, "{demanded} {header:?} {body:?}");
        }
    }

    #[test]
    fn an_account_without_scripted_credentials_has_some_all_the_same() {
        let script = script(&json!({"client_auth": "post"}));
        let params = form_params(b"client_id=mail&client_secret=secret-of-mail").unwrap();
        assert_eq!(authenticate(&script.behaviour, "mail", None, &params), Ok(()));
    }

    #[test]
    fn the_content_is_read_in_the_format_that_the_behaviour_names() {
        let form = ("application/x-www-form-urlencoded; charset=utf-8", "a=1&b=");
        let json = ("application/json", r#"{"a": "1"}"#);
        let twice = ("application/x-www-form-urlencoded", "a=1&a=2");
        let plain = ("text/plain", "a=1");

        #[rustfmt::skip]
        let cases = [
            (RequestFormat::Form, form,  true),
            (RequestFormat::Any,  form,  true),
            (RequestFormat::Json, form,  false),
            (RequestFormat::Json, json,  true),
            (RequestFormat::Any,  json,  true),
            (RequestFormat::Form, json,  false),
            (RequestFormat::Form, twice, false),
            (RequestFormat::Any,  plain, false),
        ];
        for (format, (content_type, body), fine) in cases {
            let call = Call {
                content_type: Some(content_type.to_owned()),
                body: body.as_bytes().to_vec(),
                ..Call::default()
            };
            let params = params(&call, format);
            assert_eq!(params.is_ok(), fine, "{format:?} {content_type}");
            assert_eq!(params.unwrap_or_default().one("a"), fine.then_some("1"));
        }
    }

    fn script(text: &Value) -> Script {
        Script::parse(text.as_object().unwrap().clone()).unwrap()
    }
}
