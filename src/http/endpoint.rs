//! An endpoint: a path, its method and handler, and their description, in one value. The service mounts the endpoints,
//! and the OpenAPI document describes the same endpoints, so the two cannot differ.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::guard::{self, GuardContext};
use actix_web::{FromRequest, Handler, Resource, Responder, Route, web};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::openapi::path::ParameterIn;
use utoipa::{IntoParams, ToSchema};

use super::problem::method_not_allowed;
use super::problem::{Code, Document};
use crate::domain::Scope;

/// What a request with a user token can be refused with.
const TOKEN_REFUSALS: [Code; 6] = [
    Code::InvalidAuthHeader,
    Code::NoAuthProvider,
    Code::Unauthenticated,
    Code::UserDeleted,
    Code::KeysUnavailable,
    Code::DatabaseUnavailable,
];
/// What a request with a service key can be refused with.
const SERVICE_KEY_REFUSALS: [Code; 4] =
    [Code::InvalidAuthHeader, Code::Unauthenticated, Code::InsufficientScope, Code::DatabaseUnavailable];

/// The methods that an endpoint takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Methods {
    /// GET, and HEAD for probes.
    Read,
    /// GET without HEAD: a stream, which stays open.
    Stream,
    /// POST.
    Post,
    /// All methods, at the path and at every path below it.
    Any,
}

/// One operation of the API. Its path, methods and handler are mounted; the rest is for the document.
pub(super) struct Endpoint {
    path: &'static str,
    methods: Methods,
    /// The first route whose guards fit answers.
    routes: Vec<Route>,
    operation_id: &'static str,
    tag: &'static str,
    summary: &'static str,
    description: Option<&'static str>,
    security: Vec<Value>,
    parameters: Vec<Value>,
    body: Option<Value>,
    responses: BTreeMap<u16, Value>,
    refusals: BTreeMap<u16, BTreeSet<Code>>,
    schemas: BTreeMap<String, Value>,
}

/// The path of the endpoint that a request has reached, among the data of the request.
#[derive(Clone, Copy, Debug)]
pub(super) struct RoutePattern(pub(super) &'static str);

impl Methods {
    fn route(self) -> Route {
        match self {
            Self::Read => web::route().guard(guard::Any(guard::Get()).or(guard::Head())),
            Self::Stream => web::get(),
            Self::Post => web::post(),
            Self::Any => web::route(),
        }
    }

    /// The method in the document. HEAD is not there: it has the same answers as GET.
    fn documented(self) -> &'static str {
        match self {
            Self::Read | Self::Stream | Self::Any => "get",
            Self::Post => "post",
        }
    }

    /// For the `Allow` header.
    fn allowed(self) -> &'static str {
        match self {
            Self::Read => "GET, HEAD",
            Self::Stream => "GET",
            Self::Post => "POST",
            Self::Any => "",
        }
    }
}

impl Endpoint {
    /// An endpoint with the id of its operation and its handler.
    pub(super) fn new<F, Args>(
        methods: Methods,
        path: &'static str,
        operation_id: &'static str,
        handler: F,
    ) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        let endpoint = Self {
            path,
            methods,
            routes: vec![methods.route().to(handler)],
            operation_id,
            tag: "",
            summary: "",
            description: None,
            security: Vec::new(),
            parameters: Vec::new(),
            body: None,
            responses: BTreeMap::new(),
            refusals: BTreeMap::new(),
            schemas: BTreeMap::new(),
        };
        // The rate limit is in front of the whole scope.
        let limited: &[Code] = if path.starts_with("/v1/") { &[Code::TooManyRequests] } else { &[] };
        endpoint.schema::<Document>().refuses(&[Code::Internal]).refuses(limited)
    }

    /// Lets another handler answer the requests for which a condition holds.
    pub(super) fn with_alternative<F, Args>(
        mut self,
        condition: fn(&GuardContext<'_>) -> bool,
        handler: F,
    ) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        let route = self.methods.route().guard(guard::fn_guard(condition)).to(handler);
        self.routes.insert(0, route);
        self
    }

    /// The group in the document, and what the endpoint does, in one line.
    pub(super) fn about(self, tag: &'static str, summary: &'static str) -> Self {
        Self { tag, summary, ..self }
    }

    /// More about the endpoint, in whole sentences.
    pub(super) fn description(self, description: &'static str) -> Self {
        Self { description: Some(description), ..self }
    }

    /// Takes the token of a user.
    pub(super) fn for_users(mut self) -> Self {
        self.security.push(json!({"userToken": []}));
        self.refuses(&TOKEN_REFUSALS)
    }

    /// Takes a service key with this scope.
    pub(super) fn for_services(mut self, scope: Scope) -> Self {
        self.security.push(json!({"serviceKey": [scope.as_str()]}));
        self.refuses(&SERVICE_KEY_REFUSALS)
    }

    /// Takes the query parameters of a type.
    pub(super) fn query<T: IntoParams>(mut self) -> Self {
        self.parameters.extend(T::into_params(|| Some(ParameterIn::Query)).iter().map(to_json));
        self.refuses(&[Code::InvalidQuery])
    }

    /// Takes no query parameters.
    pub(super) fn without_parameters(self) -> Self {
        self.refuses(&[Code::InvalidQuery])
    }

    /// Takes a parameter, in the words of the document.
    pub(super) fn parameter(mut self, parameter: Value) -> Self {
        self.parameters.push(parameter);
        self
    }

    /// Takes a body, in the words of the document.
    pub(super) fn body(self, body: Value) -> Self {
        Self { body: Some(body), ..self }
    }

    /// Answers with a JSON body of this type.
    pub(super) fn answers<T: ToSchema>(self, status: u16, description: &str) -> Self {
        let content = json!({"application/json": {"schema": reference("schemas", &T::name())}});
        self.schema::<T>().answers_with(status, description, json!({"content": content}))
    }

    /// Answers with anything else: the `content` and `headers`, in the words of the document.
    pub(super) fn answers_with(mut self, status: u16, description: &str, mut response: Value) -> Self {
        response["description"] = json!(description);
        self.responses.insert(status, response);
        self
    }

    /// Adds the schema of a type, and of the types in it.
    pub(super) fn schema<T: ToSchema>(mut self) -> Self {
        let mut schemas = vec![(T::name().into_owned(), T::schema())];
        T::schemas(&mut schemas);
        self.schemas.extend(schemas.into_iter().map(|(name, schema)| (name, to_json(&schema))));
        self
    }

    /// Adds a schema in the words of the document.
    pub(super) fn named_schema(mut self, name: &str, schema: Value) -> Self {
        self.schemas.insert(name.to_owned(), schema);
        self
    }

    /// Adds schemas in the words of the document.
    pub(super) fn named_schemas(self, schemas: Vec<(&str, Value)>) -> Self {
        schemas.into_iter().fold(self, |endpoint, (name, schema)| endpoint.named_schema(name, schema))
    }

    /// Can refuse a request with these codes.
    pub(super) fn refuses(mut self, codes: &[Code]) -> Self {
        for code in codes {
            self.refusals.entry(code.meaning().status).or_default().insert(*code);
        }
        self
    }

    /// Can refuse a request with these codes, but with this status.
    pub(super) fn refuses_as(mut self, status: u16, codes: &[Code]) -> Self {
        for refused in self.refusals.values_mut() {
            refused.retain(|code| !codes.contains(code));
        }
        self.refusals.retain(|_, refused| !refused.is_empty());
        self.refusals.entry(status).or_default().extend(codes);
        self
    }

    pub(super) fn path(&self) -> &'static str {
        self.path
    }

    pub(super) fn method(&self) -> &'static str {
        self.methods.documented()
    }

    pub(super) fn schemas(&self) -> &BTreeMap<String, Value> {
        &self.schemas
    }

    /// The operation object of the document.
    pub(super) fn operation(&self) -> Value {
        let mut responses = self.responses.clone();
        responses.extend(self.refusals.iter().map(|(status, codes)| (*status, refusal(codes))));
        for response in responses.values_mut() {
            response["headers"]["X-Request-Id"] = reference("headers", "X-Request-Id");
        }
        let mut operation = json!({
            "operationId": self.operation_id,
            "tags": [self.tag],
            "summary": self.summary,
            "security": self.security,
            "parameters": self.parameters,
            "responses": responses.iter().map(|(status, response)| (status.to_string(), response)).collect::<BTreeMap<_, _>>(),
        });
        if let Some(description) = self.description {
            operation["description"] = json!(description);
        }
        if let Some(body) = &self.body {
            operation["requestBody"] = body.clone();
        }
        operation
    }
}

/// Mounts endpoints of one path below a prefix that is not part of it. Other methods are refused, with an `Allow`
/// header.
pub(super) fn resource(prefix: &str, endpoints: Vec<Endpoint>) -> Resource {
    let pattern = endpoints.first().map_or("", |endpoint| endpoint.path);
    let path = pattern.strip_prefix(prefix).unwrap_or(pattern).to_owned();
    let takes_any = endpoints.iter().any(|endpoint| endpoint.methods == Methods::Any);
    let allowed: Vec<&str> = endpoints.iter().map(|endpoint| endpoint.methods.allowed()).collect();
    let allowed = allowed.join(", ");
    let paths = if takes_any { vec![format!("{path}/{{below:.*}}"), path] } else { vec![path] };
    let resource = endpoints
        .into_iter()
        .flat_map(|endpoint| endpoint.routes)
        .fold(web::resource(paths), Resource::route)
        .app_data(RoutePattern(pattern));
    if takes_any {
        return resource;
    }
    resource.default_service(web::to(move || {
        let allowed = allowed.clone();
        async move { method_not_allowed(&allowed) }
    }))
}

/// A reference to a component of the document.
pub(super) fn reference(kind: &str, name: &str) -> Value {
    json!({"$ref": format!("#/components/{kind}/{name}")})
}

/// The response object of refusals with one status.
fn refusal(codes: &BTreeSet<Code>) -> Value {
    let names: Vec<&str> = codes.iter().map(|code| code.name()).collect();
    let titles = codes.iter().map(|code| format!("`{}`: {}", code.name(), code.meaning().title));
    let schema = json!({
        "allOf": [
            reference("schemas", &Document::name()),
            {"type": "object", "required": ["code"], "properties": {"code": {"type": "string", "enum": names}}},
        ],
    });
    let mut headers = json!({});
    if codes.iter().any(|code| code.retry_after().is_some()) {
        headers["Retry-After"] = reference("headers", "Retry-After");
    }
    if codes.iter().any(|code| code.has_challenge()) {
        headers["WWW-Authenticate"] = reference("headers", "WWW-Authenticate");
    }
    json!({
        "description": titles.collect::<Vec<_>>().join("; "),
        "content": {"application/problem+json": {"schema": schema}},
        "headers": headers,
    })
}

/// The types of `utoipa` are plain data, so serialization cannot fail.
fn to_json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}
