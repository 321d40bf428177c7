//! A provider that nobody talks to, for the tests of what stands around providers.

use std::sync::Arc;

use super::Exchange;
use super::Profile;
use super::Provider;
use super::Spend;
use super::Transport;
use crate::plan::Entry;
use crate::plan::Rotation;
use crate::record::Lineage;
use crate::token::Kind;

/// Makes one, of that lineage.
pub(crate) fn provider(lineage: &str) -> Arc<dyn Provider> {
    Arc::new(Silent(Profile {
        name: "oauth2",
        host: "idp.example".into(),
        client: "c".into(),
        lineage: Lineage(lineage.into()),
        has_refresh_token: true,
        email: None,
        default_kind: Kind::Access,
        header: None,
        secrets: Vec::new(),
        sign_in: None,
        entry: Entry::Login,
        aws: false,
        requests: 1,
        transport: Transport::default(),
        rotation: Rotation::Unknown,
        lifetime: None,
    }))
}

struct Silent(Profile);

impl Provider for Silent {
    fn profile(&self) -> &Profile {
        &self.0
    }

    fn exchange(&self, _: Spend) -> Box<dyn Exchange> {
        unreachable!("nobody talks to it")
    }
}
