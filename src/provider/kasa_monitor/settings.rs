//! The keys of a `kasa-monitor` account.

use std::sync::Arc;

use super::KasaMonitor;
use super::PASSWORD;
use super::Provider;
use super::TOTP;
use super::reply::DEFAULT_LIFETIME;
use crate::plan::Entry;
use crate::plan::Rotation;
use crate::provider::Profile;
use crate::provider::place;
use crate::section::SecretRef;
use crate::section::Section;
use crate::token::Kind;

/// Reads the keys.
pub(super) fn configure(section: &mut Section<'_>) -> Option<Arc<dyn Provider>> {
    Some(Arc::new(read(section)?))
}

pub(super) fn read(section: &mut Section<'_>) -> Option<KasaMonitor> {
    let transport = place::transport(section);
    let base = section.value("base_url");
    if base.is_none() {
        let expected = "the address of the server, such as \"https://plugs.example.org:5273\"";
        section.missing("base_url", expected);
    }
    let base = base.and_then(|value| place::base_url(section, &value, &transport));
    let username = section.require_text("username", "the name of the user, a string");
    let password = section.secret(PASSWORD).unwrap_or(SecretRef::Slot);
    let totp = section.optional_secret(TOTP);

    let (base, username) = (base?, username?);
    let mut sign_in = vec![(PASSWORD, password)];
    sign_in.extend(totp.map(|totp| (TOTP, totp)));
    let profile = Profile {
        name: "kasa-monitor",
        host: place::host(&base).into(),
        client: "kasa-monitor".into(),
        lineage: place::lineage(&["kasa-monitor", base.as_str(), username]),
        has_refresh_token: true,
        rotation: Rotation::Never,
        lifetime: Some(DEFAULT_LIFETIME),
        email: None,
        default_kind: Kind::Access,
        header: None,
        secrets: Vec::new(),
        sign_in: Some(sign_in),
        entry: Entry::Login,
        aws: false,
        requests: 2,
        transport,
    };
    Some(KasaMonitor { base, username: username.into(), profile })
}
