//! What a provider can answer, and the code under which it must be raised.

use serde_json::Value;
use serde_json::json;

/// One answer.
pub(super) struct Row {
    /// What it is called.
    pub(super) name: String,
    /// The fault that makes the provider give it.
    pub(super) fault: Value,
    /// The code; empty if it is no failure at all.
    pub(super) code: &'static str,
    number: usize,
}

impl Row {
    /// The account that meets it.
    pub(super) fn account(&self) -> String {
        format!("row-{}", self.number)
    }

    /// Whether the provider's word is believed, so that only time or an operator brings the next try.
    pub(super) fn is_believed(&self) -> bool {
        matches!(self.code, "GRANT_REJECTED" | "NEEDS_LOGIN" | "CLIENT_REJECTED")
    }
}

/// Every row.
pub(super) fn all() -> Vec<Row> {
    let statuses = STATUSES.iter().flat_map(|(code, statuses)| {
        let fault = |status: &u16| json!({ "fault": "status", "status": status });
        statuses.iter().map(move |status| (format!("status {status}"), fault(status), *code))
    });
    let words = WORDS.iter().flat_map(|(code, words)| {
        let fault = |word: &&str| json!({ "fault": "oauth", "error": word });
        words.iter().map(move |word| (format!("error {word}"), fault(word), *code))
    });
    let shapes = SHAPES.iter().map(|(code, fault)| {
        let fault: Value = serde_json::from_str(fault).unwrap();
        (fault.to_string(), fault, *code)
    });
    let rows = statuses.chain(words).chain(shapes).enumerate();
    rows.map(|(number, (name, fault, code))| Row { name, fault, code, number }).collect()
}

/// Statuses without content.
#[rustfmt::skip]
const STATUSES: &[(&str, &[u16])] = &[
    ("PROVIDER_MALFORMED",   &[200, 201, 202, 203, 206, 226]),
    ("PROVIDER_MALFORMED",   &[300, 301, 302, 303, 305, 307, 308]),
    ("PROVIDER_MALFORMED",   &[511]),
    // Interim replies, after which nothing comes; 101 is one that ends a conversation.
    ("PROVIDER_UNREACHABLE", &[100, 102, 103]),
    ("PROVIDER_MALFORMED",   &[101]),
    ("PROVIDER_MALFORMED",   &[400, 401, 402, 403, 406, 407, 409, 411, 412, 414, 416, 417, 418, 421,
                               422, 423, 424, 426, 428, 431, 451]),
    ("PROVIDER_UNAVAILABLE", &[408, 425, 429]),
    ("PROVIDER_UNAVAILABLE", &[500, 501, 502, 503, 504, 505, 506, 507, 508, 510, 520, 521, 522, 523,
                               524, 525, 526, 527, 530, 599]),
    ("CLIENT_REJECTED",      &[404, 405, 410, 413, 415]),
];

/// Codes of RFC 6749, 6750, 8628, 8707, 9449 and 9470, of OpenID Connect, and of some providers.
#[rustfmt::skip]
const WORDS: &[(&str, &[&str])] = &[
    ("GRANT_REJECTED",       &["invalid_grant", "bad_refresh_token", "invalid_refresh_token",
                               "INVALID_GRANT"]),
    ("CLIENT_REJECTED",      &["invalid_client", "unauthorized_client", "unsupported_grant_type",
                               "invalid_scope", "invalid_request", "invalid_target",
                               "incorrect_client_credentials", "bad_client_secret"]),
    ("NEEDS_LOGIN",          &["interaction_required", "login_required", "consent_required",
                               "account_selection_required", "access_denied", "expired_token",
                               "refresh_token_reused"]),
    ("PROVIDER_UNAVAILABLE", &["server_error", "temporarily_unavailable", "slow_down",
                               "rate_limit_exceeded", "Access Denied"]),
    ("PROVIDER_UNAVAILABLE", &["authorization_pending", "invalid_token", "insufficient_scope",
                               "invalid_dpop_proof", "use_dpop_nonce", "unsupported_response_type",
                               "insufficient_user_authentication", "request_not_supported",
                               "invalid_request_object", "unsupported_token_type", "made_up"]),
];

/// Everything else.
#[rustfmt::skip]
const SHAPES: &[(&str, &str)] = &[
    ("PROVIDER_UNAVAILABLE", r#"{"fault":"status","status":503,"retry_after":"seconds:2"}"#),
    ("PROVIDER_UNAVAILABLE", r#"{"fault":"status","status":429,"retry_after":"date:2"}"#),
    ("PROVIDER_UNAVAILABLE", r#"{"fault":"status","status":429,"retry_after":"soon"}"#),
    ("PROVIDER_UNAVAILABLE", r#"{"fault":"status","status":500,"after_commit":true}"#),
    ("PROVIDER_UNAVAILABLE", r#"{"fault":"html_status","status":502,"after_commit":true}"#),
    ("PROVIDER_UNAVAILABLE", r#"{"fault":"status","status":500,"body":{"error":"server_error"}}"#),
    ("GRANT_REJECTED",       r#"{"fault":"error_in_200","error":"invalid_grant"}"#),
    ("GRANT_REJECTED",       r#"{"fault":"oauth","error":"invalid_grant","status":401}"#),
    ("GRANT_REJECTED",       r#"{"fault":"oauth","error":"invalid_grant","status":403}"#),
    ("CLIENT_REJECTED",      r#"{"fault":"oauth","error":"invalid_client","status":401}"#),
    ("PROVIDER_UNAVAILABLE", r#"{"fault":"oauth","error":"invalid_grant","status":500}"#),
    ("PROVIDER_MALFORMED",   r#"{"fault":"html"}"#),
    ("PROVIDER_MALFORMED",   r#"{"fault":"html","after_commit":true}"#),
    ("PROVIDER_MALFORMED",   r#"{"fault":"html_status","status":403}"#),
    ("PROVIDER_UNAVAILABLE", r#"{"fault":"html_status","status":502}"#),
    ("PROVIDER_MALFORMED",   r#"{"fault":"empty"}"#),
    ("PROVIDER_MALFORMED",   r#"{"fault":"empty","after_commit":true}"#),
    ("PROVIDER_MALFORMED",   r#"{"fault":"array"}"#),
    ("PROVIDER_MALFORMED",   r#"{"fault":"string"}"#),
    ("PROVIDER_MALFORMED",   r#"{"fault":"null"}"#),
    ("PROVIDER_MALFORMED",   r#"{"fault":"malformed_json"}"#),
    ("PROVIDER_MALFORMED",   r#"{"fault":"malformed_json","after_commit":true}"#),
    ("PROVIDER_MALFORMED",   r#"{"fault":"redirect","status":301}"#),
    ("PROVIDER_MALFORMED",   r#"{"fault":"redirect","status":307}"#),
    ("PROVIDER_MALFORMED",   r#"{"fault":"redirect","status":308,"after_commit":true}"#),
    ("PROVIDER_MALFORMED",   r#"{"fault":"gzip_bomb"}"#),
    ("PROVIDER_MALFORMED",   r#"{"fault":"gzip_bomb","bytes":1048576,"after_commit":true}"#),
    ("PROVIDER_UNREACHABLE", r#"{"fault":"not_http"}"#),
    ("PROVIDER_UNREACHABLE", r#"{"fault":"lost"}"#),
    ("PROVIDER_UNREACHABLE", r#"{"fault":"lost","after_commit":false}"#),
    ("PROVIDER_UNREACHABLE", r#"{"fault":"hang"}"#),
    ("PROVIDER_UNREACHABLE", r#"{"fault":"hang","after_commit":false}"#),
    ("PROVIDER_UNREACHABLE", r#"{"fault":"truncate"}"#),
    ("PROVIDER_UNREACHABLE", r#"{"fault":"truncate","bytes":0}"#),
    ("PROVIDER_UNREACHABLE", r#"{"fault":"truncate","bytes":1}"#),
    ("PROVIDER_UNREACHABLE", r#"{"fault":"truncate","bytes":40}"#),
    ("PROVIDER_UNREACHABLE", r#"{"fault":"truncate","bytes":100}"#),
    ("PROVIDER_UNREACHABLE", r#"{"fault":"half_close","bytes":0}"#),
    ("PROVIDER_UNREACHABLE", r#"{"fault":"half_close","bytes":60}"#),
    ("PROVIDER_UNREACHABLE", r#"{"fault":"reset"}"#),
    ("PROVIDER_UNREACHABLE", r#"{"fault":"reset","after_bytes":1}"#),
    ("PROVIDER_UNREACHABLE", r#"{"fault":"reset","after_bytes":20}"#),
    ("PROVIDER_UNREACHABLE", r#"{"fault":"reset","after_bytes":120}"#),
    ("PROVIDER_UNREACHABLE", r#"{"fault":"reset","after_bytes":250}"#),
    ("PROVIDER_UNREACHABLE", r#"{"fault":"drip","bytes_per_sec":1}"#),
    ("",                     r#"{"fault":"drip","bytes_per_sec":100000}"#),
    ("PROVIDER_UNREACHABLE", r#"{"fault":"huge","bytes":1048576}"#),
    ("PROVIDER_UNREACHABLE", r#"{"fault":"huge","bytes":1073741824}"#),
    ("",                     r#"{"fault":"huge","bytes":10000}"#),
    ("PROVIDER_UNREACHABLE", r#"{"fault":"huge_headers"}"#),
    ("",                     r#"{"fault":"early_1xx"}"#),
    ("",                     r#"{"fault":"early_1xx","count":20}"#),
    ("",                     r#"{"fault":"wrong_content_type"}"#),
    ("",                     r#"{"fault":"different_refresh_token"}"#),
    ("PROVIDER_MALFORMED",   r#"{"fault":"wrong_types"}"#),
    ("PROVIDER_MALFORMED",   r#"{"fault":"wrong_types","access_token":null}"#),
    ("PROVIDER_MALFORMED",   r#"{"fault":"wrong_types","access_token":""}"#),
    ("PROVIDER_MALFORMED",   r#"{"fault":"wrong_types","access_token":["a"]}"#),
    ("PROVIDER_MALFORMED",   r#"{"fault":"wrong_types","access_token":"a\nb"}"#),
    ("",                     r#"{"fault":"wrong_types","token_type":7}"#),
    ("",                     r#"{"fault":"wrong_types","refresh_token":null}"#),
    ("",                     r#"{"fault":"wrong_types","refresh_token":""}"#),
    ("",                     r#"{"fault":"wrong_types","refresh_token":7}"#),
    ("",                     r#"{"fault":"wrong_types","expires_in":null}"#),
    ("",                     r#"{"fault":"wrong_types","expires_in":"3600"}"#),
    ("",                     r#"{"fault":"wrong_types","expires_in":3600.5}"#),
    ("",                     r#"{"fault":"wrong_types","expires_in":1e308}"#),
    ("",                     r#"{"fault":"wrong_types","expires_in":9223372036854775808}"#),
    ("",                     r#"{"fault":"wrong_types","expires_in":"soon"}"#),
    ("",                     r#"{"fault":"wrong_types","expires_in":[3600]}"#),
    ("",                     r#"{"fault":"wrong_types","expires_in":60}"#),
    ("PROVIDER_MALFORMED",   r#"{"fault":"wrong_types","expires_in":0}"#),
    ("PROVIDER_MALFORMED",   r#"{"fault":"wrong_types","expires_in":-1}"#),
    ("PROVIDER_MALFORMED",   r#"{"fault":"wrong_types","expires_in":"-3600"}"#),
    ("NEEDS_LOGIN",          r#"{"fault":"other_subject"}"#),
];
