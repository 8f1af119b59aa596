//! Which path is answered where, and what every request has in common: an id, a principal, a record.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Method, header};
use http_body_util::Full;
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::client_auth::Stranger;
use super::error::{ApiError, CROSS_ORIGIN_REFUSED, INVALID_API_KEY, Shape, UNKNOWN_URL};
use super::record::{Answer, Record, RecordedBody};
use super::{Door, annex, forward, health, models, tools};
use crate::config::Cors;
use crate::context::{Principal, RequestContext, RequestId};
use crate::provider::forward::REQUEST_ID_HEADER;

/// The header that browsers may read of an answer, besides the safe ones.
const EXPOSED: [header::HeaderName; 3] =
    [REQUEST_ID_HEADER, header::RETRY_AFTER, header::HeaderName::from_static("mcp-session-id")];

/// Where Anthropic's clients look for the request's id.
const ANTHROPICS_ID_HEADER: header::HeaderName = header::HeaderName::from_static("request-id");

/// What a path leads to.
#[derive(Clone, Copy)]
enum Endpoint {
    Models,
    Model,
    Forward,
    Messages,
    Tools,
    Invoke,
    Mcp,
    /// None of these.
    Nothing,
}

impl Endpoint {
    /// The router's patterns cannot say "anything below", without taking the path apart for every request.
    fn of(method: &Method, path: &str) -> Self {
        let reads = method == Method::GET || method == Method::HEAD;
        match path.strip_prefix("/v1/") {
            Some("models") if reads => Self::Models,
            Some(rest) if reads && rest.starts_with("models/") => Self::Model,
            Some(rest) if rest == "messages" || rest.starts_with("messages/") => Self::Messages,
            Some(_) => Self::Forward,
            None => match path {
                "/tools" => Self::Tools,
                "/tools/invoke" => Self::Invoke,
                "/mcp" => Self::Mcp,
                _ => Self::Nothing,
            },
        }
    }

    fn error_shape(self) -> Shape {
        match self {
            Self::Tools | Self::Invoke => Shape::Tool,
            Self::Messages => Shape::Anthropic,
            Self::Models | Self::Model | Self::Forward | Self::Mcp | Self::Nothing => Shape::OpenAi,
        }
    }
}

pub(super) fn router(door: Arc<Door>, cors: Option<&Cors>) -> Router {
    let router = Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .fallback(api)
        .with_state(door);
    match cors {
        Some(cors) => router.layer(cors_layer(cors)),
        None => router,
    }
}

fn cors_layer(cors: &Cors) -> CorsLayer {
    let origins = if cors.origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(cors.origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()))
    };
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST, Method::DELETE, Method::PUT, Method::PATCH])
        .allow_headers(tower_http::cors::AllowHeaders::mirror_request())
        .expose_headers(EXPOSED)
}

pub(super) fn unknown(request: &Parts) -> ApiError {
    let message = format!(
        "there is nothing at {} {}; the API is below /v1/, tools are at /tools and /mcp",
        request.method,
        request.uri.path()
    );
    ApiError::new(UNKNOWN_URL, message)
}

/// What all endpoints have in common. Dropping the future, because the client went away, drops the upstream's call and
/// writes the record.
async fn api(State(door): State<Arc<Door>>, request: Request) -> Response {
    let endpoint = Endpoint::of(request.method(), request.uri().path());
    let id = request.headers().get(&REQUEST_ID_HEADER).and_then(RequestId::from_client);
    let id = id.unwrap_or_else(RequestId::generate);
    let (shape, id_header) = (endpoint.error_shape(), id.header());
    let own_id = id.clone();
    let ctx = RequestContext { id, principal: Principal::Stranger, started: Instant::now() };
    let path = request.uri().path().to_owned();
    let mut record = Box::new(Record::begin(ctx.clone(), request.method().clone(), path, door.breaking_off.clone()));
    let answered = answer(endpoint, &door, ctx, &mut record, request).await;
    let mut response = answered.unwrap_or_else(|error| {
        record.note_error(error.code, error.message().to_owned());
        error.into_answer(shape, &own_id)
    });
    record.note_status(response.status());
    if shape == Shape::Anthropic {
        response.headers_mut().entry(ANTHROPICS_ID_HEADER).or_insert_with(|| id_header.clone());
    }
    response.headers_mut().insert(REQUEST_ID_HEADER, id_header);
    RecordedBody::new(response, record).map(Body::new)
}

async fn answer(
    endpoint: Endpoint,
    door: &Door,
    mut ctx: RequestContext,
    record: &mut Record,
    request: Request,
) -> Result<http::Response<Answer>, ApiError> {
    let (head, body) = request.into_parts();
    ctx.principal = door.admission.admit(&head).map_err(turned_away)?;
    record.note_principal(ctx.principal.clone());
    match endpoint {
        Endpoint::Models => Ok(models::list(door).await),
        Endpoint::Model => models::one(door, &head.uri).await,
        Endpoint::Forward | Endpoint::Messages => forward::forward(door, &ctx, record, head, body).await,
        Endpoint::Tools => tools::list(door, &head),
        Endpoint::Invoke => tools::invoke(door, &ctx, record, head, body).await,
        Endpoint::Mcp => annex::hand_over(door, &ctx, record, head, body).await,
        Endpoint::Nothing => Err(unknown(&head)),
    }
}

pub(super) fn turned_away(stranger: Stranger) -> ApiError {
    match stranger {
        Stranger::NoKey => ApiError::new(
            INVALID_API_KEY,
            "no API key was sent; send one of gateway.keys as `Authorization: Bearer KEY`",
        ),
        Stranger::WrongKey => ApiError::new(INVALID_API_KEY, "the API key is not one of Owl's gateway.keys"),
        Stranger::ForeignPage => ApiError::new(
            CROSS_ORIGIN_REFUSED,
            "web pages of this origin may not call Owl; add the origin to gateway.cors.origins to let them",
        ),
        Stranger::ForeignHost => ApiError::new(
            CROSS_ORIGIN_REFUSED,
            "without gateway.keys Owl answers only to localhost and to addresses, not to this Host; configure a key, \
             or let the proxy in front send `Host: localhost`",
        ),
    }
}

/// An answer of Owl's own in JSON.
pub(super) fn json(body: impl Into<Bytes>) -> http::Response<Answer> {
    let mut response = http::Response::new(Answer::Own(Full::new(body.into())));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
