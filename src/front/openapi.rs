//! `GET /v1/openapi.json`: the document of record, made from the router's table, the
//! parameters that the parsers know and the types that are written.

use bytes::Bytes;
use hyper::Method;
use hyper::Response;
use utoipa::ToSchema;
use utoipa::openapi::Components;
use utoipa::openapi::ComponentsBuilder;
use utoipa::openapi::ContentBuilder;
use utoipa::openapi::HttpMethod;
use utoipa::openapi::InfoBuilder;
use utoipa::openapi::Object;
use utoipa::openapi::ObjectBuilder;
use utoipa::openapi::OpenApiBuilder;
use utoipa::openapi::Paths;
use utoipa::openapi::Ref;
use utoipa::openapi::Required;
use utoipa::openapi::ResponseBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::path::OperationBuilder;
use utoipa::openapi::path::ParameterBuilder;
use utoipa::openapi::path::ParameterIn;
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::Type;

use crate::front::admin;
use crate::front::caller::Caller;
use crate::front::events;
use crate::front::query::Param;
use crate::front::query::Query;
use crate::front::query::Shape;
use crate::front::reply;
use crate::front::reply::Body;
use crate::front::reply::Refused;
use crate::front::router::ROUTES;
use crate::front::router::Route;
use crate::front::sessions;
use crate::front::token;
use crate::protocol::account::AccountList;
use crate::protocol::account::AccountView;
use crate::protocol::account::DoneAnswer;
use crate::protocol::account::HeaderView;
use crate::protocol::account::ImportRequest;
use crate::protocol::account::RefreshAnswer;
use crate::protocol::account::ReleaseAnswer;
use crate::protocol::account::ReportRequest;
use crate::protocol::account::SecretRequest;
use crate::protocol::account::TokenAnswer;
use crate::protocol::daemon::AccessView;
use crate::protocol::daemon::BackupAccount;
use crate::protocol::daemon::BackupRequest;
use crate::protocol::daemon::BackupView;
use crate::protocol::daemon::Finding;
use crate::protocol::daemon::ReloadView;
use crate::protocol::daemon::RuleView;
use crate::protocol::daemon::Severity;
use crate::protocol::daemon::StatusView;
use crate::protocol::daemon::WhoAmI;
use crate::protocol::error::ErrorBody;
use crate::protocol::error::ProviderErrorView;
use crate::protocol::event::EventView;
use crate::protocol::event::HookFailedView;
use crate::protocol::login::LoginRequest;
use crate::protocol::login::LoginView;
use crate::protocol::login::LogoutRequest;
use crate::protocol::login::PromptView;
use crate::protocol::login::SessionView;
use crate::protocol::login::SessionsView;

/// The text, as it was written at the start.
pub(super) fn document(
    caller: &Caller,
    query: Option<&str>,
) -> Result<Response<Body>, Box<Refused>> {
    Query::read(query, &[])?;
    Ok(reply::ok(reply::JSON, Body::of(caller.desk.openapi.clone())))
}

/// Writes the text.
///
/// # Errors
///
/// A document that cannot be written as JSON; ours can.
pub(super) fn text() -> Result<Bytes, serde_json::Error> {
    let mut paths = Paths::new();
    for (method, path, route) in ROUTES {
        let method = if method == Method::GET {
            HttpMethod::Get
        } else if method == Method::DELETE {
            HttpMethod::Delete
        } else {
            HttpMethod::Post
        };
        paths.add_path_operation(path, vec![method], operation(path, &about(*route)));
    }
    let info = InfoBuilder::new()
        .title("tokenkeeper")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "HTTP/1.1 on a local Unix socket. Who asks is what the kernel says of the peer; \
             there is no login. Errors are never 401.",
        ));
    let document = OpenApiBuilder::new()
        .info(info.build())
        .paths(paths)
        .components(Some(components()))
        .build();
    document.to_json().map(Bytes::from)
}

/// What the document says of one request.
struct About {
    /// Its right and what it does.
    says: &'static str,
    params: &'static [Param],
    request: Option<String>,
    answer: Answer,
}

/// What the answer to it is.
enum Answer {
    Json(String),
    /// JSON, or text on request.
    JsonOrText(String),
    Text(&'static str),
}

fn about(route: Route) -> About {
    let plain = |says, answer| About { says, params: &[], request: None, answer };
    let done = |says| plain(says, json::<DoneAnswer>());
    match route {
        Route::Accounts => {
            plain("The accounts that the peer may see (right: read)", json::<AccountList>())
        }
        Route::Account => plain("How an account stands (right: read)", json::<AccountView>()),
        Route::Token => About {
            says: "The current token (right: read). `ETag` is \"kind-generation\"; \
                   `If-None-Match` gives 304 while `min_ttl` holds, and with `wait` is a long poll",
            params: token::PARAMS,
            request: None,
            answer: Answer::JsonOrText(TokenAnswer::name().into_owned()),
        },
        Route::Refresh => About {
            says: "Refreshes now; one flight for all who ask (right: refresh)",
            params: &[token::WAIT],
            request: None,
            answer: json::<RefreshAnswer>(),
        },
        Route::Report => About {
            says: "Says that a token was rejected. It is refreshed only if it is still the \
                   current one (right: report)",
            params: &[token::WAIT],
            request: Some(ReportRequest::name().into_owned()),
            answer: json::<RefreshAnswer>(),
        },
        Route::Import => About {
            request: Some(ImportRequest::name().into_owned()),
            ..done("Takes over a refresh token, proven by one exchange (right: admin)")
        },
        Route::Login => About {
            says: "Begins a login, answers it, looks how it stands or cancels it (right: admin). \
                   Answered as soon as there is news",
            params: &[token::WAIT],
            request: Some(LoginRequest::name().into_owned()),
            answer: json::<LoginView>(),
        },
        Route::Logout => About {
            request: Some(LogoutRequest::name().into_owned()),
            ..done("Ends the login at the provider and forgets it (right: admin)")
        },
        Route::Sessions => {
            plain("The account's sessions at its provider (right: admin)", json::<SessionsView>())
        }
        Route::EndSessions => About {
            params: sessions::WHICH,
            ..done("Ends sessions at the provider (right: admin)")
        },
        Route::Secret => About {
            request: Some(SecretRequest::name().into_owned()),
            ..done("Seals one of the account's secrets into the store (right: admin)")
        },
        Route::Release => plain(
            "Freezes the account and hands its refresh token out, to whom it belongs from then \
             on; asked again, it answers again (right: admin, and through no narrowing socket)",
            json::<ReleaseAnswer>(),
        ),
        Route::Pause => done("Spends nothing until it is resumed (right: admin)"),
        Route::Resume => done("Ends a pause (right: admin)"),
        Route::Retry => done("Leaves a resting state and tries now (right: admin)"),
        Route::Backup => About {
            request: Some(BackupRequest::name().into_owned()),
            ..plain(
                "Seals everything that the store knows to age recipients (daemon admin, never \
                 through a narrowing socket)",
                json::<BackupView>(),
            )
        },
        Route::Purge => done(
            "Forgets all that the store holds of an account that is not configured (daemon admin)",
        ),
        Route::Credential => done("Forgets the credential (right: admin)"),
        Route::Access => About {
            params: admin::ACCESS,
            ..plain("Explains what a peer could do (right: admin)", json::<AccessView>())
        },
        Route::Events => About {
            says: "What happens, as server-sent events with EventView as data (right: read)",
            params: events::PARAMS,
            request: None,
            answer: Answer::Text("text/event-stream"),
        },
        Route::WhoAmI => plain("How the daemon sees the peer (no right needed)", json::<WhoAmI>()),
        Route::Status => plain("How the daemon is (no right needed)", json::<StatusView>()),
        Route::Reload => {
            plain("Reads the configuration again (daemon admin)", json::<ReloadView>())
        }
        Route::CheckConfig => {
            plain("Says what a reload would do (daemon admin)", json::<ReloadView>())
        }
        Route::Metrics => {
            plain("OpenMetrics text (daemon metrics)", Answer::Text("application/openmetrics-text"))
        }
        Route::OpenApi => {
            plain("This document (no right needed)", Answer::Text("application/json"))
        }
    }
}

fn json<T: ToSchema>() -> Answer {
    Answer::Json(T::name().into_owned())
}

fn operation(path: &str, about: &About) -> Operation {
    let text = || ObjectBuilder::new().schema_type(Type::String).build();
    let mut operation = OperationBuilder::new().summary(Some(about.says));
    if path.contains("{account}") {
        let account = ParameterBuilder::new()
            .name("account")
            .parameter_in(ParameterIn::Path)
            .required(Required::True)
            .description(Some(crate::name::ACCOUNT_NAME_RULE))
            .schema(Some(of_shape(Shape::Like(crate::name::ACCOUNT_NAME_PATTERN))));
        operation = operation.parameter(account.build());
    }
    for param in about.params {
        let parameter = ParameterBuilder::new()
            .name(param.name)
            .parameter_in(ParameterIn::Query)
            .required(Required::False)
            .description(Some(param.says))
            .schema(Some(of_shape(param.shape)));
        operation = operation.parameter(parameter.build());
    }
    if let Some(request) = &about.request {
        let body = RequestBodyBuilder::new()
            .required(Some(Required::True))
            .content("application/json", of_schema(request));
        operation = operation.request_body(Some(body.build()));
    }
    let ok = ResponseBuilder::new().description("Done");
    let plain = ContentBuilder::new().schema(Some(text())).build();
    let ok = match &about.answer {
        Answer::Json(name) => ok.content("application/json", of_schema(name)),
        Answer::JsonOrText(name) => {
            ok.content("application/json", of_schema(name)).content("text/plain", plain)
        }
        Answer::Text(content_type) => ok.content(*content_type, plain),
    };
    let error = ResponseBuilder::new()
        .description("Not satisfied; the status follows from `error_code`")
        .content("application/json", of_schema(&ErrorBody::name()));
    operation.response("200", ok.build()).response("default", error.build()).build()
}

fn of_shape(shape: Shape) -> Object {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let object = match shape {
        Shape::Text(longest) => text().min_length(Some(1)).max_length(Some(longest)),
        Shape::Whole(most) => {
            ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).maximum(Some(most))
        }
        Shape::Word(words) => text().enum_values(Some(words.iter().copied())),
        Shape::Like(pattern) => text().pattern(Some(pattern)),
    };
    object.build()
}

fn of_schema(name: &str) -> utoipa::openapi::Content {
    ContentBuilder::new().schema(Some(Ref::from_schema_name(name))).build()
}

fn components() -> Components {
    ComponentsBuilder::new()
        .schema_from::<AccessView>()
        .schema_from::<AccountList>()
        .schema_from::<AccountView>()
        .schema_from::<BackupAccount>()
        .schema_from::<BackupRequest>()
        .schema_from::<BackupView>()
        .schema_from::<DoneAnswer>()
        .schema_from::<ErrorBody>()
        .schema_from::<EventView>()
        .schema_from::<HookFailedView>()
        .schema_from::<Finding>()
        .schema_from::<HeaderView>()
        .schema_from::<ImportRequest>()
        .schema_from::<LoginRequest>()
        .schema_from::<LoginView>()
        .schema_from::<LogoutRequest>()
        .schema_from::<PromptView>()
        .schema_from::<ProviderErrorView>()
        .schema_from::<RefreshAnswer>()
        .schema_from::<ReleaseAnswer>()
        .schema_from::<ReloadView>()
        .schema_from::<ReportRequest>()
        .schema_from::<RuleView>()
        .schema_from::<SecretRequest>()
        .schema_from::<SessionView>()
        .schema_from::<SessionsView>()
        .schema_from::<Severity>()
        .schema_from::<StatusView>()
        .schema_from::<TokenAnswer>()
        .schema_from::<WhoAmI>()
        .build()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::front::login;
    use crate::front::orders;
    use crate::front::renew;

    #[test]
    fn the_document_has_exactly_the_routers_routes() {
        let document = document();
        let mut documented = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for method in item.as_object().unwrap().keys() {
                documented.insert((method.to_uppercase(), path.clone()));
            }
        }
        let routed =
            ROUTES.iter().map(|(method, path, _)| (method.to_string(), (*path).to_owned()));
        assert_eq!(documented, routed.collect());
    }

    #[test]
    fn it_is_openapi_3_1() {
        assert!(document()["openapi"].as_str().unwrap().starts_with("3.1."));
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document();
        let schemas = document["components"]["schemas"].as_object().unwrap();
        let mut references = Vec::new();
        collect(&document, &mut references);
        assert!(references.len() > 30, "{}", references.len());
        for reference in references {
            let name = reference.strip_prefix("#/components/schemas/").unwrap();
            assert!(schemas.contains_key(name), "{reference}");
        }
    }

    /// Bodies are read by hand; what is read must be what is documented.
    #[test]
    fn the_fields_that_are_read_are_the_fields_of_the_document() {
        let document = document();
        let cases = [
            (ReportRequest::name(), renew::REPORT),
            (ImportRequest::name(), orders::IMPORT),
            (LoginRequest::name(), login::LOGIN),
            (LogoutRequest::name(), orders::LOGOUT),
            (SecretRequest::name(), orders::SECRET),
            (BackupRequest::name(), admin::BACKUP),
        ];
        for (schema, read) in cases {
            let fields = &document["components"]["schemas"][schema.as_ref()]["properties"];
            let documented = fields.as_object().unwrap().keys().map(String::as_str);
            let read = read.iter().copied().collect::<BTreeSet<_>>();
            assert_eq!(documented.collect::<BTreeSet<_>>(), read, "{schema}");
        }
    }

    fn document() -> Value {
        serde_json::from_slice(&text().unwrap()).unwrap()
    }

    fn collect<'a>(value: &'a Value, references: &mut Vec<&'a str>) {
        match value {
            Value::Object(fields) => {
                references.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|value| collect(value, references));
            }
            Value::Array(items) => items.iter().for_each(|value| collect(value, references)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}
