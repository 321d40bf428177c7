//! The keys of a `cognito` account, and what the preset `quilt` fills in.
//!
//! A preset is a `cognito` account whose region, app client and flow are known. Every key
//! still wins over it.

use std::sync::Arc;

use url::Url;

use super::AuthFlow;
use super::CLIENT_SECRET;
use super::ClientAuth;
use super::Cognito;
use super::PASSWORD;
use super::RefreshOperation;
use super::reply::DEFAULT_LIFETIME;
use crate::plan::Entry;
use crate::plan::Rotation;
use crate::provider::Header;
use crate::provider::Profile;
use crate::provider::Provider;
use crate::provider::Transport;
use crate::provider::address;
use crate::provider::place;
use crate::section::SecretRef;
use crate::section::Section;
use crate::section::address::Query;
use crate::section::complaint::Problem;
use crate::section::value::Value;
use crate::token::Kind;

/// What is known of a pool.
struct Preset {
    /// Its name in the configuration.
    name: &'static str,
    region: Option<&'static str>,
    client_id: Option<&'static str>,
    flow: AuthFlow,
    /// The key under which the user is looked for first.
    user: UserKey,
    /// Whether the API wants to see the bare token.
    bare: bool,
}

/// The key that names the user.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum UserKey {
    /// An address, whose spelling in capitals means the same.
    Email,
    /// A name, or whatever else the pool takes for one.
    Username,
}

/// Any pool.
const COGNITO: Preset = Preset {
    name: "cognito",
    region: None,
    client_id: None,
    flow: AuthFlow::Password,
    user: UserKey::Username,
    bare: false,
};

/// Quilt's heat pumps. The app client is public, as its apps are; the API is gRPC, and takes
/// the bare ID token in its metadata.
const QUILT: Preset = Preset {
    name: "quilt",
    region: Some("us-west-2"),
    client_id: Some("6lef74vtc8p7pgu47nmqubd9vn"),
    flow: AuthFlow::Custom,
    user: UserKey::Email,
    bare: true,
};

/// Reads the keys.
pub(super) fn configure(section: &mut Section<'_>) -> Option<Arc<dyn Provider>> {
    Some(Arc::new(read(section)?))
}

pub(super) fn read(section: &mut Section<'_>) -> Option<Cognito> {
    let known = [&QUILT, &COGNITO].map(|preset| (preset.name, preset));
    let preset = section.value("provider").and_then(|it| it.meant(&known)).unwrap_or(&COGNITO);
    let transport = place::transport(section);
    let endpoint = read_endpoint(section, preset, &transport);
    let client_id = read_client_id(section, preset);
    let (client_auth, secrets) = read_client(section);
    let user = read_user(section, preset);
    let (flow, sign_in) = read_flow(section, preset);
    let (refresh, rotation) = read_refresh(section);
    let default_kind = section.choice("token", KINDS).unwrap_or(Kind::Id);

    let (endpoint, client_id, user) = (endpoint?, client_id?, user?);
    let shared_id: Arc<str> = client_id.into();
    let profile = Profile {
        name: preset.name,
        host: place::host(&endpoint).into(),
        client: Arc::clone(&shared_id),
        lineage: place::lineage(&["cognito", endpoint.as_str(), client_id, &user]),
        has_refresh_token: true,
        rotation,
        lifetime: Some(DEFAULT_LIFETIME),
        email: user.contains('@').then(|| user.as_str().into()),
        default_kind,
        header: preset.bare.then(|| Box::new(Header::BARE)),
        secrets,
        sign_in,
        entry: Entry::Login,
        aws: false,
        requests: 1,
        transport,
    };
    Some(Cognito {
        endpoint,
        client_id: shared_id,
        client_auth,
        user: user.into(),
        refresh,
        flow,
        profile,
    })
}

const KINDS: &[(&str, Kind)] =
    &[(Kind::Access.as_str(), Kind::Access), (Kind::Id.as_str(), Kind::Id)];

const AUTHS: &[(&str, ClientAuth)] =
    &[("secret-hash", ClientAuth::SecretHash), ("none", ClientAuth::None)];

const FLOWS: &[(&str, AuthFlow)] =
    &[("custom", AuthFlow::Custom), ("password", AuthFlow::Password)];

const OPERATIONS: &[(&str, RefreshOperation)] = &[
    ("initiate-auth", RefreshOperation::InitiateAuth),
    ("get-tokens", RefreshOperation::GetTokens),
];

/// The address of the pools of a region, or the one that is given in its place.
fn read_endpoint(section: &mut Section<'_>, preset: &Preset, transport: &Transport) -> Option<Url> {
    let region = section.value("region");
    match (region, section.value("endpoint")) {
        (Some(region), None) => of_region(read_region(&region)?),
        (None, Some(endpoint)) => {
            let url = address::read(&endpoint, transport, Query::Allowed)?;
            if transport.plain_http && url.scheme() == "https" {
                let rule = "plain_http means nothing for an https endpoint";
                section.warn(Problem::Rule(rule.into()));
            }
            Some(url)
        }
        (Some(_), Some(endpoint)) => {
            let rule = "region and endpoint exclude each other; keep one of them";
            endpoint.complain_of_key(Problem::Rule(rule.into()));
            None
        }
        (None, None) => {
            if preset.region.is_none() {
                section.missing("region", REGION);
            }
            of_region(preset.region?)
        }
    }
}

const REGION: &str = "the name of a region such as \"eu-central-1\"";

fn read_region<'a>(value: &Value<'a>) -> Option<&'a str> {
    const LONGEST: usize = 32;

    let region = value.text(REGION)?;
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if region.len() > LONGEST || !region.bytes().all(plain) || !region.contains('-') {
        value.complain(Problem::Value { expected: REGION.into(), nearest: None });
        return None;
    }
    Some(region)
}

fn of_region(region: &str) -> Option<Url> {
    Url::parse(&format!("https://cognito-idp.{region}.amazonaws.com/")).ok()
}

fn read_client_id<'a>(section: &mut Section<'a>, preset: &Preset) -> Option<&'a str> {
    const EXPECTED: &str = "the identifier of the app client, a string";

    match preset.client_id {
        None => section.require_text("client_id", EXPECTED),
        Some(known) => match section.value("client_id") {
            None => Some(known),
            Some(stated) => stated.text(EXPECTED),
        },
    }
}

/// How the app client proves who it is, and the secret that it needs for that.
fn read_client(section: &mut Section<'_>) -> (ClientAuth, Vec<(&'static str, SecretRef)>) {
    let given = section.value(CLIENT_SECRET).is_some();
    let secret = section.secret(CLIENT_SECRET);
    let stated = section.value("client_auth");

    let implied = if given { ClientAuth::SecretHash } else { ClientAuth::None };
    let auth = stated.as_ref().and_then(|stated| stated.choice(AUTHS)).unwrap_or(implied);
    if auth == ClientAuth::SecretHash {
        return (auth, vec![(CLIENT_SECRET, secret.unwrap_or(SecretRef::Slot))]);
    }
    if let Some(stated) = stated.filter(|_| given) {
        let rule = "\"none\" and a client_secret exclude each other; expected \"secret-hash\", or \
                    no client_secret";
        stated.complain(Problem::Rule(rule.into()));
    }
    (ClientAuth::None, Vec::new())
}

/// The user. Spaces around the name are a slip; capitals in Quilt's addresses are one too,
/// and its other clients send them as small letters.
fn read_user(section: &mut Section<'_>, preset: &Preset) -> Option<String> {
    const EMAIL: &str = "the user's e-mail address, a string";
    const USERNAME: &str = "the name of a user, a string";

    let (value, expected) = match (section.value("email"), section.value("username")) {
        (Some(email), None) => (email, EMAIL),
        (None, Some(username)) => (username, USERNAME),
        (Some(_), Some(username)) => {
            let rule = "email and username exclude each other; keep one of them";
            username.complain_of_key(Problem::Rule(rule.into()));
            return None;
        }
        (None, None) => {
            match preset.user {
                UserKey::Email => section.missing("email", EMAIL),
                UserKey::Username => section.missing("username", USERNAME),
            }
            return None;
        }
    };
    let user = value.text(expected)?.trim();
    if user.is_empty() {
        value.complain(Problem::Kind { expected: expected.into(), found: "an empty string" });
        return None;
    }
    Some(match preset.user {
        UserKey::Email => user.to_lowercase(),
        UserKey::Username => user.to_owned(),
    })
}

/// The flow of a login, and the secrets of a sign-in that needs no person.
fn read_flow(
    section: &mut Section<'_>,
    preset: &Preset,
) -> (AuthFlow, Option<Vec<(&'static str, SecretRef)>>) {
    let flow = section.choice("auth_flow", FLOWS).unwrap_or(preset.flow);
    let given = section.value(PASSWORD);
    let password = section.secret(PASSWORD);
    match flow {
        AuthFlow::Password => (flow, Some(vec![(PASSWORD, password.unwrap_or(SecretRef::Slot))])),
        AuthFlow::Custom => {
            if let Some(given) = given {
                let rule = "a login by code takes no password; it is for auth_flow = \"password\"";
                given.complain_of_key(Problem::Rule(rule.into()));
            }
            (flow, None)
        }
    }
}

/// The operation that refreshes, and what is known of rotation by it: a pool that rotates
/// takes only the one, and a pool that does not takes both.
fn read_refresh(section: &mut Section<'_>) -> (RefreshOperation, Rotation) {
    let rotates = section.value("rotation").is_some_and(|rotation| !rotation.is_text("none"));
    let stated = section.value("refresh_operation");
    let implied =
        if rotates { RefreshOperation::GetTokens } else { RefreshOperation::InitiateAuth };
    let operation = stated.as_ref().and_then(|it| it.choice(OPERATIONS)).unwrap_or(implied);
    match (operation, stated) {
        (RefreshOperation::InitiateAuth, Some(stated)) if rotates => {
            let rule = "a pool that rotates refuses \"initiate-auth\"; expected \"get-tokens\", or \
                        rotation = \"none\"";
            stated.complain(Problem::Rule(rule.into()));
            (operation, Rotation::Never)
        }
        (RefreshOperation::InitiateAuth, _) => (operation, Rotation::Never),
        (RefreshOperation::GetTokens, _) => (operation, Rotation::Unknown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::BEARER;
    use crate::provider::cognito::tests::account;

    const POOL: &str = "region = 'eu-central-1'\nclient_id = 'c'\nusername = 'pat'\n";

    #[test]
    fn quilt_needs_an_address_and_nothing_else() {
        let quilt = account("provider = 'quilt'\nemail = ' Pat@Example.ORG '");
        assert_eq!(quilt.endpoint.as_str(), "https://cognito-idp.us-west-2.amazonaws.com/");
        assert_eq!(&*quilt.client_id, "6lef74vtc8p7pgu47nmqubd9vn");
        assert_eq!(&*quilt.user, "pat@example.org");
        assert_eq!((quilt.flow, quilt.client_auth), (AuthFlow::Custom, ClientAuth::None));
        let profile = quilt.profile;
        assert_eq!((profile.name, profile.default_kind), ("quilt", Kind::Id));
        assert_eq!(*profile.header(), Header::BARE);
        assert_eq!(profile.rotation, Rotation::Never);
        assert_eq!(&*profile.host, "cognito-idp.us-west-2.amazonaws.com:443");
        assert!(profile.sign_in.is_none() && profile.secrets.is_empty());
    }

    #[test]
    fn any_pool_is_signed_in_to_with_a_password_unless_the_keys_say_otherwise() {
        let pool = account(&format!("{POOL}token = 'access'"));
        assert_eq!(pool.endpoint.as_str(), "https://cognito-idp.eu-central-1.amazonaws.com/");
        assert_eq!(pool.flow, AuthFlow::Password);
        assert_eq!(pool.profile.sign_in, Some(vec![(PASSWORD, SecretRef::Slot)]));
        assert_eq!(*pool.profile.header(), BEARER);
        assert_eq!(pool.profile.default_kind, Kind::Access);
        assert_eq!(account(POOL).profile.default_kind, Kind::Id);
        let custom = account(&format!("{POOL}auth_flow = 'custom'"));
        assert_eq!((custom.flow, custom.profile.sign_in), (AuthFlow::Custom, None));
    }

    #[test]
    fn only_an_address_of_quilt_loses_its_capitals() {
        let user = |keys: &str| account(keys).user;
        let pool = "region = 'eu-central-1'\nclient_id = 'c'\n";
        assert_eq!(&*user(&format!("{pool}email = ' Pat@Example.ORG '")), "Pat@Example.ORG");
        assert_eq!(&*user(&format!("{pool}username = 'Pat'")), "Pat");
        assert_eq!(&*user("provider = 'quilt'\nusername = 'Pat@Example.ORG'"), "pat@example.org");
    }

    #[test]
    fn a_key_wins_over_the_preset() {
        let own = account(
            "provider = 'quilt'\nemail = 'pat'\nendpoint = 'http://127.0.0.1:5000'\n\
             client_id = 'c'\nauth_flow = 'password'\n",
        );
        assert_eq!(own.endpoint.as_str(), "http://127.0.0.1:5000/");
        assert_eq!((&*own.client_id, own.flow), ("c", AuthFlow::Password));
        let moved = account("provider = 'quilt'\nemail = 'pat'\nregion = 'eu-west-1'\n");
        assert_eq!(moved.endpoint.as_str(), "https://cognito-idp.eu-west-1.amazonaws.com/");
    }

    #[test]
    fn the_operation_follows_from_rotation_and_rotation_from_the_operation() {
        use RefreshOperation::{GetTokens, InitiateAuth};
        #[rustfmt::skip]
        let cases = [
            ("",                                                      InitiateAuth, Rotation::Never),
            ("rotation = 'none'",                                     InitiateAuth, Rotation::Never),
            ("rotation = '30s'",                                      GetTokens,    Rotation::Unknown),
            ("rotation = 'strict'",                                   GetTokens,    Rotation::Unknown),
            ("refresh_operation = 'get-tokens'",                      GetTokens,    Rotation::Unknown),
            ("refresh_operation = 'get-tokens'\nrotation = 'none'",   GetTokens,    Rotation::Unknown),
            ("refresh_operation = 'initiate-auth'",                   InitiateAuth, Rotation::Never),
        ];
        for (keys, operation, rotation) in cases {
            let pool = account(&format!("{POOL}{keys}"));
            assert_eq!((pool.refresh, pool.profile.rotation), (operation, rotation), "{keys}");
        }
    }

    #[test]
    fn the_client_proves_who_it_is_if_it_has_a_secret_or_says_that_it_has() {
        use ClientAuth::{None as Public, SecretHash};
        let file = || SecretRef::File("/s".into());
        #[rustfmt::skip]
        let cases = [
            ("",                                                               Public,     None),
            ("client_auth = 'none'",                                           Public,     None),
            ("client_auth = 'secret-hash'",                                    SecretHash, Some(SecretRef::Slot)),
            ("client_secret = { file = '/s' }",                                SecretHash, Some(file())),
            ("client_auth = 'secret-hash'\nclient_secret = { file = '/s' }",   SecretHash, Some(file())),
        ];
        for (keys, auth, secret) in cases {
            let pool = account(&format!("{POOL}{keys}"));
            assert_eq!(pool.client_auth, auth, "{keys}");
            let expected = secret.map(|secret| (CLIENT_SECRET, secret));
            assert_eq!(pool.profile.secrets, Vec::from_iter(expected), "{keys}");
        }
    }

    /// What the tokens are bound to makes a lineage, and nothing else does.
    #[test]
    fn another_place_client_or_user_is_another_lineage() {
        let base = account(POOL).profile.lineage;
        #[rustfmt::skip]
        let cases = [
            // name              same    text
            ("flow, operation",  true,   "region = 'eu-central-1'\nclient_id = 'c'\nusername = 'pat'\nauth_flow = 'custom'\nrefresh_operation = 'get-tokens'"),
            ("written out",      true,   "endpoint = 'https://cognito-idp.eu-central-1.amazonaws.com'\nclient_id = 'c'\nemail = 'pat'"),
            ("region",           false,  "region = 'eu-west-1'\nclient_id = 'c'\nusername = 'pat'"),
            ("client",           false,  "region = 'eu-central-1'\nclient_id = 'd'\nusername = 'pat'"),
            ("user",             false,  "region = 'eu-central-1'\nclient_id = 'c'\nusername = 'joe'"),
        ];
        for (name, same, text) in cases {
            assert_eq!(account(text).profile.lineage == base, same, "{name}");
        }
    }
}
