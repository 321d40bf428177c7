//! moto, which imitates Amazon Cognito.

use serde_json::Value;
use serde_json::json;

use super::Provider;
use crate::support::config::Config;
use crate::support::daemon::Daemon;
use crate::support::http::Request;
use crate::support::http::receive;
use crate::support::process::said;
use crate::support::skipped;

const PASSWORD: &str = "Corr3ct-horse!";

/// What an administrator's requests are signed with. Only the region in it is looked at.
const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=a/20260101/eu-central-1/cognito-idp/aws4_request, \
                      SignedHeaders=host, Signature=s";

#[test]
fn a_pool_refreshes_app_clients_with_and_without_a_secret() {
    let Some(pool) = Pool::start() else { return };
    let daemon = Daemon::start(&pool.config());
    let slot = "confidential.client_secret";
    daemon.tokenctl_does(&["secret", "set", slot, "--file", "-"], Some(&pool.secret));
    for (account, client) in [("public", &pool.public), ("confidential", &pool.confidential)] {
        daemon.import(account, &pool.login(client).refresh_token);
        assert_eq!(receive(daemon.begin_refresh(account)).unwrap().status, 200, "{account}");
        let token = daemon.token(account, "").unwrap();
        assert_eq!((token.generation, token.kind.as_str()), (2, "id"), "{account}");
        assert!(daemon.token(account, "?kind=access").is_ok(), "{account}");
    }
}

#[test]
fn a_login_that_the_pool_ended_is_noticed_at_once_in_the_pools_own_words() {
    let Some(pool) = Pool::start() else { return };
    let daemon = Daemon::start(&pool.config());
    let login = pool.login(&pool.public);
    daemon.import("public", &login.refresh_token);
    pool.does("GlobalSignOut", &json!({ "AccessToken": login.access_token }));

    assert_eq!(receive(daemon.begin_refresh("public")).unwrap().status, 409);

    let view = daemon.account("public");
    assert_eq!(view.state, "needs_login");
    let message = view.refresh_error.unwrap().message;
    assert!(message.contains("Refresh Token has been revoked"), "{message}");
    assert!(daemon.token("public", "").is_ok(), "the token that is still good is served");
}

#[test]
fn a_password_on_the_standard_input_logs_an_account_in() {
    let Some(pool) = Pool::start() else { return };
    let daemon = Daemon::start(&pool.config());
    let slot = "confidential.client_secret";
    daemon.tokenctl_does(&["secret", "set", slot, "--file", "-"], Some(&pool.secret));
    for account in ["public", "confidential"] {
        assert_eq!(daemon.account(account).generation, 0, "{account}");

        daemon.tokenctl_does(&["login", account, "--password-stdin"], Some(PASSWORD));

        let view = daemon.account(account);
        assert_eq!((view.state.as_str(), view.refresh_error), ("fresh", None), "{account}");
        let token = daemon.token(account, "").unwrap();
        assert_eq!((token.generation, token.kind.as_str()), (1, "id"), "{account}");
        assert_eq!(receive(daemon.begin_refresh(account)).unwrap().status, 200, "{account}");
    }
}

#[test]
fn a_wrong_password_is_told_in_the_pools_own_words_and_leaves_the_login_that_is_there() {
    let Some(pool) = Pool::start() else { return };
    let daemon = Daemon::start(&pool.config());
    daemon.tokenctl_does(&["login", "public", "--password-stdin"], Some(PASSWORD));
    let before = daemon.token("public", "").unwrap();

    let output = daemon.tokenctl_given(&["login", "public", "--password-stdin"], "wrong");

    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(said(&output).contains("Incorrect username or password."), "{}", said(&output));
    assert_eq!(daemon.token("public", "").unwrap().token, before.token);
    assert_eq!(daemon.account("public").state, "fresh");
    assert_eq!(receive(daemon.begin_refresh("public")).unwrap().status, 200);
}

#[test]
fn a_stored_password_signs_in_first_and_again_after_the_pool_ended_the_login() {
    let Some(pool) = Pool::start() else { return };
    let mut daemon = Daemon::new(&Config::default());
    daemon.write("password", PASSWORD);
    let password = daemon.path("password").display().to_string();
    let policy = "on_refresh_failure = \"sign-in\"";
    let keys = format!("{policy}\npassword = {{ file = \"{password}\" }}\n");
    let keys = pool.keys(&pool.public) + &keys;
    daemon.configure(&Config::default().account("public", &keys));
    daemon.begin();
    daemon.token_after("public", 0);
    // A sign-in whose first refresh fails is followed by no other.
    assert_eq!(receive(daemon.begin_refresh("public")).unwrap().status, 200);
    let access = daemon.token("public", "?kind=access").unwrap();
    pool.does("GlobalSignOut", &json!({ "AccessToken": access.token }));

    let reply = receive(daemon.begin_refresh("public")).unwrap();

    assert_eq!(reply.status, 200, "{}", reply.body);
    let view = daemon.account("public");
    assert_eq!((view.state.as_str(), view.generation, view.refresh_error), ("fresh", 3, None));
    assert_eq!(receive(daemon.begin_refresh("public")).unwrap().status, 200);
}

/// moto does not know the operation of pools that rotate, and breaks down over it with a page
/// for a browser, as servers do.
#[test]
fn a_server_that_breaks_down_costs_no_login() {
    let Some(pool) = Pool::start() else { return };
    let daemon = Daemon::start(&pool.config());
    daemon.import("public", &pool.login(&pool.public).refresh_token);
    let keys = "refresh_operation = \"get-tokens\"\nrotation = \"none\"\n";
    let keys = pool.keys(&pool.public) + keys;
    daemon.configure(&Config::default().account("public", &keys));
    daemon.reload_by_signal();

    assert_eq!(receive(daemon.begin_refresh("public")).unwrap().status, 503);
    let error = daemon.account("public").refresh_error.unwrap();
    assert_eq!(error.error_code.as_str(), "PROVIDER_UNAVAILABLE", "{}", error.message);
    assert_eq!(daemon.token("public", "").unwrap().generation, 1);

    daemon.configure(&pool.config());
    daemon.reload_by_signal();
    assert_eq!(receive(daemon.begin_refresh("public")).unwrap().status, 200);
    let view = daemon.account("public");
    assert_eq!((view.state.as_str(), view.generation, view.refresh_error), ("fresh", 2, None));
}

/// A user pool with two app clients and one user.
struct Pool {
    provider: Provider,
    public: String,
    confidential: String,
    /// The app client's that has one.
    secret: String,
}

/// What a sign-in past the daemon brought.
struct Login {
    refresh_token: String,
    access_token: String,
}

impl Pool {
    fn start() -> Option<Self> {
        let server = ["$TOKENKEEPER_TEST_PYTHON", "tests/providers/moto/server.py"];
        let Some(provider) = Provider::start(&server, &[]) else {
            skipped("TOKENKEEPER_TEST_PYTHON is not set");
            return None;
        };
        let (public, confidential, secret) = (String::new(), String::new(), String::new());
        let mut pool = Self { provider, public, confidential, secret };
        let made = pool.does("CreateUserPool", &json!({ "PoolName": "pool" }));
        let id = text(&made, "/UserPool/Id");
        let user = json!({ "UserPoolId": id, "Username": "pat" });
        pool.does("AdminCreateUser", &user);
        let password =
            json!({ "UserPoolId": id, "Username": "pat", "Password": PASSWORD, "Permanent": true });
        pool.does("AdminSetUserPassword", &password);
        let client = |with_secret: bool| {
            let flows = ["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"];
            let client = json!({
                "UserPoolId": id, "ClientName": "client", "GenerateSecret": with_secret,
                "ExplicitAuthFlows": flows,
            });
            pool.does("CreateUserPoolClient", &client)
        };
        let (public, confidential) = (client(false), client(true));
        pool.public = text(&public, "/UserPoolClient/ClientId");
        pool.confidential = text(&confidential, "/UserPoolClient/ClientId");
        pool.secret = text(&confidential, "/UserPoolClient/ClientSecret");
        Some(pool)
    }

    /// A daemon's, with an account of each app client.
    fn config(&self) -> Config {
        let confidential = self.keys(&self.confidential) + "client_auth = \"secret-hash\"\n";
        Config::default()
            .account("public", &self.keys(&self.public))
            .account("confidential", &confidential)
    }

    fn keys(&self, client: &str) -> String {
        format!(
            "provider = \"cognito\"\nendpoint = \"http://{}/\"\nclient_id = \"{client}\"\n\
             username = \"pat\"\n",
            self.provider.address
        )
    }

    fn login(&self, client: &str) -> Login {
        let granted = self.does(
            "InitiateAuth",
            &json!({
                "AuthFlow": "USER_PASSWORD_AUTH", "ClientId": client,
                "AuthParameters": { "USERNAME": "pat", "PASSWORD": PASSWORD },
            }),
        );
        Login {
            refresh_token: text(&granted, "/AuthenticationResult/RefreshToken"),
            access_token: text(&granted, "/AuthenticationResult/AccessToken"),
        }
    }

    /// Has the pool do something.
    fn does(&self, operation: &str, body: &Value) -> Value {
        let target = format!("AWSCognitoIdentityProviderService.{operation}");
        let headers = [
            ("content-type", "application/x-amz-json-1.1"),
            ("x-amz-target", &target),
            ("authorization", SIGNED),
        ];
        let body = body.to_string();
        let request = Request { headers: &headers, ..Request::with("POST", "/", &body) };
        request.on_tcp(&self.provider.address).unwrap().success()
    }
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("{value}")).to_owned()
}
