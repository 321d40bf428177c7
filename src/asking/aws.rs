//! AWS credentials in the form that `credential_process` of the AWS programs takes.

use bytes::Bytes;

use crate::asking::json::Sheet;
use crate::asking::json::inner_len;
use crate::snapshot::HeldAws;
use crate::token::AwsCredentials;
use crate::token::Secret;

/// The answer of a `credential_process`, version 1.
pub fn credential_process(aws: &HeldAws) -> Bytes {
    let AwsCredentials { access_key_id, secret_access_key, session_token } = &*aws.credentials;
    let expires_at = aws.expires_wall.to_string();
    let texts = [access_key_id, secret_access_key, session_token].map(Secret::expose);
    /// Names and punctuation.
    const FRAME: usize = 128;
    let room = FRAME + expires_at.len() + texts.into_iter().map(inner_len).sum::<usize>();

    let [access_key_id, secret_access_key, session_token] = texts;
    let mut sheet = Sheet::new(room);
    sheet.raw("{\"Version\":1,\"AccessKeyId\":").text(access_key_id);
    sheet.raw(",\"SecretAccessKey\":").text(secret_access_key);
    sheet.raw(",\"SessionToken\":").text(session_token);
    sheet.raw(",\"Expiration\":").text(&expires_at).raw("}");
    sheet.finish()
}
