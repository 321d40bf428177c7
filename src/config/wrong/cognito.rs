//! Accounts of user pools that are wrong.

/// Files that are wrong, and all that is said of each.
#[rustfmt::skip]
pub(super) const IN_A_FILE: &[(&str, &[&str])] = &[
    ("[accounts.heat]\nprovider = \"cognito\"\n", &[
        r#"config.toml:1:11: accounts.heat.region: missing; expected the name of a region such as "eu-central-1""#,
        "config.toml:1:11: accounts.heat.client_id: missing; expected the identifier of the app client, a string",
        "config.toml:1:11: accounts.heat.username: missing; expected the name of a user, a string",
    ]),
    ("[accounts.heat]\nprovider = \"quilt\"\n", &[
        "config.toml:1:11: accounts.heat.email: missing; expected the user's e-mail address, a string",
    ]),
    ("[accounts.heat]\nprovider = \"quilt\"\nemail = \"  \"\n", &[
        "config.toml:3:9: accounts.heat.email: expected the user's e-mail address, a string, found an empty string",
    ]),
    ("[accounts.heat]\nprovider = \"quilt\"\nemail = \"pat@example.org\"\nusername = \"pat\"\n", &[
        "config.toml:4:1: accounts.heat.username: email and username exclude each other; keep one of them",
    ]),
    ("[accounts.heat]\nprovider = \"quilt\"\nemail = \"pat@example.org\"\nregion = \"Frankfurt\"\n", &[
        r#"config.toml:4:10: accounts.heat.region: expected the name of a region such as "eu-central-1""#,
    ]),
    ("[accounts.heat]\nprovider = \"quilt\"\nemail = \"pat@example.org\"\nregion = \"eu-west-1.evil.example/\"\n", &[
        r#"config.toml:4:10: accounts.heat.region: expected the name of a region such as "eu-central-1""#,
    ]),
    ("[accounts.heat]\nprovider = \"quilt\"\nemail = \"pat@example.org\"\nregion = \"eu-west-1\"\nendpoint = \"https://pool.example\"\n", &[
        "config.toml:5:1: accounts.heat.endpoint: region and endpoint exclude each other; keep one of them",
    ]),
    ("[accounts.heat]\nprovider = \"quilt\"\nemail = \"pat@example.org\"\nendpoint = \"http://pool.example\"\n", &[
        r#"config.toml:4:12: accounts.heat.endpoint: plain http goes to this host only; expected "https://…""#,
    ]),
    ("[accounts.heat]\nprovider = \"quilt\"\nemail = \"pat@example.org\"\npassword = \"hunter2\"\nauth_flow = \"password\"\n", &[
        "config.toml:4:12: accounts.heat.password: a secret does not belong in the configuration; type: tokenctl secret set heat.password",
    ]),
    ("[accounts.heat]\nprovider = \"quilt\"\nemail = \"pat@example.org\"\npassword = { credential = \"a\" }\n", &[
        r#"config.toml:4:1: accounts.heat.password: a login by code takes no password; it is for auth_flow = "password""#,
    ]),
    ("[accounts.heat]\nprovider = \"quilt\"\nemail = \"pat@example.org\"\nauth_flow = \"srp\"\n", &[
        r#"config.toml:4:13: accounts.heat.auth_flow: expected "custom" or "password""#,
    ]),
    ("[accounts.heat]\nprovider = \"quilt\"\nemail = \"pat@example.org\"\nclient_auth = \"basic\"\n", &[
        r#"config.toml:4:15: accounts.heat.client_auth: expected "secret-hash" or "none""#,
    ]),
    ("[accounts.heat]\nprovider = \"quilt\"\nemail = \"pat@example.org\"\nclient_auth = \"none\"\nclient_secret = { credential = \"a\" }\n", &[
        r#"config.toml:4:15: accounts.heat.client_auth: "none" and a client_secret exclude each other; expected "secret-hash", or no client_secret"#,
    ]),
    ("[accounts.heat]\nprovider = \"quilt\"\nemail = \"pat@example.org\"\nrotation = \"30s\"\nrefresh_operation = \"initiate-auth\"\n", &[
        r#"config.toml:5:21: accounts.heat.refresh_operation: a pool that rotates refuses "initiate-auth"; expected "get-tokens", or rotation = "none""#,
    ]),
    ("[accounts.heat]\nprovider = \"quilt\"\nemail = \"pat@example.org\"\nrefresh_operation = \"get_tokens\"\n", &[
        r#"config.toml:4:21: accounts.heat.refresh_operation: expected "initiate-auth" or "get-tokens"; did you mean "get-tokens"?"#,
    ]),
    ("[accounts.heat]\nprovider = \"quilt\"\nemail = \"pat@example.org\"\nrotation = 30\n", &[
        r#"config.toml:4:12: accounts.heat.rotation: expected "unknown", "none", "strict" or a duration such as "30s", found a number"#,
    ]),
    ("[accounts.heat]\nprovider = \"quilt\"\nemail = \"pat@example.org\"\nissuer = \"https://idp.example\"\n", &[
        r#"config.toml:4:1: accounts.heat.issuer: unknown key; known here are "alarm_before", "allow", "auth_flow", "ca_file", "client_auth", "client_id", "client_secret", "email", "endpoint", "expiry_ahead", "hooks", "on_refresh_failure", "password", "plain_http", "provider", "refresh_before", "refresh_operation", "refresh_token_idle", "refresh_token_lifetime", "region", "rotation", "token" and "username""#,
    ]),
];
