//! The daemon's HTTP API, under `/v1`.
//!
//! | request | what |
//! |---|---|
//! | `GET /v1/version` | the daemon's version |
//! | `GET /v1/declared`, `PUT /v1/declared` | what is to run |
//! | `GET /v1/status` | what runs, by tenant |
//! | `POST /v1/functions/NAME/stop`, `/start` | has a function stop, or run again |
//! | `POST /v1/instances/NAME/kill` | ends an instance at once |
//! | `GET /v1/instances/NAME/log?from=N` | its console from a byte on |
//! | `GET` and `PUT /v1/instances/NAME/handlers/HANDLER` | reads or writes a handler |
//!
//! Answers are JSON; a refusal has the status 400 and `{"error": "…"}`.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Daemon;
use crate::desired::Desired;
use crate::protocol::{Answer, Request};

/// Most bytes of a request.
const BODY_LIMIT: usize = 32 << 20;

type Held = State<Arc<Daemon>>;

pub(super) fn router(daemon: Arc<Daemon>) -> Router {
    Router::new()
        .route("/v1/version", get(version))
        .route("/v1/declared", get(declared).put(declare))
        .route("/v1/status", get(status))
        .route("/v1/functions/{name}/stop", post(stop))
        .route("/v1/functions/{name}/start", post(start))
        .route("/v1/instances/{name}/kill", post(kill))
        .route("/v1/instances/{name}/log", get(log))
        .route(
            "/v1/instances/{name}/handlers/{handler}",
            get(read).put(write),
        )
        .fallback(unknown)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(daemon)
}

fn answer<T: Serialize>(result: Result<T, String>) -> Response {
    match result {
        Ok(value) => Json(value).into_response(),
        Err(error) => refuse(StatusCode::BAD_REQUEST, &error),
    }
}

fn refuse(status: StatusCode, error: &str) -> Response {
    (status, Json(json!({ "error": error }))).into_response()
}

async fn unknown() -> Response {
    refuse(
        StatusCode::NOT_FOUND,
        "no such resource; all begin with /v1",
    )
}

async fn version() -> Response {
    Json(json!({ "version": env!("CARGO_PKG_VERSION"), "pid": std::process::id() })).into_response()
}

async fn declared(State(daemon): Held) -> Response {
    Json(daemon.declared.lock().await.0.clone()).into_response()
}

async fn declare(State(daemon): Held, Json(desired): Json<Desired>) -> Response {
    // On a task of its own: whoever asked may go, and what was begun is still brought to its end.
    let declared = tokio::spawn(async move { daemon.declare(desired).await });
    answer(
        finish(declared)
            .await
            .map(|changes| json!({ "changes": changes })),
    )
}

async fn finish<T>(task: tokio::task::JoinHandle<Result<T, String>>) -> Result<T, String> {
    task.await.unwrap_or_else(|error| Err(error.to_string()))
}

async fn status(State(daemon): Held) -> Response {
    let lanes = daemon.status().await.into_iter();
    let lanes: Vec<_> = lanes
        .map(|(tenant, status)| match status {
            Ok(status) => json!({ "tenant": tenant, "status": status }),
            Err(error) => json!({ "tenant": tenant, "error": error }),
        })
        .collect();
    Json(json!({ "lanes": lanes })).into_response()
}

async fn stop(held: Held, name: Path<String>) -> Response {
    set_stopped(held, name, true).await
}

async fn start(held: Held, name: Path<String>) -> Response {
    set_stopped(held, name, false).await
}

async fn set_stopped(State(daemon): Held, Path(name): Path<String>, stopped: bool) -> Response {
    let change = tokio::spawn(async move {
        let amend = |desired: &mut Desired| {
            if !desired.functions.contains_key(&name) {
                let known: Vec<&str> = desired.functions.keys().map(String::as_str).collect();
                let known = known.join(", ");
                return Err(format!("no function {name}; there are: {known}"));
            }
            match stopped {
                true => desired.stopped.insert(name),
                false => desired.stopped.remove(&name),
            };
            Ok(())
        };
        daemon.amend(amend).await
    });
    answer(
        finish(change)
            .await
            .map(|changes| json!({ "changes": changes })),
    )
}

/// Asks the lane of an instance.
async fn ask(daemon: &Daemon, instance: &str, request: Request) -> Result<Answer, String> {
    let (tenant, _) = daemon.owner(instance).await?;
    daemon.lanes.ask(&tenant, request).await
}

async fn kill(State(daemon): Held, Path(instance): Path<String>) -> Response {
    let request = Request::Kill {
        instance: instance.clone(),
    };
    answer(ask(&daemon, &instance, request).await)
}

#[derive(Deserialize)]
struct From {
    #[serde(default)]
    from: u64,
}

async fn log(
    State(daemon): Held,
    Path(instance): Path<String>,
    Query(From { from }): Query<From>,
) -> Response {
    let request = Request::Logs {
        instance: instance.clone(),
        from,
    };
    answer(ask(&daemon, &instance, request).await)
}

#[derive(Deserialize)]
struct Parameters {
    #[serde(default)]
    parameters: String,
}

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
    answer(ask(&daemon, &instance, request).await)
}

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
    answer(ask(&daemon, &instance, request).await)
}
