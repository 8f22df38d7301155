//! Asking the daemon.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;

use crate::folders::Folders;

/// How long an answer may take: a change waits for its instances.
const PATIENCE: Duration = Duration::from_secs(120);

/// Why the daemon could not be asked, or what it said.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// No daemon runs.
    #[error("no daemon runs ({}: {source})", path.display())]
    NoDaemon {
        /// Its socket.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The connection failed.
    #[error("the daemon does not answer: {0}")]
    Connection(String),
    /// It refused.
    #[error("{0}")]
    Refused(String),
}

/// Asks the daemon one thing, and waits for its answer.
///
/// # Errors
/// No daemon runs, or it refuses.
pub fn ask(
    folders: &Folders,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> Result<Value, ClientError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| ClientError::Connection(error.to_string()))?;
    runtime.block_on(async {
        let exchange = exchange(folders, method, path, body);
        match tokio::time::timeout(PATIENCE, exchange).await {
            Ok(result) => result,
            Err(_) => Err(ClientError::Connection("it takes too long".into())),
        }
    })
}

async fn exchange(
    folders: &Folders,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> Result<Value, ClientError> {
    let socket = folders.daemon();
    let stream = UnixStream::connect(&socket)
        .await
        .map_err(|source| ClientError::NoDaemon {
            path: socket,
            source,
        })?;
    let failed = |error: &dyn std::error::Error| ClientError::Connection(error.to_string());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| failed(&error))?;
    tokio::spawn(connection);
    let text = body.map(Value::to_string).unwrap_or_default();
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "sprat")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(text)))
        .map_err(|error| failed(&error))?;
    let answer = sender
        .send_request(request)
        .await
        .map_err(|error| failed(&error))?;
    let status = answer.status();
    let bytes = answer
        .into_body()
        .collect()
        .await
        .map_err(|error| failed(&error))?
        .to_bytes();
    if status == StatusCode::OK {
        return serde_json::from_slice(&bytes).map_err(|error| failed(&error));
    }
    let error = serde_json::from_slice(&bytes)
        .ok()
        .and_then(|value: Value| Some(value.get("error")?.as_str()?.to_string()));
    Err(ClientError::Refused(error.unwrap_or_else(|| {
        format!("{status}: {}", String::from_utf8_lossy(&bytes))
    })))
}
