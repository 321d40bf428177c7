//! The keys of a `navien` account.

use std::sync::Arc;

use url::Url;

use super::Navien;
use super::PASSWORD;
use super::Provider;
use super::reply::DEFAULT_LIFETIME;
use crate::plan::Entry;
use crate::plan::Rotation;
use crate::provider::Header;
use crate::provider::Profile;
use crate::provider::place;
use crate::section::SecretRef;
use crate::section::Section;
use crate::token::Kind;

/// The service's own address.
const BASE_URL: &str = "https://nlus.naviensmartcontrol.com/api/v2.1";

/// Reads the keys.
pub(super) fn configure(section: &mut Section<'_>) -> Option<Arc<dyn Provider>> {
    Some(Arc::new(read(section)?))
}

pub(super) fn read(section: &mut Section<'_>) -> Option<Navien> {
    let transport = place::transport(section);
    let base = match section.value("base_url") {
        Some(value) => place::base_url(section, &value, &transport),
        None => Url::parse(BASE_URL).ok(),
    };
    let email = section.require_text("email", "the e-mail address of the login, a string");
    let password = section.secret(PASSWORD);
    let aws = section.flag("aws_credentials");

    let (base, email) = (base?, email?);
    let profile = Profile {
        name: "navien",
        host: place::host(&base).into(),
        client: "navien".into(),
        lineage: place::lineage(&["navien", base.as_str(), email]),
        has_refresh_token: true,
        // The service is known to leave the new refresh token empty at times, and nobody has
        // said whether it ends the old one otherwise.
        rotation: Rotation::Unknown,
        lifetime: Some(DEFAULT_LIFETIME),
        email: Some(email.into()),
        default_kind: Kind::Access,
        header: Some(Box::new(Header::BARE)),
        secrets: Vec::new(),
        sign_in: Some(vec![(PASSWORD, password.unwrap_or(SecretRef::Slot))]),
        entry: Entry::Login,
        aws,
        requests: 1,
        transport,
    };
    Some(Navien { base, email: email.into(), profile })
}
