//! What is known of the providers that go by a name.

use crate::plan::Rotation;
use crate::provider::oauth2::ClientAuth;
use crate::provider::oauth2::Way;
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
    /// How a person logs in.
    pub(super) doors: Known,
}

/// What is known of how a person logs in at a provider.
pub(super) struct Known {
    /// The way that works for every scope, where another one does not.
    pub(super) way: Option<Way>,
    /// RFC 8628.
    pub(super) device: Option<&'static str>,
    /// RFC 6749 section 3.1.
    pub(super) authorization: Option<&'static str>,
    /// RFC 7009.
    pub(super) revocation: Option<&'static str>,
    /// What it takes to get a refresh token.
    pub(super) auth_params: &'static [(&'static str, &'static str)],
}

/// Nothing.
const UNKNOWN: Known =
    Known { way: None, device: None, authorization: None, revocation: None, auth_params: &[] };

/// `oauth2` itself, of which nothing is known but RFC 6749.
const OAUTH2: Preset = Preset {
    name: "oauth2",
    token_endpoint: None,
    client_auth: ClientAuth::Basic,
    confidential: false,
    rotation: Rotation::Unknown,
    doors: UNKNOWN,
};

/// The presets. Addresses are those that the providers publish as their metadata (Google,
/// Microsoft, GitLab) and in their manuals (GitHub, GitLab's device login). Client secrets go
/// in the body, as each manual has it.
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
        // It ends a login by an interface of its own, which wants another authentication.
        doors: Known {
            device: Some("https://github.com/login/device/code"),
            authorization: Some("https://github.com/login/oauth/authorize"),
            ..UNKNOWN
        },
    },
    // The same, with public clients.
    Preset {
        name: "gitlab",
        token_endpoint: Some("https://gitlab.com/oauth/token"),
        client_auth: ClientAuth::Post,
        confidential: false,
        rotation: Rotation::Unknown,
        doors: Known {
            device: Some("https://gitlab.com/oauth/authorize_device"),
            authorization: Some("https://gitlab.com/oauth/authorize"),
            revocation: Some("https://gitlab.com/oauth/revoke"),
            ..UNKNOWN
        },
    },
    // Even programs on a desk have a "secret", and refresh tokens do not rotate.
    Preset {
        name: "google",
        token_endpoint: Some("https://oauth2.googleapis.com/token"),
        client_auth: ClientAuth::Post,
        confidential: true,
        rotation: Rotation::Never,
        // Its device login grants a few scopes only, and mail is not among them. Without these
        // parameters a second login of the same person brings no refresh token.
        doors: Known {
            way: Some(Way::Browser),
            device: Some("https://oauth2.googleapis.com/device/code"),
            authorization: Some("https://accounts.google.com/o/oauth2/v2/auth"),
            revocation: Some("https://oauth2.googleapis.com/revoke"),
            auth_params: &[("access_type", "offline"), ("prompt", "consent")],
        },
    },
    // Each refresh brings a new refresh token and leaves the old one alive, so that a lost
    // reply costs nothing.
    Preset {
        name: "microsoft",
        token_endpoint: Some("https://login.microsoftonline.com/common/oauth2/v2.0/token"),
        client_auth: ClientAuth::Post,
        confidential: false,
        rotation: Rotation::Never,
        doors: Known {
            device: Some("https://login.microsoftonline.com/common/oauth2/v2.0/devicecode"),
            authorization: Some("https://login.microsoftonline.com/common/oauth2/v2.0/authorize"),
            ..UNKNOWN
        },
    },
];

/// The preset that `provider` names. A name that is misspelt was complained of before this.
pub(super) fn named(section: &mut Section<'_>) -> &'static Preset {
    let known = PRESETS.iter().chain([&OAUTH2]).map(|preset| (preset.name, preset));
    let known = known.collect::<Vec<_>>();
    section.value("provider").and_then(|name| name.meant(&known)).unwrap_or(&OAUTH2)
}
