//! What wrong configurations are answered with, word for word.
//!
//! A diff here is a change of what administrators read: read it aloud.

use std::path::Path;

use super::Config;
use super::File;
use super::daemon::Defaults;
use crate::section::Mode;

mod cognito;
mod hooks;

/// Lines that are wrong in an account, and all that is said of each.
#[rustfmt::skip]
const IN_AN_ACCOUNT: &[(&str, &[&str])] = &[
    (r#"rotation = "stirct""#, &[
        r#"config.toml:4:12: accounts.mail.rotation: expected "unknown", "none", "strict" or a duration such as "30s"; did you mean "strict"?"#,
    ]),
    ("rotation = 30", &[
        r#"config.toml:4:12: accounts.mail.rotation: expected "unknown", "none", "strict" or a duration such as "30s", found a number"#,
    ]),
    (r#"rotation = "0s""#, &[
        r#"config.toml:4:12: accounts.mail.rotation: expected "unknown", "none", "strict" or a duration such as "30s""#,
    ]),
    ("scope = 7", &[
        "config.toml:4:9: accounts.mail.scope: expected a string of words with spaces between them, or a list of words, found a number",
    ]),
    ("scope = []", &[
        "config.toml:4:9: accounts.mail.scope: expected a string of words with spaces between them, or a list of words, found an empty list",
    ]),
    (r#"scope = ["mail read"]"#, &[
        "config.toml:4:10: accounts.mail.scope[0]: expected a word without spaces",
    ]),
    (r#"scope = "a\"b""#, &[
        "config.toml:4:9: accounts.mail.scope: expected a string of words with spaces between them, or a list of words",
    ]),
    (r#"username = """#, &[
        "config.toml:4:12: accounts.mail.username: expected the name of a user, a string, found an empty string",
    ]),
    (r#"username = "a\u001bb""#, &[
        "config.toml:4:12: accounts.mail.username: expected the name of a user, a string, found a string with a control character in it",
    ]),
    (r#"client_secret = "hunter2""#, &[
        "config.toml:4:17: accounts.mail.client_secret: a secret does not belong in the configuration; type: tokenctl secret set mail.client_secret",
    ]),
    ("client_secret = 12", &[
        "config.toml:4:17: accounts.mail.client_secret: a secret does not belong in the configuration; type: tokenctl secret set mail.client_secret",
    ]),
    (r#"client_secret = ["hunter2"]"#, &[
        "config.toml:4:17: accounts.mail.client_secret: a secret does not belong in the configuration; type: tokenctl secret set mail.client_secret",
    ]),
    ("client_secret = {}", &[
        r#"config.toml:4:1: accounts.mail.client_secret: expected exactly one of credential = "NAME", file = "/PATH" and command = ["/PROGRAM"]; or leave it out and type: tokenctl secret set mail.client_secret"#,
    ]),
    (r#"client_secret = { credential = "a", file = "/b" }"#, &[
        r#"config.toml:4:1: accounts.mail.client_secret: expected exactly one of credential = "NAME", file = "/PATH" and command = ["/PROGRAM"]; or leave it out and type: tokenctl secret set mail.client_secret"#,
    ]),
    (r#"client_secret = { credential = "../x" }"#, &[
        "config.toml:4:32: accounts.mail.client_secret.credential: expected the name of a credential: at most 200 of a-z, A-Z, 0-9, '.', '_' and '-'",
    ]),
    (r#"client_secret = { file = "secret.txt" }"#, &[
        "config.toml:4:26: accounts.mail.client_secret.file: expected an absolute path",
    ]),
    (r#"client_secret = { command = ["/usr/bin/pass", "ci"] }"#, &[
        r#"config.toml:4:29: accounts.mail.client_secret.command: a command is run by the service of a user only; expected credential = "NAME" or file = "/PATH""#,
    ]),
    (r#"client_secret = { value = "hunter2" }"#, &[
        r#"config.toml:4:1: accounts.mail.client_secret: expected exactly one of credential = "NAME", file = "/PATH" and command = ["/PROGRAM"]; or leave it out and type: tokenctl secret set mail.client_secret"#,
        r#"config.toml:4:19: accounts.mail.client_secret.value: unknown key; known here are "command", "credential" and "file""#,
    ]),
    (r#"client_auth = "Basic""#, &[
        r#"config.toml:4:15: accounts.mail.client_auth: expected "basic", "post" or "none"; did you mean "basic"?"#,
    ]),
    ("client_auth = \"none\"\ngrant = \"client_credentials\"", &[
        r#"config.toml:4:15: accounts.mail.client_auth: the grant "client_credentials" needs a client with a secret (RFC 6749 section 4.4); expected "basic" or "post""#,
    ]),
    ("client_auth = \"none\"\nclient_secret = { credential = \"a\" }", &[
        r#"config.toml:4:15: accounts.mail.client_auth: "none" and a client_secret exclude each other; expected "basic" or "post", or no client_secret"#,
    ]),
    (r#"grant = "password""#, &[
        r#"config.toml:4:9: accounts.mail.grant: expected "refresh_token" or "client_credentials""#,
    ]),
    (r#"grant = "client-credentials""#, &[
        r#"config.toml:4:9: accounts.mail.grant: expected "refresh_token" or "client_credentials"; did you mean "client_credentials"?"#,
    ]),
    (r#"token_endpoint = "https://idp.example/token""#, &[
        "config.toml:4:1: accounts.mail.token_endpoint: issuer and token_endpoint exclude each other; keep one of them",
    ]),
    (r#"clientid = "x""#, &[
        r#"config.toml:4:1: accounts.mail.clientid: unknown key; did you mean "client_id"?"#,
    ]),
    (r#"scopes = "mail""#, &[
        r#"config.toml:4:1: accounts.mail.scopes: unknown key; did you mean "scope"?"#,
    ]),
    ("banana = true", &[
        r#"config.toml:4:1: accounts.mail.banana: unknown key; known here are "alarm_before", "allow", "auth_params", "authorization_endpoint", "ca_file", "client_auth", "client_id", "client_secret", "default_lifetime", "device_endpoint", "expiry_ahead", "grant", "header", "hooks", "issuer", "login", "on_refresh_failure", "plain_http", "provider", "refresh_before", "refresh_token_idle", "refresh_token_lifetime", "request_format", "revocation_endpoint", "rotation", "scope", "token", "token_endpoint", "token_params" and "username""#,
    ]),
    (r#""a\nb" = true"#, &[
        r#"config.toml:4:1: accounts.mail."a\nb": unknown key; known here are "alarm_before", "allow", "auth_params", "authorization_endpoint", "ca_file", "client_auth", "client_id", "client_secret", "default_lifetime", "device_endpoint", "expiry_ahead", "grant", "header", "hooks", "issuer", "login", "on_refresh_failure", "plain_http", "provider", "refresh_before", "refresh_token_idle", "refresh_token_lifetime", "request_format", "revocation_endpoint", "rotation", "scope", "token", "token_endpoint", "token_params" and "username""#,
    ]),
    (r#"provider = "gogle""#, &[
        r#"config.toml:4:12: accounts.mail.provider: expected "cognito", "exec", "github", "gitlab", "google", "kasa-monitor", "microsoft", "navien", "oauth2" or "quilt"; did you mean "google"?"#,
    ]),
    ("provider = \"gogle\"\nscopes = \"mail\"\nclient_secret = \"hunter2\"", &[
        r#"config.toml:4:12: accounts.mail.provider: expected "cognito", "exec", "github", "gitlab", "google", "kasa-monitor", "microsoft", "navien", "oauth2" or "quilt"; did you mean "google"?"#,
        r#"config.toml:5:1: accounts.mail.scopes: unknown key; did you mean "scope"?"#,
        "config.toml:6:17: accounts.mail.client_secret: a secret does not belong in the configuration; type: tokenctl secret set mail.client_secret",
    ]),
    ("provider = \"acme\"\nanything = 1", &[
        r#"config.toml:4:12: accounts.mail.provider: expected "cognito", "exec", "github", "gitlab", "google", "kasa-monitor", "microsoft", "navien", "oauth2" or "quilt""#,
    ]),
    ("provider = 1", &[
        r#"config.toml:4:12: accounts.mail.provider: expected "cognito", "exec", "github", "gitlab", "google", "kasa-monitor", "microsoft", "navien", "oauth2" or "quilt", found a number"#,
    ]),
    (r#"refresh_before = "60%""#, &[
        r#"config.toml:4:18: accounts.mail.refresh_before: expected a duration such as "5m" or a share of the lifetime, "1%" to "50%""#,
    ]),
    (r#"refresh_before = "5min""#, &[
        r#"config.toml:4:18: accounts.mail.refresh_before: expected a duration such as "5m" or a share of the lifetime, "1%" to "50%""#,
    ]),
    (r#"default_lifetime = "0s""#, &[
        "config.toml:4:20: accounts.mail.default_lifetime: expected a duration above zero",
    ]),
    ("default_lifetime = 600", &[
        r#"config.toml:4:20: accounts.mail.default_lifetime: expected a duration such as "90s", "5m", "12h" or "7d", found a number"#,
    ]),
    (r#"on_refresh_failure = "sign-in""#, &[
        r#"config.toml:4:22: accounts.mail.on_refresh_failure: "sign-in" needs a provider that logs in with a stored password alone; a login here needs a person; expected "raise""#,
    ]),
    (r#"on_refresh_failure = "prompt""#, &[
        r#"config.toml:4:22: accounts.mail.on_refresh_failure: expected "raise" or "sign-in""#,
    ]),
    (r#"plain_http = "yes""#, &[
        "config.toml:4:14: accounts.mail.plain_http: expected true or false, found a string",
    ]),
    (r#"ca_file = "~/ca.pem""#, &[
        "config.toml:4:11: accounts.mail.ca_file: expected an absolute path",
    ]),
    (r#"header = { scheme = "Bearer" }"#, &[
        r#"config.toml:4:1: accounts.mail.header.name: missing; expected the name of a header, such as "authorization""#,
    ]),
    (r#"header = { name = "x y" }"#, &[
        r#"config.toml:4:19: accounts.mail.header.name: expected the name of a header, such as "authorization""#,
    ]),
    (r#"token = "refresh""#, &[
        r#"config.toml:4:9: accounts.mail.token: expected "access" or "id""#,
    ]),
    (r#"request_format = "xml""#, &[
        r#"config.toml:4:18: accounts.mail.request_format: expected "form" or "json""#,
    ]),
    (r#"token_params = { client_secret = "hunter2" }"#, &[
        "config.toml:4:18: accounts.mail.token_params.client_secret: a secret does not belong in the configuration; tokenctl import and tokenctl secret set take secrets",
    ]),
    (r#"token_params = { scope = "mail", audience = 1 }"#, &[
        "config.toml:4:18: accounts.mail.token_params.scope: this parameter is set by the account's other keys",
        "config.toml:4:45: accounts.mail.token_params.audience: expected a string, found a number",
    ]),
    (r#"token_params = { refresh_token = "hunter2" }"#, &[
        "config.toml:4:18: accounts.mail.token_params.refresh_token: a secret does not belong in the configuration; tokenctl import and tokenctl secret set take secrets",
    ]),
    (r#"login = "phone""#, &[
        r#"config.toml:4:9: accounts.mail.login: expected "browser" or "device""#,
    ]),
    (r#"auth_params = { state = "x", client_secret = "hunter2" }"#, &[
        "config.toml:4:17: accounts.mail.auth_params.state: this parameter is set by the account's other keys",
        "config.toml:4:30: accounts.mail.auth_params.client_secret: a secret does not belong in the configuration; tokenctl import and tokenctl secret set take secrets",
    ]),
    (r#"device_endpoint = "http://idp.example/d""#, &[
        r#"config.toml:4:19: accounts.mail.device_endpoint: plain http goes to this host only; expected "https://…""#,
    ]),
    (r#"allow = "alice""#, &[
        r#"config.toml:4:9: accounts.mail.allow: expected a list of rules such as "alice", "group:mail" or "unit:backup.service", found a string"#,
    ]),
    (r#"allow = [""]"#, &[
        r#"config.toml:4:10: accounts.mail.allow[0]: expected a user such as "alice", "group:NAME" or "unit:NAME.service", found an empty string"#,
    ]),
    (r#"allow = ["alice", 1000]"#, &[
        r#"config.toml:4:19: accounts.mail.allow[1]: expected a user such as "alice", "group:NAME" or "unit:NAME.service", found a number"#,
    ]),
    (r#"allow = ["user:alice"]"#, &[
        r#"config.toml:4:10: accounts.mail.allow[0]: expected a user such as "alice", "group:NAME" or "unit:NAME.service""#,
    ]),
    (r#"allow = ["group:"]"#, &[
        "config.toml:4:10: accounts.mail.allow[0]: expected the name or number of a group",
    ]),
    (r#"allow = ["unit:backup"]"#, &[
        r#"config.toml:4:10: accounts.mail.allow[0]: expected a system unit with its suffix, and its instance if it is one of a template, such as "backup.service" or "backup@home.service""#,
    ]),
    (r#"allow = ["unit:backup@.service", { unit = "backup.timer", user = "ci" }]"#, &[
        r#"config.toml:4:10: accounts.mail.allow[0]: expected a system unit with its suffix, and its instance if it is one of a template, such as "backup.service" or "backup@home.service""#,
        r#"config.toml:4:43: accounts.mail.allow[1].unit: expected a system unit with its suffix, and its instance if it is one of a template, such as "backup.service" or "backup@home.service""#,
    ]),
    (r#"allow = [{ rights = ["read"] }]"#, &[
        "config.toml:4:10: accounts.mail.allow[0]: expected at least one of user, group and unit",
    ]),
    (r#"allow = [{ user = "alice", rights = ["write"] }]"#, &[
        r#"config.toml:4:38: accounts.mail.allow[0].rights[0]: expected "read", "refresh", "report" or "admin""#,
    ]),
    (r#"allow = [{ user = "alice", rights = [] }]"#, &[
        r#"config.toml:4:37: accounts.mail.allow[0].rights: expected a list of "read", "refresh", "report" and "admin", found an empty list"#,
    ]),
    (r#"allow = [{ uesr = "alice" }]"#, &[
        "config.toml:4:10: accounts.mail.allow[0]: expected at least one of user, group and unit",
        r#"config.toml:4:12: accounts.mail.allow[0].uesr: unknown key; did you mean "user"?"#,
    ]),
    (r#"refresh_token_lifetime = "0s""#, &[
        r#"config.toml:4:26: accounts.mail.refresh_token_lifetime: it must be longer than nothing; leave it out instead"#,
    ]),
    (r#"expiry_ahead = "14d""#, &[
        r#"config.toml:4:16: accounts.mail.expiry_ahead: expected a list of durations such as ["14d", "1d"], found a string"#,
    ]),
    (r#"expiry_ahead = ["14d", "soon"]"#, &[
        r#"config.toml:4:24: accounts.mail.expiry_ahead[1]: expected a duration such as "90s", "5m", "12h" or "7d""#,
    ]),
    (r#"alarm_before = "ten minutes""#, &[
        r#"config.toml:4:16: accounts.mail.alarm_before: expected a duration such as "90s", "5m", "12h" or "7d""#,
    ]),
];

/// Files that are wrong, and all that is said of each.
#[rustfmt::skip]
const IN_A_FILE: &[(&str, &[&str])] = &[
    ("[accounts.mail]\n", &[
        r#"config.toml:1:11: accounts.mail.issuer: missing; expected issuer = "https://…", token_endpoint = "https://…" or a provider with a known endpoint"#,
        "config.toml:1:11: accounts.mail.client_id: missing; expected the identifier of the client, a string",
    ]),
    ("[accounts.mail]\nprovider = \"google\"\n", &[
        "config.toml:1:11: accounts.mail.client_id: missing; expected the identifier of the client, a string",
    ]),
    ("[accounts.mail]\nissuer = \"http://idp.example\"\nclient_id = \"x\"\n", &[
        r#"config.toml:2:10: accounts.mail.issuer: plain http goes to this host only; expected "https://…""#,
    ]),
    ("[accounts.mail]\nissuer = \"http://10.0.0.1\"\nclient_id = \"x\"\n", &[
        "config.toml:2:10: accounts.mail.issuer: plain http to a private address needs plain_http = true; better is https",
    ]),
    ("[accounts.mail]\nissuer = \"http://nas.local\"\nclient_id = \"x\"\nplain_http = true\n", &[
        r#"config.toml:2:10: accounts.mail.issuer: plain http goes to this host and to private addresses written as numbers only; expected "https://…""#,
    ]),
    ("[accounts.mail]\nissuer = \"https://pat:hunter2@idp.example\"\nclient_id = \"x\"\n", &[
        "config.toml:2:10: accounts.mail.issuer: a URL must not have a user name or a password in it",
    ]),
    ("[accounts.mail]\nissuer = \"a.example\"\nclient_id = \"x\"\n", &[
        r#"config.toml:2:10: accounts.mail.issuer: expected a URL such as "https://login.example.org""#,
    ]),
    ("[accounts.mail]\nissuer = \"https://idp.example/.well-known/openid-configuration\"\nclient_id = \"x\"\n", &[
        r#"config.toml:2:10: accounts.mail.issuer: that is where the metadata of an issuer lie; expected the issuer itself, such as "https://login.example.org": mostly the same without "/.well-known/…""#,
    ]),
    ("[accounts.mail]\nissuer = \"https://idp.example/?tenant=1\"\nclient_id = \"x\"\n", &[
        r#"config.toml:2:10: accounts.mail.issuer: a URL must not have a query ("?…") here"#,
    ]),
    ("[accounts.mail]\ntoken_endpoint = \"https://idp.example/#x\"\nclient_id = \"x\"\n", &[
        r##"config.toml:2:18: accounts.mail.token_endpoint: a URL must not have a fragment ("#…") here"##,
    ]),
    ("[accounts.mail]\ntoken_endpoint = \"idp.example/token\"\nclient_id = \"x\"\n", &[
        r#"config.toml:2:18: accounts.mail.token_endpoint: expected a URL such as "https://login.example.org/token""#,
    ]),
    ("[accounts.boiler]\nprovider = \"navien\"\n", &[
        "config.toml:1:11: accounts.boiler.email: missing; expected the e-mail address of the login, a string",
    ]),
    ("[accounts.boiler]\nprovider = \"navien\"\nemail = \"\"\npassword = \"hunter2\"\naws_credentials = \"yes\"\n", &[
        "config.toml:3:9: accounts.boiler.email: expected the e-mail address of the login, a string, found an empty string",
        "config.toml:4:12: accounts.boiler.password: a secret does not belong in the configuration; type: tokenctl secret set boiler.password",
        "config.toml:5:19: accounts.boiler.aws_credentials: expected true or false, found a string",
    ]),
    ("[accounts.boiler]\nprovider = \"navien\"\nemail = \"x\"\nbase_url = \"http://navien.example\"\n", &[
        r#"config.toml:4:12: accounts.boiler.base_url: plain http goes to this host only; expected "https://…""#,
    ]),
    ("[accounts.boiler]\nprovider = \"navien\"\nemail = \"x\"\nbase_url = \"https://navien.example/?x\"\nclient_id = \"x\"\n", &[
        r#"config.toml:4:12: accounts.boiler.base_url: a URL must not have a query ("?…") here"#,
        r#"config.toml:5:1: accounts.boiler.client_id: unknown key; known here are "alarm_before", "allow", "aws_credentials", "base_url", "ca_file", "email", "expiry_ahead", "hooks", "on_refresh_failure", "password", "plain_http", "provider", "refresh_before", "refresh_token_idle", "refresh_token_lifetime" and "rotation""#,
    ]),
    ("[accounts.plugs]\nprovider = \"kasa-monitor\"\n", &[
        r#"config.toml:1:11: accounts.plugs.base_url: missing; expected the address of the server, such as "https://plugs.example.org:5273""#,
        "config.toml:1:11: accounts.plugs.username: missing; expected the name of the user, a string",
    ]),
    ("[accounts.plugs]\nprovider = \"kasa-monitor\"\nusername = \"x\"\nbase_url = \"http://192.168.1.9:5272\"\n", &[
        "config.toml:4:12: accounts.plugs.base_url: plain http to a private address needs plain_http = true; better is https",
    ]),
    ("[accounts.plugs]\nprovider = \"kasa-monitor\"\nusername = \"x\"\nbase_url = \"https://plugs.example/\"\ntotp = \"hunter2\"\npassword = 12\n", &[
        "config.toml:5:8: accounts.plugs.totp: a secret does not belong in the configuration; write totp = true and type: tokenctl secret set plugs.totp",
        "config.toml:6:12: accounts.plugs.password: a secret does not belong in the configuration; type: tokenctl secret set plugs.password",
    ]),
    ("[accounts.plugs]\nprovider = \"kasa-monitor\"\nusername = \"x\"\nbase_url = \"https://plugs.example/\"\ntotp = {}\nemail = \"x\"\n", &[
        r#"config.toml:5:1: accounts.plugs.totp: expected exactly one of credential = "NAME", file = "/PATH" and command = ["/PROGRAM"]; or write totp = true and type: tokenctl secret set plugs.totp"#,
        r#"config.toml:6:1: accounts.plugs.email: unknown key; known here are "alarm_before", "allow", "base_url", "ca_file", "expiry_ahead", "hooks", "on_refresh_failure", "password", "plain_http", "provider", "refresh_before", "refresh_token_idle", "refresh_token_lifetime", "rotation", "totp" and "username""#,
    ]),
    ("[accounts.\"My Mail\"]\nprovider = \"google\"\nclient_id = \"x\"\n", &[
        r#"config.toml:1:11: accounts."My Mail": an account name is 1 to 40 of a-z, 0-9, '_' and '-', beginning with a letter or a digit"#,
    ]),
    ("[accounts]\nmail = \"google\"\n", &[
        "config.toml:2:8: accounts.mail: expected a table, found a string",
    ]),
    ("accounts = []\n", &[
        "config.toml:1:12: accounts: expected a table, found a list",
    ]),
    ("[account.mail]\nprovider = \"google\"\n", &[
        r#"config.toml:1:2: account: unknown key; did you mean "accounts"?"#,
    ]),
    ("[daemon]\nlog = \"verbose\"\nsocket = \"api.sock\"\n", &[
        r#"config.toml:2:7: daemon.log: expected "error", "warn", "info", "debug" or "trace""#,
        "config.toml:3:10: daemon.socket: expected an absolute path",
    ]),
    ("[daemon]\ncredential_socket = \"c.sock\"\ncredential_wait = \"0s\"\ncredential_min_ttl = 60\n", &[
        "config.toml:2:21: daemon.credential_socket: expected an absolute path",
        "config.toml:3:19: daemon.credential_wait: expected a duration of more than nothing and at most 1 h",
        r#"config.toml:4:22: daemon.credential_min_ttl: expected a duration such as "90s", "5m", "12h" or "7d", found a number"#,
    ]),
    ("[daemon]\ncredential_wait = \"2h\"\n", &[
        "config.toml:2:19: daemon.credential_wait: expected a duration of more than nothing and at most 1 h",
    ]),
    ("[daemon]\nlog_level = \"info\"\n", &[
        r#"config.toml:2:1: daemon.log_level: unknown key; did you mean "log"?"#,
    ]),
    ("[daemon]\nadmin = [{ user = \"alice\", rights = [\"read\"] }]\n", &[
        r#"config.toml:2:28: daemon.admin[0].rights: unknown key; known here are "group", "unit" and "user""#,
    ]),
    ("daemon = true\n", &[
        "config.toml:1:10: daemon: expected a table, found true or false",
    ]),
    ("[[listen]]\n", &[
        "config.toml:1:1: listen[0].path: missing; expected the absolute path of a socket",
        "config.toml:1:1: listen[0].accounts: missing; expected a list of names of accounts",
    ]),
    ("[listen]\npath = \"/srv/ci.sock\"\n", &[
        "config.toml:1:1: listen: expected [[listen]] tables, found a table",
    ]),
    ("[accounts.mail]\nprovider = \"google\"\nclient_id = \"x\"\n\n[[listen]]\npath = \"/a\"\naccounts = [\"mial\"]\nmode = 660\n\n[[listen]]\npath = \"/a\"\naccounts = []\nmode = \"0999\"\n", &[
        r#"config.toml:7:13: listen[0].accounts[0]: expected the name of a configured account; did you mean "mail"?"#,
        r#"config.toml:8:8: listen[0].mode: expected an octal mode in quotes such as "0660", found a number"#,
        "config.toml:11:8: listen[1].path: configured twice; the first is at config.toml:6:8",
        "config.toml:12:12: listen[1].accounts: expected a list of names of accounts, found an empty list",
        r#"config.toml:13:8: listen[1].mode: expected an octal mode in quotes such as "0660""#,
    ]),
    ("[[listen]]\npath = \"/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"\naccounts = [\"Mail\"]\n", &[
        "config.toml:2:8: listen[0].path: expected an absolute path, found one that is too long",
        "config.toml:3:13: listen[0].accounts[0]: an account name is 1 to 40 of a-z, 0-9, '_' and '-', beginning with a letter or a digit",
    ]),
    ("[daemon]\nsocket = \"/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/s\"\n", &[
        "config.toml:2:10: daemon.socket: expected an absolute path, found one whose directory is too long",
    ]),
    ("[[listen]]\npath = \"/a\"\naccounts = []\nmode = 0666\n", &[
        r#"config.toml:4:8: a number does not begin with 0; the mode of a file is written in quotes, such as "0660""#,
    ]),
    ("[accounts.mail]\nclient_secret = hunter2\n", &[
        "config.toml:2:17: string values must be quoted, expected literal string",
    ]),
    ("[accounts.mail]\nclient_id = \nscope = mail\n= 3\n", &[
        "config.toml:2:13: string values must be quoted, expected literal string",
        "config.toml:3:9: string values must be quoted, expected literal string",
        "config.toml:4:1: unquoted keys cannot be empty, expected letters, numbers, `-`, `_`",
    ]),
    ("[accounts.mail]\nclient_id = \"x\"\nclient_id = \"y\"\n", &[
        "config.toml:3:1: duplicate key",
    ]),
];
/// What the lines of [`IN_AN_ACCOUNT`] stand in, from line 4.
const ACCOUNT: &str = "[accounts.mail]\nissuer = \"https://idp.example\"\nclient_id = \"x\"\n";

#[test]
fn every_mistake_in_an_account_is_told_in_these_words() {
    assert!(told(&[("config.toml", ACCOUNT)]).is_empty());
    for (lines, words) in IN_AN_ACCOUNT {
        assert_eq!(told(&[("config.toml", &format!("{ACCOUNT}{lines}\n"))]), *words, "{lines}");
    }
}

#[test]
fn every_mistake_in_a_file_is_told_in_these_words() {
    for (text, words) in IN_A_FILE.iter().chain(cognito::IN_A_FILE).chain(hooks::IN_A_FILE) {
        assert_eq!(told(&[("config.toml", text)]), *words, "{text}");
    }
}

#[test]
fn what_two_files_say_twice_is_told_with_both_places() {
    let main = "[accounts.mail]\nprovider = 'google'\nclient_id = 'x'\n\
                [[listen]]\npath = '/a'\naccounts = ['mail']\n";
    let drop_in = "# again\n\n  [accounts.mail]\nprovider = 'google'\n\
                   [[listen]]\npath = '/a'\naccounts = ['mail', 'mali']\n";
    assert_eq!(
        told(&[("config.toml", main), ("config.d/10-mail.toml", drop_in)]),
        [
            "config.d/10-mail.toml:3:13: accounts.mail: configured twice; the first is at \
             config.toml:1:11",
            "config.d/10-mail.toml:6:8: listen[0].path: configured twice; the first is at \
             config.toml:5:8",
            "config.d/10-mail.toml:7:21: listen[0].accounts[1]: expected the name of a configured \
             account; did you mean \"mail\"?",
        ]
    );
}

#[test]
fn a_broken_account_is_broken_once_and_not_unknown_besides() {
    let text = "[accounts.mail]\nprovider = 'google'\n\
                [[listen]]\npath = '/a'\naccounts = ['mail']\n";
    let again = "[accounts.mail]\nprovider = 'gogle'\n";
    assert_eq!(
        told(&[("a.toml", text), ("b.toml", again)]),
        [
            "a.toml:1:11: accounts.mail.client_id: missing; expected the identifier of the \
             client, a string",
            "b.toml:1:11: accounts.mail: configured twice; the first is at a.toml:1:11",
        ]
    );
}

/// An account that a torn file may have had is not called unknown.
#[test]
fn a_file_that_is_no_toml_does_not_hide_the_errors_of_the_others_nor_make_new_ones() {
    let torn = "[accounts.ci]\nclient_id = \n";
    let other = "[[listen]]\npath = '/a'\naccounts = ['ci']\nmode = 1\n";
    assert_eq!(
        told(&[("a.toml", torn), ("b.toml", other)]),
        [
            "a.toml:2:13: string values must be quoted, expected literal string",
            "b.toml:4:8: listen[0].mode: expected an octal mode in quotes such as \"0660\", found \
             a number",
        ]
    );
}

#[test]
fn a_file_that_is_no_configuration_at_all_is_answered_with_a_bounded_text() {
    let file = File { name: "x".into(), text: "= \n".repeat(5_000) };
    let defaults = Defaults::below(Path::new("/run"), Path::new("/var/lib"));
    let invalid = Config::parse(&[file], Mode::System, defaults).err().unwrap();
    let text = invalid.to_string();
    assert_eq!(text.lines().count(), 201);
    assert!(text.ends_with(" more"), "{text}");
}

fn told(files: &[(&str, &str)]) -> Vec<String> {
    let file = |(name, text): &(&str, &str)| File { name: (*name).into(), text: (*text).into() };
    let files = files.iter().map(file).collect::<Vec<_>>();
    let defaults = Defaults::below(Path::new("/run"), Path::new("/var/lib"));
    match Config::parse(&files, Mode::System, defaults) {
        Ok(_) => Vec::new(),
        Err(invalid) => invalid.complaints.iter().map(ToString::to_string).collect(),
    }
}
