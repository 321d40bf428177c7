//! What every request says, whichever provider it goes to.

use serde::Serialize;
use serde::Serializer;

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
    fn members_keep_their_order_and_their_quotes() {
        let json = json(&[("b", "x\"y"), ("a", "")]).unwrap();
        assert_eq!(json.expose(), r#"{"b":"x\"y","a":""}"#);
    }
}
