//! What is known of the providers that go by a name.

use crate::plan::Rotation;
use crate::provider::oauth2::ClientAuth;
use crate::section::Section;

/// What is known of a provider.
pub(super) struct Preset {
    /// Its name in the configuration.
    pub(super) name: &'static str,
    /// Its token endpoint.
    pub(super) token_endpoint: Option<&'static str>,
    /// How a client with a secret proves who it is.
    pub(super) client_auth: ClientAuth,
    /// Whether every client has a secret.
    pub(super) confidential: bool,
    /// What it does with refresh tokens.
    pub(super) rotation: Rotation,
}

/// `oauth2` itself, of which nothing is known but RFC 6749.
const OAUTH2: Preset = Preset {
    name: "oauth2",
    token_endpoint: None,
    client_auth: ClientAuth::Basic,
    confidential: false,
    rotation: Rotation::Unknown,
};

/// The presets. Client secrets go in the body, as each provider's manual has it.
pub(super) const PRESETS: &[Preset] = &[
    OAUTH2,
    // Refreshing makes a new refresh token and ends the old one at once. Only clients
    // whose users came by the device flow have no secret.
    Preset {
        name: "github",
        token_endpoint: Some("https://github.com/login/oauth/access_token"),
        client_auth: ClientAuth::Post,
        confidential: true,
        rotation: Rotation::Unknown,
    },
    // The same, with public clients.
    Preset {
        name: "gitlab",
        token_endpoint: Some("https://gitlab.com/oauth/token"),
        client_auth: ClientAuth::Post,
        confidential: false,
        rotation: Rotation::Unknown,
    },
    // Even programs on a desk have a "secret", and refresh tokens do not rotate.
    Preset {
        name: "google",
        token_endpoint: Some("https://oauth2.googleapis.com/token"),
        client_auth: ClientAuth::Post,
        confidential: true,
        rotation: Rotation::Never,
    },
    // Each refresh brings a new refresh token and leaves the old one alive, so that a lost
    // reply costs nothing.
    Preset {
        name: "microsoft",
        token_endpoint: Some("https://login.microsoftonline.com/common/oauth2/v2.0/token"),
        client_auth: ClientAuth::Post,
        confidential: false,
        rotation: Rotation::Never,
    },
];

/// The preset that `provider` names. A wrong name never gets here: it has no `configure`.
pub(super) fn named(section: &mut Section<'_>) -> &'static Preset {
    let name = section.text("provider", "the name of a provider");
    PRESETS.iter().find(|preset| Some(preset.name) == name).unwrap_or(&OAUTH2)
}
