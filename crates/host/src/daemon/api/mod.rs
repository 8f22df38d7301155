//! The daemon's HTTP API, under `/v1`. What there is says `/v1/openapi.json`, which is made of the
//! functions here.
//!
//! Answers are JSON but for streams and metrics; a refusal has the status 400, or another that HTTP has for
//! what is wrong with a request, and `{"error": "…"}`.

mod instances;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{DefaultBodyLimit, Path, Query, Request as Call, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;
use utoipa::openapi::{Content, Ref, RefOr, ResponseBuilder};
use utoipa::{IntoParams, OpenApi, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::stream::Stream;
use super::{Daemon, metrics};
use crate::desired::Desired;
use crate::protocol::{Changes, Happening, Lanes, Shares, TenantLane};

/// Most bytes of a request.
const BODY_LIMIT: usize = 32 << 20;

/// Most bytes of what was wrong with a request.
const REASON_LIMIT: usize = 64 << 10;

type Held = State<Arc<Daemon>>;

/// Keeps what was declared running. Access: whoever may write to the socket may do everything.
#[derive(OpenApi)]
#[openapi(info(title = "sprat daemon"))]
struct Document;

fn routes() -> OpenApiRouter<Arc<Daemon>> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(version))
        .routes(routes!(declared, declare))
        .routes(routes!(status))
        .routes(routes!(all_metrics))
        .routes(routes!(events))
        .routes(routes!(steer))
        .routes(routes!(stop))
        .routes(routes!(start))
        .routes(routes!(capture))
        .merge(instances::routes())
}

/// What the document says of a refusal.
const REFUSED: &str = "Refused, and why.";

/// The resources, and the document that describes them.
fn described() -> (Router<Arc<Daemon>>, utoipa::openapi::OpenApi) {
    let (router, mut document) = routes().split_for_parts();
    // Whatever is asked for may be asked for wrongly.
    let refused = ResponseBuilder::new()
        .description(REFUSED)
        .content(
            "application/json",
            Content::new(Some(Ref::from_schema_name("Refusal"))),
        )
        .build();
    for path in document.paths.paths.values_mut() {
        let operations = [&mut path.get, &mut path.put, &mut path.post];
        for operation in operations.into_iter().flatten() {
            let responses = &mut operation.responses.responses;
            // OpenAPI asks for words about each.
            for (status, response) in responses.iter_mut() {
                if let RefOr::T(response) = response {
                    response.description = match status.as_str() {
                        "200" => operation.summary.clone().unwrap_or_default(),
                        _ => REFUSED.into(),
                    };
                }
            }
            responses.insert("default".into(), refused.clone().into());
        }
    }
    (router, document)
}

pub(super) fn router(daemon: Arc<Daemon>) -> Router {
    let (router, document) = described();
    router
        .route("/v1/openapi.json", get(async move || Json(document)))
        .fallback(unknown)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(from_fn(refuse_in_json))
        .layer(from_fn(refuse_what_is_too_long))
        .with_state(daemon)
}

/// Why something was refused.
#[derive(Serialize, ToSchema)]
struct Refusal {
    error: String,
}

fn answer<T: Serialize>(result: Result<T, String>) -> Response {
    match result {
        Ok(value) => Json(value).into_response(),
        Err(error) => refuse(StatusCode::BAD_REQUEST, error),
    }
}

fn refuse(status: StatusCode, error: String) -> Response {
    (status, Json(Refusal { error })).into_response()
}

/// Refuses what says itself that it is longer than anything may be, rather than wait for it.
async fn refuse_what_is_too_long(call: Call, next: Next) -> Response {
    let length = call.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > BODY_LIMIT as u64) {
        let error = format!("expected at most {BODY_LIMIT} bytes");
        return refuse(StatusCode::PAYLOAD_TOO_LARGE, error);
    }
    next.run(call).await
}

/// Says in JSON what was wrong with a request that no function here has seen.
async fn refuse_in_json(call: Call, next: Next) -> Response {
    let answer = next.run(call).await;
    let status = answer.status();
    let kind = answer.headers().get(header::CONTENT_TYPE);
    let is_json = kind.is_some_and(|kind| kind == "application/json");
    if is_json || !(status.is_client_error() || status.is_server_error()) {
        return answer;
    }
    let (head, body) = answer.into_parts();
    let text = match to_bytes(body, REASON_LIMIT).await {
        Ok(text) if !text.is_empty() => String::from_utf8_lossy(&text).into_owned(),
        _ => status
            .canonical_reason()
            .unwrap_or("refused")
            .to_lowercase(),
    };
    let mut refusal = refuse(status, text);
    // Which methods there are.
    if let Some(allowed) = head.headers.get(header::ALLOW) {
        let headers = refusal.headers_mut();
        headers.insert(header::ALLOW, allowed.clone());
    }
    refusal
}

async fn unknown() -> Response {
    let error = "no such resource; /v1/openapi.json says what there is";
    refuse(StatusCode::NOT_FOUND, error.into())
}

/// The daemon.
#[derive(Serialize, ToSchema)]
struct Version {
    version: &'static str,
    /// Its process.
    pid: u32,
}

/// The daemon's version.
#[utoipa::path(get, path = "/v1/version", responses((status = 200, body = Version)))]
async fn version() -> Json<Version> {
    Json(Version {
        version: env!("CARGO_PKG_VERSION"),
        pid: std::process::id(),
    })
}

/// What is to run.
#[utoipa::path(get, path = "/v1/declared", responses((status = 200, body = Desired)))]
async fn declared(State(daemon): Held) -> Json<Desired> {
    Json(daemon.declared.lock().await.0.clone())
}

/// Declares what is to run from now on; the smallest change is made, or none.
#[utoipa::path(
    put,
    path = "/v1/declared",
    request_body = Desired,
    responses((status = 200, body = Changes), (status = 400, body = Refusal))
)]
async fn declare(State(daemon): Held, Json(desired): Json<Desired>) -> Response {
    // On a task of its own: whoever asked may go, and what was begun is still brought to its end.
    let declared = tokio::spawn(async move { daemon.declare(desired).await });
    answer(finish(declared).await)
}

async fn finish(
    task: tokio::task::JoinHandle<Result<Vec<String>, String>>,
) -> Result<Changes, String> {
    let changes = task.await.unwrap_or_else(|error| Err(error.to_string()))?;
    Ok(Changes { changes })
}

/// What runs, by lane.
#[utoipa::path(get, path = "/v1/status", responses((status = 200, body = Lanes)))]
async fn status(State(daemon): Held) -> Json<Lanes> {
    let lanes = daemon.status().await.into_iter();
    let lanes = lanes.map(|(tenant, status)| match status {
        Ok(status) => TenantLane {
            tenant,
            status: Some(status),
            error: None,
        },
        Err(error) => TenantLane {
            tenant,
            status: None,
            error: Some(error),
        },
    });
    Json(Lanes {
        lanes: lanes.collect(),
    })
}

/// What all lanes count, as Prometheus text.
#[utoipa::path(
    get,
    path = "/v1/metrics",
    responses((status = 200, body = String, content_type = "text/plain"))
)]
async fn all_metrics(State(daemon): Held) -> Response {
    prometheus(metrics::text(&daemon.status().await))
}

fn prometheus(text: String) -> Response {
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

/// What happens from now on, a line of JSON each.
#[utoipa::path(
    get,
    path = "/v1/events",
    responses((status = 200, body = Happening, content_type = "application/x-ndjson"))
)]
async fn events(State(daemon): Held) -> Response {
    match UnixStream::pair() {
        Ok((ours, theirs)) => {
            daemon.happenings.tell(ours);
            stream("application/x-ndjson", theirs)
        }
        Err(error) => refuse(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    }
}

fn stream(kind: &'static str, end: UnixStream) -> Response {
    ([(header::CONTENT_TYPE, kind)], Body::new(Stream(end))).into_response()
}

/// Changes the shares of functions at their place in a chain. Conversations that are under way stay
/// where they are.
#[utoipa::path(
    post,
    path = "/v1/steer",
    request_body = Shares,
    responses((status = 200, body = Changes), (status = 400, body = Refusal))
)]
async fn steer(State(daemon): Held, Json(Shares { shares }): Json<Shares>) -> Response {
    let change = tokio::spawn(async move {
        let amend = |desired: &mut Desired| desired.steer(&shares);
        daemon.amend(amend).await
    });
    answer(finish(change).await)
}

/// Has a function stop, until it is started or declared again.
#[utoipa::path(
    post,
    path = "/v1/functions/{name}/stop",
    params(("name" = String, Path, description = "The function.")),
    responses((status = 200, body = Changes), (status = 400, body = Refusal))
)]
async fn stop(held: Held, name: Path<String>) -> Response {
    set_stopped(held, name, true).await
}

/// Has a function run again.
#[utoipa::path(
    post,
    path = "/v1/functions/{name}/start",
    params(("name" = String, Path, description = "The function.")),
    responses((status = 200, body = Changes), (status = 400, body = Refusal))
)]
async fn start(held: Held, name: Path<String>) -> Response {
    set_stopped(held, name, false).await
}

async fn set_stopped(State(daemon): Held, Path(name): Path<String>, stopped: bool) -> Response {
    let change = tokio::spawn(async move {
        let amend = |desired: &mut Desired| {
            desired.known(&name)?;
            match stopped {
                true => desired.stopped.insert(name),
                false => desired.stopped.remove(&name),
            };
            Ok(())
        };
        daemon.amend(amend).await
    });
    answer(finish(change).await)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Count {
    /// How many; without it, until whoever reads them has gone.
    count: Option<u64>,
}

/// The frames that pass a port from now on, as a pcap capture. Those that nobody takes in time are
/// left out and counted.
#[utoipa::path(
    get,
    path = "/v1/ports/{name}/capture",
    params(
        ("name" = String, Path, description = "A port, or INSTANCE.DEVICE."),
        Count
    ),
    responses(
        (status = 200, body = Vec<u8>, content_type = "application/vnd.tcpdump.pcap"),
        (status = 400, body = Refusal)
    )
)]
async fn capture(
    State(daemon): Held,
    Path(port): Path<String>,
    Query(Count { count }): Query<Count>,
) -> Response {
    match daemon.capture(port, count).await {
        Ok(end) => stream("application/vnd.tcpdump.pcap", end),
        Err(error) => refuse(StatusCode::BAD_REQUEST, error),
    }
}
