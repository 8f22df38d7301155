//! The daemon's HTTP API, under `/v1`. What there is says `/v1/openapi.json`, which is made of the
//! functions here.
//!
//! Answers are JSON but for streams and metrics; a refusal has the status 400, or another that HTTP has for
//! what is wrong with a request, and `{"error": "…"}`.

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
use crate::protocol::{
    Answer, Changes, Crash, ElementStatus, Happening, Lanes, LogPiece, Request, Shares, TenantLane,
    Text,
};

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
        .routes(routes!(kill))
        .routes(routes!(log))
        .routes(routes!(elements))
        .routes(routes!(crashes))
        .routes(routes!(instance_metrics))
        .routes(routes!(read, write))
        .routes(routes!(capture))
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

/// Asks the lane of an instance.
async fn ask(daemon: &Daemon, instance: &str, request: Request) -> Result<Answer, String> {
    let (tenant, _) = daemon.owner(instance).await?;
    daemon.lanes.ask(&tenant, request).await
}

/// What a lane says that answers something else than it was asked.
fn strange() -> String {
    "the lane answers something else".into()
}

/// Ends an instance at once; it is replaced as after any other end.
#[utoipa::path(
    post,
    path = "/v1/instances/{name}/kill",
    params(("name" = String, Path, description = "The instance.")),
    responses((status = 200, body = Changes), (status = 400, body = Refusal))
)]
async fn kill(State(daemon): Held, Path(instance): Path<String>) -> Response {
    let request = Request::Kill {
        instance: instance.clone(),
    };
    let killed = ask(&daemon, &instance, request).await;
    answer(killed.map(|_| Changes {
        changes: vec![format!("killed {instance}")],
    }))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct From {
    /// The first byte, counted from the first that was ever written.
    #[serde(default)]
    from: u64,
}

/// What an instance wrote to its console, from a byte on.
#[utoipa::path(
    get,
    path = "/v1/instances/{name}/log",
    params(("name" = String, Path, description = "The instance."), From),
    responses((status = 200, body = LogPiece), (status = 400, body = Refusal))
)]
async fn log(
    State(daemon): Held,
    Path(instance): Path<String>,
    Query(From { from }): Query<From>,
) -> Response {
    let request = Request::Logs {
        instance: instance.clone(),
        from,
    };
    answer(match ask(&daemon, &instance, request).await {
        Ok(Answer::Logs(piece)) => Ok(piece),
        Ok(_) => Err(strange()),
        Err(error) => Err(error),
    })
}

/// What the elements of an instance have counted.
#[utoipa::path(
    get,
    path = "/v1/instances/{name}/elements",
    params(("name" = String, Path, description = "The instance.")),
    responses((status = 200, body = Vec<ElementStatus>), (status = 400, body = Refusal))
)]
async fn elements(State(daemon): Held, Path(instance): Path<String>) -> Response {
    let request = Request::Elements {
        instance: instance.clone(),
    };
    answer(match ask(&daemon, &instance, request).await {
        Ok(Answer::Elements(elements)) => Ok(elements),
        Ok(_) => Err(strange()),
        Err(error) => Err(error),
    })
}

/// How an instance ended so far, newest first: the last sixteen times.
#[utoipa::path(
    get,
    path = "/v1/instances/{name}/crashes",
    params(("name" = String, Path, description = "The instance.")),
    responses((status = 200, body = Vec<Crash>), (status = 400, body = Refusal))
)]
async fn crashes(State(daemon): Held, Path(instance): Path<String>) -> Response {
    if let Err(error) = daemon.owner(&instance).await {
        return refuse(StatusCode::BAD_REQUEST, error);
    }
    let folder = daemon.lanes.folders.crashes();
    let read = move || super::crashes::read(&folder, &instance);
    let read = tokio::task::spawn_blocking(read).await;
    answer(read.map_err(|error| error.to_string()))
}

/// What an instance counts, and the host for it, as Prometheus text.
#[utoipa::path(
    get,
    path = "/v1/instances/{name}/metrics",
    params(("name" = String, Path, description = "The instance.")),
    responses(
        (status = 200, body = String, content_type = "text/plain"),
        (status = 400, body = Refusal)
    )
)]
async fn instance_metrics(State(daemon): Held, Path(instance): Path<String>) -> Response {
    let request = Request::Metrics {
        instance: instance.clone(),
    };
    match ask(&daemon, &instance, request).await {
        Ok(Answer::Text(text)) => prometheus(text),
        Ok(_) => refuse(StatusCode::BAD_REQUEST, strange()),
        Err(error) => refuse(StatusCode::BAD_REQUEST, error),
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Parameters {
    /// What the handler is given.
    #[serde(default)]
    parameters: String,
}

/// Reads a handler.
#[utoipa::path(
    get,
    path = "/v1/instances/{name}/handlers/{handler}",
    params(
        ("name" = String, Path, description = "The instance."),
        ("handler" = String, Path, description = "The handler, such as ELEMENT.HANDLER."),
        Parameters
    ),
    responses((status = 200, body = Text), (status = 400, body = Refusal))
)]
async fn read(
    State(daemon): Held,
    Path((instance, handler)): Path<(String, String)>,
    Query(Parameters { parameters }): Query<Parameters>,
) -> Response {
    let request = Request::Read {
        instance: instance.clone(),
        handler,
        parameters,
    };
    text(ask(&daemon, &instance, request).await)
}

fn text(result: Result<Answer, String>) -> Response {
    answer(match result {
        Ok(Answer::Text(text)) => Ok(Text { text }),
        Ok(_) => Err(strange()),
        Err(error) => Err(error),
    })
}

/// Writes a handler.
#[utoipa::path(
    put,
    path = "/v1/instances/{name}/handlers/{handler}",
    params(
        ("name" = String, Path, description = "The instance."),
        ("handler" = String, Path, description = "The handler, such as ELEMENT.HANDLER.")
    ),
    request_body = String,
    responses((status = 200, body = Text), (status = 400, body = Refusal))
)]
async fn write(
    State(daemon): Held,
    Path((instance, handler)): Path<(String, String)>,
    value: String,
) -> Response {
    let request = Request::Write {
        instance: instance.clone(),
        handler,
        value,
    };
    text(ask(&daemon, &instance, request).await)
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every resource, as docs/edge.md names them.
    #[test]
    fn the_document_has_every_resource_that_the_manual_names_and_no_other() {
        let (_, document) = described();
        let document = serde_json::to_value(document).expect("JSON");
        let mut described = BTreeSet::new();
        for (path, methods) in document["paths"].as_object().expect("paths") {
            for method in methods.as_object().expect("methods").keys() {
                described.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
        let manual = include_str!("../../../../docs/edge.md");
        let mut named = BTreeSet::new();
        for line in manual.lines().filter_map(|line| line.strip_prefix("| `")) {
            let Some((requests, _)) = line.split_once(" | ") else {
                continue;
            };
            let (methods, path) = requests.rsplit_once(' ').unwrap_or(("", requests));
            let path = path.trim_matches('`').split('?').next().unwrap_or_default();
            if let ("/v1/openapi.json", _) | (_, false) = (path, path.starts_with("/v1")) {
                continue;
            }
            let path = path
                .replace("NAME", "{name}")
                .replace("HANDLER", "{handler}");
            for method in methods.split(", ") {
                named.insert(format!("{} {path}", method.trim_matches('`')));
            }
        }
        assert_eq!(described, named);
    }

    /// OpenAPI 3.1, sections 4.8.10, 4.8.12 and 4.8.17.
    #[test]
    fn operations_have_names_of_their_own_parameters_a_place_and_responses_a_description() {
        let (_, document) = described();
        let document = serde_json::to_value(document).expect("JSON");
        let mut names = BTreeSet::new();
        for (path, methods) in document["paths"].as_object().expect("paths") {
            for operation in methods.as_object().expect("methods").values() {
                for parameter in operation["parameters"].as_array().into_iter().flatten() {
                    let name = parameter["name"].as_str().expect("a name");
                    let in_path = path.contains(&format!("{{{name}}}"));
                    let place = if in_path { "path" } else { "query" };
                    assert_eq!(parameter["in"], place, "{path}: {name}");
                    // Whatever is not in the path may be left out.
                    assert_eq!(parameter["required"], in_path, "{path}: {name}");
                }
                let name = operation["operationId"].as_str().expect("a name");
                assert!(names.insert(name.to_string()), "{name}");
                let responses = operation["responses"].as_object().expect("responses");
                assert!(responses.contains_key("default") && responses.contains_key("200"));
                for response in responses.values() {
                    let words = response["description"].as_str().expect("words");
                    assert!(!words.is_empty(), "{operation}");
                }
            }
        }
        assert!(names.len() > 15, "{names:?}");
    }

    #[test]
    fn whatever_the_document_refers_to_is_in_it() {
        let (_, document) = described();
        let document = serde_json::to_value(document).expect("JSON");
        let mut open = vec![&document];
        let mut references = 0;
        while let Some(value) = open.pop() {
            if let Some(reference) = value.get("$ref").and_then(|value| value.as_str()) {
                let pointer = reference.strip_prefix('#').expect("in this document");
                assert!(document.pointer(pointer).is_some(), "{reference}");
                references += 1;
            }
            match value {
                serde_json::Value::Object(fields) => open.extend(fields.values()),
                serde_json::Value::Array(items) => open.extend(items),
                _ => {}
            }
        }
        assert!(references > 10, "{references}");
    }
}
