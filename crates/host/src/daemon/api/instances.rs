//! What is asked of one instance.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Held, Refusal, answer, prometheus, refuse};
use crate::daemon::{Daemon, crashes};
use crate::protocol::{Answer, Changes, Crash, ElementStatus, LogPiece, Request, Text};

pub(super) fn routes() -> OpenApiRouter<Arc<Daemon>> {
    OpenApiRouter::new()
        .routes(routes!(kill))
        .routes(routes!(log))
        .routes(routes!(elements))
        .routes(routes!(crashes))
        .routes(routes!(instance_metrics))
        .routes(routes!(read, write))
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
    let read = move || crashes::read(&folder, &instance);
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
