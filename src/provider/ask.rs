//! What every request says, whichever provider it goes to.

use serde::Serialize;
use serde::Serializer;
use url::Url;

use super::Method;
use super::Request;
use crate::error::RefreshError;
use crate::token::Secret;

/// Headers of every request. Some providers answer with a form unless JSON is asked for,
/// and a compressed answer would have no size before it is unpacked.
pub(super) fn headers() -> Vec<(&'static str, Secret)> {
    vec![
        ("accept", Secret::new("application/json")),
        ("accept-encoding", Secret::new("identity")),
        ("user-agent", Secret::new(concat!("tokenkeeper/", env!("CARGO_PKG_VERSION")))),
    ]
}

/// A `POST` of a JSON object. Whether it [`spends`](Request::spends) is the caller's to say.
pub(super) fn post(url: Url, members: &[(&str, &str)]) -> Result<Request, RefreshError> {
    let mut headers = headers();
    headers.push(("content-type", Secret::new("application/json")));
    Ok(Request { method: Method::Post, url, headers, body: json(members)?, spends: false })
}

/// A request without a body.
pub(super) fn bare(method: Method, url: Url) -> Request {
    Request { method, url, headers: headers(), body: Secret::new(""), spends: false }
}

/// The parts of a path below a URL, whether or not that ends with a slash.
pub(super) fn below<'a>(base: &Url, parts: impl IntoIterator<Item = &'a str>) -> Url {
    let mut url = base.clone();
    // A URL with a host, which every configured one has, has a path that can be extended.
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(parts);
    }
    url
}

/// Pairs as the members of one JSON object, in their order.
pub(super) fn json(members: &[(&str, &str)]) -> Result<Secret, RefreshError> {
    struct Members<'a>(&'a [(&'a str, &'a str)]);

    impl Serialize for Members<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map(self.0.iter().copied())
        }
    }

    serde_json::to_string(&Members(members))
        .map(Secret::new)
        .map_err(|_| RefreshError::Internal("the request cannot be written as JSON".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_put_below_a_url_and_cannot_leave_it() {
        #[rustfmt::skip]
        let cases = [
            ("https://a.example",       &["api", "x"][..],  "https://a.example/api/x"),
            ("https://a.example/",      &["api", "x"],      "https://a.example/api/x"),
            ("https://a.example/v2.1",  &["x"],             "https://a.example/v2.1/x"),
            ("https://a.example/v2.1/", &["x"],             "https://a.example/v2.1/x"),
            ("https://a.example/v2.1/", &["a/b", "c?d#e"],  "https://a.example/v2.1/a%2Fb/c%3Fd%23e"),
        ];
        for (base, parts, expected) in cases {
            let url = below(&Url::parse(base).unwrap(), parts.iter().copied());
            assert_eq!(url.as_str(), expected, "{base}");
        }
    }

    #[test]
    fn members_keep_their_order_and_their_quotes() {
        let json = json(&[("b", "x\"y"), ("a", "")]).unwrap();
        assert_eq!(json.expose(), r#"{"b":"x\"y","a":""}"#);
    }
}
