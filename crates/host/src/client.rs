//! Asking the daemon.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
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
    /// It answers something else than it was asked.
    #[error("the daemon is of another version: {0}")]
    Version(serde_json::Error),
    /// What came could not be written.
    #[error("{0}")]
    Output(io::Error),
}

/// Asks the daemon one thing, and waits for its answer.
///
/// # Errors
/// No daemon runs, or it refuses.
pub fn ask<T: DeserializeOwned>(
    folders: &Folders,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> Result<T, ClientError> {
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

/// Asks the daemon for something that goes on, and takes it piece by piece until it ends, or `take`
/// has had enough.
///
/// # Errors
/// As for [`ask`], and what `take` says.
pub fn stream(
    folders: &Folders,
    path: &str,
    take: &mut dyn FnMut(&[u8]) -> io::Result<bool>,
) -> Result<(), ClientError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| ClientError::Connection(error.to_string()))?;
    runtime.block_on(async {
        let mut answer = send(folders, "GET", path, None).await?;
        if answer.status() != StatusCode::OK {
            let status = answer.status();
            return Err(refusal(status, &whole(answer).await?));
        }
        while let Some(frame) = answer.body_mut().frame().await {
            let frame = frame.map_err(|error| failed(&error))?;
            if let Some(piece) = frame.data_ref()
                && !take(piece).map_err(ClientError::Output)?
            {
                break;
            }
        }
        Ok(())
    })
}

async fn exchange<T: DeserializeOwned>(
    folders: &Folders,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> Result<T, ClientError> {
    let answer = send(folders, method, path, body).await?;
    let status = answer.status();
    let bytes = whole(answer).await?;
    if status == StatusCode::OK {
        return serde_json::from_slice(&bytes).map_err(ClientError::Version);
    }
    Err(refusal(status, &bytes))
}

fn failed(error: &dyn std::error::Error) -> ClientError {
    ClientError::Connection(error.to_string())
}

async fn whole(answer: Response<Incoming>) -> Result<Bytes, ClientError> {
    let body = answer.into_body().collect().await;
    Ok(body.map_err(|error| failed(&error))?.to_bytes())
}

/// What a refusal says.
fn refusal(status: StatusCode, bytes: &[u8]) -> ClientError {
    let error = serde_json::from_slice(bytes)
        .ok()
        .and_then(|value: Value| Some(value.get("error")?.as_str()?.to_string()));
    ClientError::Refused(
        error.unwrap_or_else(|| format!("{status}: {}", String::from_utf8_lossy(bytes))),
    )
}

/// Sends a request; the answer's head is there.
async fn send(
    folders: &Folders,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> Result<Response<Incoming>, ClientError> {
    let socket = folders.daemon();
    let stream = UnixStream::connect(&socket)
        .await
        .map_err(|source| ClientError::NoDaemon {
            path: socket,
            source,
        })?;
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
    let answer = sender.send_request(request).await;
    answer.map_err(|error| failed(&error))
}
