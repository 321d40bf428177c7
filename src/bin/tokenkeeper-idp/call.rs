//! One request at an endpoint of an account, as its service reads it.

/// What a request brought.
#[derive(Debug, Default)]
pub(crate) struct Call {
    /// The method.
    pub(crate) method: String,
    /// The path behind the account's name, without the slash between them.
    pub(crate) path: String,
    /// The `Authorization` header.
    pub(crate) authorization: Option<String>,
    /// The `Content-Type` header.
    pub(crate) content_type: Option<String>,
    /// The `X-Amz-Target` header.
    pub(crate) target: Option<String>,
    /// The `User-Agent` header.
    pub(crate) user_agent: Option<String>,
    /// The content.
    pub(crate) body: Vec<u8>,
}

impl Call {
    /// The media type of the content, without parameters.
    pub(crate) fn media_type(&self) -> Option<&str> {
        self.content_type.as_deref().and_then(|text| text.split(';').next()).map(str::trim)
    }

    /// The token in the `Authorization` header, if its scheme is `Bearer` (RFC 6750, 2.1).
    pub(crate) fn bearer(&self) -> Option<&str> {
        let (scheme, token) = self.authorization.as_deref()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    }
}
