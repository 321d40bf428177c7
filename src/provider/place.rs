//! Where an account's tokens come from and go to, as far as every provider asks alike.

use sha2::Digest;
use sha2::Sha256;
use url::Url;

use super::Transport;
use super::address;
use crate::limits;
use crate::record::Lineage;
use crate::section::Section;
use crate::section::address::Query;
use crate::section::complaint::Problem;
use crate::section::value::Value;

/// Reads how connections are made: `plain_http`, `ca_file`.
pub(super) fn transport(section: &mut Section<'_>) -> Transport {
    let plain_http = section.flag("plain_http");
    let ca_file = section.value("ca_file").and_then(|value| value.path(limits::PATH));
    Transport { plain_http, ca_file: ca_file.map(Box::from) }
}

/// Reads a `base_url`, which paths are put below. A slash at its end means nothing.
pub(super) fn base_url(
    section: &Section<'_>,
    value: &Value<'_>,
    transport: &Transport,
) -> Option<Url> {
    let mut url = address::read(value, transport, Query::Refused)?;
    if transport.plain_http && url.scheme() == "https" {
        section.warn(Problem::Rule("plain_http means nothing for an https address".into()));
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Some(url)
}

/// Host and port, the port always written out.
pub(super) fn host(url: &Url) -> Box<str> {
    let port = url.port_or_known_default().unwrap_or_default();
    format!("{}:{port}", url.host_str().unwrap_or_default()).into()
}

/// 128 bits of a hash over the parts that a token is bound to, in an order of their own.
pub(super) fn lineage(parts: &[&str]) -> Lineage {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_le_bytes());
        hash.update(part.as_bytes());
    }
    let digest: [u8; 32] = hash.finalize().into();
    let half = digest.first_chunk().copied().unwrap_or_default();
    Lineage(format!("{:032x}", u128::from_be_bytes(half)).into())
}
