//! The keys of an `oauth2` account, and what the presets fill in.
//!
//! A preset is an `oauth2` account whose endpoint, client authentication and rotation are
//! known. Every key still wins over it: `provider = "gitlab"` with a `token_endpoint` is
//! a GitLab of one's own.
//!
//! Every key is asked for whatever the others say, so that an unknown one is told from one
//! that is merely out of place.

use std::sync::Arc;
use std::sync::LazyLock;

use url::Url;

use self::parameter::read_header;
use self::parameter::read_lifetime;
use self::parameter::read_params;
use self::parameter::read_scope;
use self::preset::Preset;
use super::CLIENT_SECRET;
use super::ClientAuth;
use super::Doors;
use super::Endpoint;
use super::Format;
use super::GrantType;
use super::OAuth2;
use super::Provider;
use super::Way;
use crate::plan::Entry;
use crate::provider::Profile;
use crate::provider::Transport;
use crate::provider::address;
use crate::provider::place;
use crate::record::Lineage;
use crate::section::SecretRef;
use crate::section::Section;
use crate::section::address::Query;
use crate::section::complaint::Problem;
use crate::token::Kind;

pub(in crate::provider) mod parameter;
mod preset;

/// Reads the keys.
pub(super) fn configure(section: &mut Section<'_>) -> Option<Arc<dyn Provider>> {
    Some(Arc::new(read(section)?))
}

fn read(section: &mut Section<'_>) -> Option<OAuth2> {
    let preset = preset::named(section);
    let transport = place::transport(section);
    let endpoint = read_endpoint(section, preset, &transport);
    let client_id = section.require_text("client_id", "the identifier of the client, a string");
    let grant = section.choice("grant", GRANTS).unwrap_or(GrantType::RefreshToken);
    let (client_auth, secrets) = read_client(section, preset, grant);
    let format = section.choice("request_format", FORMATS).unwrap_or(Format::Form);
    let scope = section.value("scope").and_then(|value| read_scope(&value));
    let token_params = section.value("token_params").map(|it| read_params(&it, TOKEN_PARAMS));
    let doors = read_doors(section, preset, endpoint.as_ref(), &transport);
    let default_lifetime = section.value("default_lifetime").and_then(|it| read_lifetime(&it));
    let username = section.text("username", "the name of a user, a string");
    let header = section.value("header").and_then(|value| read_header(&value));
    let default_kind = section.choice("token", KINDS).unwrap_or(Kind::Access);

    let (endpoint, client_id) = (endpoint?, client_id?);
    let shared_id: Arc<str> = client_id.into();
    let profile = Profile {
        name: preset.name,
        host: place::host(endpoint.url()).into(),
        client: Arc::clone(&shared_id),
        lineage: lineage(&endpoint, client_id, grant, username),
        has_refresh_token: grant == GrantType::RefreshToken,
        rotation: preset.rotation,
        lifetime: default_lifetime,
        email: None,
        default_kind,
        header: header.map(Box::new),
        secrets,
        sign_in: None,
        entry: entry(&endpoint, &doors),
        aws: false,
        requests: endpoint.requests(),
        transport,
    };
    Some(OAuth2 {
        endpoint,
        client_id: shared_id,
        client_auth,
        grant,
        scope,
        doors: if doors == Doors::default() { Arc::clone(&UNKNOWN) } else { Arc::new(doors) },
        token_params: token_params.unwrap_or_default(),
        format,
        profile,
    })
}

/// A login begins where the configuration says, or an issuer's metadata.
fn entry(endpoint: &Endpoint, doors: &Doors) -> Entry {
    match endpoint {
        Endpoint::Given(_) if doors.device.is_none() && doors.authorization.is_none() => {
            Entry::Import
        }
        Endpoint::Given(_) | Endpoint::Discovered { .. } => Entry::Login,
    }
}

/// The words of `grant`.
pub(in crate::provider) const GRANTS: &[(&str, GrantType)] = &[
    ("refresh_token", GrantType::RefreshToken),
    ("client_credentials", GrantType::ClientCredentials),
];

const AUTHS: &[(&str, ClientAuth)] =
    &[("basic", ClientAuth::Basic), ("post", ClientAuth::Post), ("none", ClientAuth::None)];

const FORMATS: &[(&str, Format)] = &[("form", Format::Form), ("json", Format::Json)];

/// The words of `token`.
pub(in crate::provider) const KINDS: &[(&str, Kind)] =
    &[(Kind::Access.as_str(), Kind::Access), (Kind::Id.as_str(), Kind::Id)];

/// Parameters that every token request has.
const TOKEN_PARAMS: &[&str] = &["grant_type", "client_id", "scope"];

/// Parameters that the beginning of a login has.
const AUTH_PARAMS: &[&str] = &[
    "client_id",
    "code_challenge",
    "code_challenge_method",
    "redirect_uri",
    "response_type",
    "scope",
    "state",
];

const WAYS: &[(&str, Way)] = &[("browser", Way::Browser), ("device", Way::Device)];

/// What is known of most accounts, of which there may be many.
static UNKNOWN: LazyLock<Arc<Doors>> = LazyLock::new(Arc::default);

/// How a person logs in. What a preset knows of it holds for the preset's own place alone.
fn read_doors(
    section: &mut Section<'_>,
    preset: &Preset,
    endpoint: Option<&Endpoint>,
    transport: &Transport,
) -> Doors {
    let known = preset.token_endpoint.and_then(|url| Url::parse(url).ok()).map(Endpoint::Given);
    let own_place = known.is_some() && known.as_ref() == endpoint;
    let mut place = |key: &'static str, known: Option<&str>| {
        let stated = section.value(key);
        let read = stated.as_ref().and_then(|it| address::read(it, transport, Query::Allowed));
        let known = known.filter(|_| own_place && stated.is_none());
        read.or_else(|| known.and_then(|url| Url::parse(url).ok()))
    };
    let device = place("device_endpoint", preset.doors.device);
    let authorization = place("authorization_endpoint", preset.doors.authorization);
    let revocation = place("revocation_endpoint", preset.doors.revocation);
    let way = section.choice("login", WAYS);
    let mut params = section
        .value("auth_params")
        .map(|value| read_params(&value, AUTH_PARAMS))
        .unwrap_or_default();
    for (name, value) in preset.doors.auth_params {
        if own_place && !params.iter().any(|(taken, _)| **taken == **name) {
            params.push(((*name).into(), (*value).into()));
        }
    }
    let way = way.or_else(|| preset.doors.way.filter(|_| own_place));
    Doors { way, device, authorization, revocation, auth_params: params }
}

fn read_endpoint(
    section: &mut Section<'_>,
    preset: &Preset,
    transport: &Transport,
) -> Option<Endpoint> {
    let issuer = section.value("issuer");
    let endpoint = section.value("token_endpoint");
    match (issuer, endpoint) {
        (Some(issuer), None) => {
            let url = address::read(&issuer, transport, Query::Refused)?;
            if url.path().contains("/.well-known/") {
                let rule = "that is where the metadata of an issuer lie; expected the issuer \
                            itself, such as \"https://login.example.org\": mostly the same \
                            without \"/.well-known/…\"";
                issuer.complain(Problem::Rule(rule.into()));
                return None;
            }
            Some(Endpoint::Discovered { issuer: url })
        }
        (None, Some(endpoint)) => {
            let url = address::read(&endpoint, transport, Query::Allowed)?;
            if transport.plain_http && url.scheme() == "https" {
                let rule = "plain_http means nothing for an https endpoint";
                section.warn(Problem::Rule(rule.into()));
            }
            Some(Endpoint::Given(url))
        }
        (Some(_), Some(endpoint)) => {
            let rule = "issuer and token_endpoint exclude each other; keep one of them";
            endpoint.complain_of_key(Problem::Rule(rule.into()));
            None
        }
        (None, None) => {
            let known = preset.token_endpoint.and_then(|url| Url::parse(url).ok());
            if known.is_none() {
                section.missing(
                    "issuer",
                    "issuer = \"https://…\", token_endpoint = \"https://…\" or a provider with a \
                     known endpoint",
                );
            }
            known.map(Endpoint::Given)
        }
    }
}

/// How the client proves who it is, and the secret that it needs for that.
fn read_client(
    section: &mut Section<'_>,
    preset: &Preset,
    grant: GrantType,
) -> (ClientAuth, Vec<(&'static str, SecretRef)>) {
    let stated = section.value("client_auth");
    let given = section.value(CLIENT_SECRET).is_some();
    let secret = section.secret(CLIENT_SECRET);

    let needs_secret = given || preset.confidential || grant == GrantType::ClientCredentials;
    let implied = if needs_secret { preset.client_auth } else { ClientAuth::None };
    let auth = stated.as_ref().and_then(|stated| stated.choice(AUTHS)).unwrap_or(implied);
    if auth != ClientAuth::None {
        return (auth, vec![(CLIENT_SECRET, secret.unwrap_or(SecretRef::Slot))]);
    }
    if let Some(stated) = stated {
        if grant == GrantType::ClientCredentials {
            let rule = "the grant \"client_credentials\" needs a client with a secret \
                        (RFC 6749 section 4.4); expected \"basic\" or \"post\"";
            stated.complain(Problem::Rule(rule.into()));
        } else if given {
            let rule = "\"none\" and a client_secret exclude each other; expected \"basic\" or \
                        \"post\", or no client_secret";
            stated.complain(Problem::Rule(rule.into()));
        }
    }
    (ClientAuth::None, Vec::new())
}

impl Endpoint {
    /// The endpoint itself, or the issuer that knows it.
    const fn url(&self) -> &Url {
        match self {
            Self::Given(url) | Self::Discovered { issuer: url } => url,
        }
    }
}

/// Everything that a token is bound to. The preset is not part of it: the same endpoint
/// under another name is the same place.
fn lineage(
    endpoint: &Endpoint,
    client_id: &str,
    grant: GrantType,
    username: Option<&str>,
) -> Lineage {
    let kind = match endpoint {
        Endpoint::Given(_) => "endpoint",
        Endpoint::Discovered { .. } => "issuer",
    };
    let grant = match grant {
        GrantType::RefreshToken => "refresh_token",
        GrantType::ClientCredentials => "client_credentials",
    };
    place::lineage(&[kind, endpoint.url().as_str(), client_id, grant, username.unwrap_or_default()])
}

#[cfg(test)]
mod tests {
    use toml::de::DeTable;

    use super::preset::PRESETS;
    use super::*;
    use crate::plan::Rotation;
    use crate::provider::BEARER;
    use crate::provider::Header;
    use crate::section::Mode;
    use crate::section::Scope;
    use crate::section::complaint::Report;
    use crate::section::complaint::Source;

    const ISSUER: &str = "issuer = 'https://idp.example'\nclient_id = 'x'\n";

    #[test]
    fn presets_are_sorted_as_they_are_registered() {
        let mut names = PRESETS.iter().map(|preset| preset.name).collect::<Vec<_>>();
        names.sort_unstable();
        for name in &names {
            let rows = crate::provider::PROVIDERS.iter().filter(|(known, _)| known == name);
            assert_eq!(rows.count(), 1, "{name}");
        }
        for preset in PRESETS {
            let parsed = preset.token_endpoint.map(|url| Url::parse(url).unwrap());
            assert!(parsed.is_none_or(|url| url.scheme() == "https"), "{}", preset.name);
        }
    }

    #[test]
    fn presets_fill_in_what_is_known() {
        use ClientAuth::{None as Public, Post};
        #[rustfmt::skip]
        let cases = [
            // provider   host                              auth    rotation
            ("github",    "github.com:443",                 Post,   Rotation::Unknown),
            ("gitlab",    "gitlab.com:443",                 Public, Rotation::Unknown),
            ("google",    "oauth2.googleapis.com:443",      Post,   Rotation::Never),
            ("microsoft", "login.microsoftonline.com:443",  Public, Rotation::Never),
        ];
        for (name, host, auth, rotation) in cases {
            let account = good(&format!("provider = '{name}'\nclient_id = 'x'\n"));
            assert_eq!(account.profile.name, name);
            assert_eq!(&*account.profile.host, host, "{name}");
            assert_eq!(account.client_auth, auth, "{name}");
            assert_eq!(account.profile.rotation, rotation, "{name}");
            assert_eq!(account.profile.requests, 1, "{name}");
        }
    }

    #[test]
    fn a_key_wins_over_the_preset() {
        let own = good(
            "provider = 'gitlab'\nclient_id = 'x'\nclient_auth = 'basic'\n\
             token_endpoint = 'https://git.example:8443/oauth/token'\n",
        );
        assert_eq!(&*own.profile.host, "git.example:8443");
        assert_eq!(own.client_auth, ClientAuth::Basic);
        let tenant =
            good("provider = 'microsoft'\nclient_id = 'x'\nissuer = 'https://a.example'\n");
        assert_eq!(tenant.profile.requests, 3);
    }

    /// A login must not begin at one place and end at another.
    #[test]
    fn what_a_preset_knows_of_logins_holds_for_its_own_place_alone() {
        let google = good("provider = 'google'\nclient_id = 'x'\n").doors;
        assert_eq!(google.way, Some(Way::Browser));
        assert_eq!(google.auth_params.len(), 2);
        assert!(google.device.is_some() && google.revocation.is_some());
        let asked = "auth_params = { prompt = 'login' }\nlogin = 'device'\n";
        let asked = good(&format!("provider = 'google'\nclient_id = 'x'\n{asked}")).doors;
        assert_eq!(asked.way, Some(Way::Device));
        assert_eq!(asked.auth_params[0], ("prompt".into(), "login".into()));
        assert_eq!(asked.auth_params.len(), 2);

        let own = "provider = 'gitlab'\nclient_id = 'x'\n\
                   token_endpoint = 'https://git.example/oauth/token'\n";
        assert_eq!(*good(own).doors, Doors::default());
        let stated = format!("{own}device_endpoint = 'https://git.example/d'\n");
        assert_eq!(good(&stated).doors.device.as_ref().unwrap().path(), "/d");
        for preset in PRESETS {
            let known = [preset.doors.device, preset.doors.authorization, preset.doors.revocation];
            for url in known.into_iter().flatten() {
                assert_eq!(Url::parse(url).unwrap().scheme(), "https", "{url}");
            }
        }
    }

    #[test]
    fn the_client_proves_who_it_is_if_it_has_a_secret_or_needs_one() {
        use ClientAuth::{Basic, None as Public, Post};
        let slot = || Some(SecretRef::Slot);
        let file = || Some(SecretRef::File("/s".into()));
        #[rustfmt::skip]
        let cases = [
            // keys                                                          auth    secret
            ("",                                                             Public, None),
            ("client_auth = 'none'",                                         Public, None),
            ("client_auth = 'basic'",                                        Basic,  slot()),
            ("client_auth = 'post'",                                         Post,   slot()),
            ("client_secret = { file = '/s' }",                              Basic,  file()),
            ("client_secret = { file = '/s' }\nclient_auth = 'post'",        Post,   file()),
            ("grant = 'client_credentials'",                                 Basic,  slot()),
            ("grant = 'client_credentials'\nclient_secret = { file = '/s' }", Basic, file()),
        ];
        for (keys, auth, secret) in cases {
            let account = good(&format!("{ISSUER}{keys}"));
            assert_eq!(account.client_auth, auth, "{keys}");
            let expected = secret.map(|secret| (CLIENT_SECRET, secret));
            assert_eq!(account.profile.secrets, Vec::from_iter(expected), "{keys}");
        }
    }

    #[test]
    fn client_credentials_have_no_refresh_token() {
        assert!(good(ISSUER).profile.has_refresh_token);
        let program = good(&format!("{ISSUER}grant = 'client_credentials'"));
        assert!(!program.profile.has_refresh_token);
    }

    #[test]
    fn a_scope_reads_the_same_as_text_and_as_list() {
        for keys in ["scope = 'a  b c:d '", "scope = ['a', 'b', 'c:d']"] {
            let account = good(&format!("{ISSUER}{keys}"));
            assert_eq!(account.scope.as_deref(), Some("a b c:d"), "{keys}");
        }
    }

    #[test]
    fn a_header_without_a_scheme_takes_the_bare_token() {
        assert_eq!(*good(ISSUER).profile.header(), BEARER);
        let bare = good(&format!("{ISSUER}header = {{ name = 'X-Api-Key' }}"));
        assert_eq!(*bare.profile.header(), Header { name: "x-api-key".into(), scheme: None });
    }

    #[test]
    fn a_command_gives_a_secret_to_a_user_only() {
        let text = format!("{ISSUER}client_secret = {{ command = ['/usr/bin/pass', 'ci'] }}");
        let account = read_text(&text, Mode::User).unwrap();
        let command = SecretRef::Command(vec!["/usr/bin/pass".into(), "ci".into()]);
        assert_eq!(account.profile.secrets, [(CLIENT_SECRET, command)]);
        assert!(read_text(&text, Mode::System).is_err());
        let relative = text.replace("/usr/bin/pass", "pass");
        assert!(read_text(&relative, Mode::User).is_err());
    }

    /// What the tokens are bound to makes a lineage, and nothing else does.
    #[test]
    fn another_place_client_or_user_is_another_lineage() {
        let base = good(ISSUER).profile.lineage;
        assert_eq!(base.0.len(), 32);
        #[rustfmt::skip]
        let cases = [
            // name            same    text
            ("spelling",       true,  "issuer = 'HTTPS://idp.example:443/'\nclient_id = 'x'"),
            ("scope, header",  true,  "issuer = 'https://idp.example'\nclient_id = 'x'\nscope = 'a'\nheader = { name = 'a' }"),
            ("client auth",    true,  "issuer = 'https://idp.example'\nclient_id = 'x'\nclient_auth = 'post'"),
            ("issuer",         false, "issuer = 'https://idp2.example'\nclient_id = 'x'"),
            ("endpoint",       false, "token_endpoint = 'https://idp.example'\nclient_id = 'x'"),
            ("client",         false, "issuer = 'https://idp.example'\nclient_id = 'y'"),
            ("user",           false, "issuer = 'https://idp.example'\nclient_id = 'x'\nusername = 'pat'"),
            ("grant",          false, "issuer = 'https://idp.example'\nclient_id = 'x'\ngrant = 'client_credentials'"),
        ];
        for (name, same, text) in cases {
            assert_eq!(good(text).profile.lineage == base, same, "{name}");
        }
        let preset = good("provider = 'github'\nclient_id = 'x'");
        let same =
            good("token_endpoint = 'https://github.com/login/oauth/access_token'\nclient_id = 'x'");
        assert_eq!(preset.profile.lineage, same.profile.lineage);
    }

    fn good(text: &str) -> OAuth2 {
        read_text(text, Mode::System).unwrap()
    }

    fn read_text(text: &str, mode: Mode) -> Result<OAuth2, String> {
        let source = Source::new(0, "config.toml", text);
        let report = Report::default();
        let table = DeTable::parse(text).unwrap();
        let mut section =
            Section::of_file(Scope { source: &source, report: &report, mode }, &table);
        let account = read(&mut section);
        section.finish();
        match report.into_parts().0.first() {
            None => Ok(account.expect("no error, no account")),
            Some(complaint) => Err(complaint.to_string()),
        }
    }
}
