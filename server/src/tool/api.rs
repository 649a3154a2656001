//! A client for the API of a server.

use std::path::{Path, PathBuf};

use ::api::{
    BatchDocument, BatchList, LapRequest, LaunchRequest, ListQuery, ProblemDocument, ReasonList, ResultsQuery,
};
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use quilt::BatchId;
use quilt::wire::ClientFrame;
use reqwest::header::{ACCEPT, COOKIE, SET_COOKIE};
use reqwest::multipart::{Form, Part};
use reqwest::{Method, RequestBuilder, Response};
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::error::ToolError;

/// Maximum number of batches per page of a list.
pub(super) const LIST_LIMIT: u32 = 100;

/// The two ways to start a lap. They differ in the tasks that they run by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LapVerb {
    /// The failed tasks.
    Retry,
    /// The tasks that were not run.
    Continue,
}

impl LapVerb {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Continue => "continue",
        }
    }
}

/// A connection to a server, with the session cookie.
#[derive(Clone)]
pub(crate) struct Api {
    client: reqwest::Client,
    /// The URL of the server, without a trailing slash.
    pub(crate) url: String,
    /// The session cookie.
    cookie: Option<String>,
    /// The file with the session cookie of a remote server.
    session: Option<PathBuf>,
}

impl Api {
    /// Connects to a remote server. The session cookie is stored in the file `session`.
    pub(crate) fn remote(url: &str, session: PathBuf) -> Result<Self, ToolError> {
        let url = url.trim_end_matches('/').to_owned();
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(ToolError::Usage(format!("--url must begin with http:// or https://, unlike {url}")));
        }
        let cookie = std::fs::read_to_string(&session).ok().map(|cookie| cookie.trim().to_owned());
        Ok(Self { client: client(&url, false)?, url, cookie, session: Some(session) })
    }

    /// Connects to a server on this machine, as the visitor with this cookie.
    pub(crate) fn local(url: String, cookie: String) -> Result<Self, ToolError> {
        Ok(Self { client: client(&url, true)?, url, cookie: Some(cookie), session: None })
    }

    /// The URL of a batch's page.
    pub(crate) fn page(&self, id: BatchId) -> String {
        format!("{}/batches/{id}", self.url)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.url));
        match &self.cookie {
            Some(cookie) => request.header(COOKIE, cookie),
            None => request,
        }
    }

    pub(crate) fn unreachable(&self, reason: impl std::fmt::Display) -> ToolError {
        ToolError::Unreachable { url: self.url.clone(), reason: reason.to_string() }
    }

    /// Sends a request and maps error responses to [`ToolError`].
    async fn send(&mut self, request: RequestBuilder) -> Result<Response, ToolError> {
        let response = request.send().await.map_err(|error| self.unreachable(innermost(&error)))?;
        self.store_cookie(&response);
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let problem: Option<ProblemDocument> = response.json().await.ok();
        let detail = problem.map(|problem| problem.detail).filter(|detail| !detail.is_empty());
        Err(match detail {
            Some(detail) if status.is_client_error() => ToolError::Refused(detail),
            Some(detail) => self.unreachable(detail),
            None => self.unreachable(format!("it answers with {status}")),
        })
    }

    /// Stores the session cookie of a response, so that later calls have the same visitor.
    fn store_cookie(&mut self, response: &Response) {
        let Some(session) = &self.session else { return };
        let Some(cookie) = response.headers().get(SET_COOKIE).and_then(|cookie| cookie.to_str().ok()) else { return };
        let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        if let Err(error) = write_cookie(session, &cookie) {
            eprintln!("cannot keep the session in {}: {error}", session.display());
        }
        self.cookie = Some(cookie);
    }

    async fn json<T: DeserializeOwned>(&mut self, request: RequestBuilder) -> Result<T, ToolError> {
        let response = self.send(request).await?;
        response.json().await.map_err(|error| self.unreachable(error))
    }

    /// Launches a batch with an optional input file.
    pub(crate) async fn launch(&mut self, launch: &LaunchRequest, file: Option<Vec<u8>>) -> Result<BatchId, ToolError> {
        let request = self.request(Method::POST, "/api/batches");
        let request = match file {
            None => request.json(launch),
            Some(file) => {
                let launch = serde_json::to_string(launch).map_err(|error| ToolError::Usage(error.to_string()))?;
                let file = Part::bytes(file).file_name("input");
                request.multipart(Form::new().text("launch", launch).part("file", file))
            }
        };
        let batch = self.json(request).await?;
        id_of(&batch).ok_or_else(|| self.unreachable("its answer names no batch"))
    }

    /// Returns a batch.
    pub(crate) async fn batch(&mut self, id: BatchId) -> Result<BatchDocument, ToolError> {
        self.json(self.request(Method::GET, &format!("/api/batches/{id}"))).await
    }

    /// Returns the batches after a cursor, newest first.
    pub(crate) async fn list(&mut self, after: Option<u64>, limit: u32) -> Result<BatchList, ToolError> {
        let query = ListQuery { after, limit: Some(limit) };
        self.json(self.request(Method::GET, "/api/batches").query(&query)).await
    }

    /// Returns the newest batch.
    pub(crate) async fn last(&mut self) -> Result<BatchId, ToolError> {
        let list = self.list(None, 1).await?;
        list.batches.first().and_then(id_of).ok_or_else(|| ToolError::Usage("there is no batch here yet".into()))
    }

    /// Cancels, pauses or resumes a batch.
    pub(crate) async fn control(&mut self, id: BatchId, action: &str) -> Result<BatchDocument, ToolError> {
        self.json(self.request(Method::POST, &format!("/api/batches/{id}/{action}"))).await
    }

    /// Starts a lap of a finished or cancelled batch.
    pub(crate) async fn start_lap(&mut self, id: BatchId, verb: LapVerb, lap: &LapRequest) -> Result<(), ToolError> {
        let before = self.batch(id).await?;
        if !before.status.is_over() {
            let status = before.status.as_str();
            return Err(ToolError::Usage(format!("the batch is {status}; quilt run --resume goes on with it")));
        }
        // Servers of earlier versions ignore the members of a lap request. Their documents have no `halt`.
        if before.halt.is_empty() {
            return Err(self.unreachable("it has an earlier version, which knows no such laps"));
        }
        let request = self.request(Method::POST, &format!("/api/batches/{id}/{}", verb.as_str())).json(lap);
        let after: BatchDocument = self.json(request).await?;
        let is_named = lap.reason.is_some() || lap.squares.is_some() || lap.not_run || verb == LapVerb::Continue;
        if is_named && after.lap == before.lap {
            return Err(ToolError::Usage(format!(
                "none of these squares failed or was not run; of all {}, {} failed and {} were not run",
                before.tasks, before.failed, before.not_run
            )));
        }
        Ok(())
    }

    /// Returns the reasons of failures.
    pub(crate) async fn reasons(&mut self, id: BatchId) -> Result<ReasonList, ToolError> {
        self.json(self.request(Method::GET, &format!("/api/batches/{id}/reasons"))).await
    }

    /// Returns a streaming response with the results.
    pub(crate) async fn results(&mut self, id: BatchId, query: &ResultsQuery) -> Result<Response, ToolError> {
        let request = self.request(Method::GET, &format!("/api/batches/{id}/results"));
        self.send(request.query(query).header(ACCEPT, "*/*")).await
    }

    /// Opens the channel of a batch.
    pub(crate) async fn channel(&self, id: BatchId) -> Result<Channel, ToolError> {
        let url = format!("ws{}/batches/{id}/channel", self.url.trim_start_matches("http"));
        let mut request = url.into_client_request().map_err(|error| self.unreachable(error))?;
        let origin = self.url.parse().map_err(|_| self.unreachable("its address is none"))?;
        request.headers_mut().insert("origin", origin);
        let (socket, _) = connect_async(request).await.map_err(|error| self.unreachable(error))?;
        Ok(Channel { socket })
    }
}

fn client(url: &str, is_local: bool) -> Result<reqwest::Client, ToolError> {
    kinds::fetch::install_tls();
    let builder = reqwest::Client::builder().user_agent(concat!("quilt/", env!("CARGO_PKG_VERSION")));
    // Local connections must not go through a proxy.
    let builder = if is_local { builder.no_proxy() } else { builder };
    let built = builder.build();
    built.map_err(|error| ToolError::Unreachable { url: url.into(), reason: error.to_string() })
}

pub(super) fn id_of(batch: &BatchDocument) -> Option<BatchId> {
    batch.id.parse().ok()
}

fn innermost(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).last().map(ToString::to_string).unwrap_or_default()
}

fn write_cookie(session: &Path, cookie: &str) -> std::io::Result<()> {
    if let Some(folder) = session.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    std::io::Write::write_all(&mut options.open(session)?, cookie.as_bytes())
}

/// The WebSocket of a batch, with the same protocol as for pages.
pub(crate) struct Channel {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Channel {
    /// Sends a frame; `None` if the connection is closed.
    pub(crate) async fn send(&mut self, frame: ClientFrame) -> Option<()> {
        self.socket.send(Message::Binary(frame.encode().into())).await.ok()
    }

    /// Receives the next message; `None` if the connection is closed.
    pub(crate) async fn recv(&mut self) -> Option<Bytes> {
        loop {
            match self.socket.next().await? {
                Ok(Message::Binary(message)) => return Some(message),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }
}
