//! What did not work, and what the provider said.

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::code::Code;
use crate::error::code::Remedy;
use crate::error::foreign::OauthError;

/// Every error, flat.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct ErrorBody {
    /// Family of the code, in lower case: `needs_login`, `provider`, `request`, …
    pub error: String,
    /// What happened and what to do next, for people.
    pub message: String,
    /// The code, for programs.
    #[schema(value_type = String)]
    pub error_code: Code,
    /// When this was said.
    pub timestamp: String,
    /// The account it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// When the daemon tries again by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<String>,
    /// Who has to act: `wait`, `sign_in`, `reconfigure`, `change_request`.
    #[schema(value_type = String)]
    pub remedy: Remedy,
    /// What the provider itself said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ProviderErrorView>)]
    pub provider_error: Option<OauthError>,
}

/// What a provider said, scrubbed.
#[derive(Serialize, ToSchema)]
pub struct ProviderErrorView {
    /// Its `error`.
    pub code: String,
    /// Its `error_description`.
    pub description: Option<String>,
}
