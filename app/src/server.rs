//! Access to the server's state for server functions and pages.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::http::header::HOST;
use axum::http::request::Parts;
use engine::{ControlError, Engine, JournalError, LaunchError, LiveBatch, TooManyRunning};
use leptos::prelude::{expect_context, use_context};
use quilt::{BatchId, Limits, OwnerId, SpecError};
use site::Names;

use crate::model::ActionError;
use crate::status::set_status;

/// What a launch form takes besides its file, in bytes.
const FORM_OVERHEAD: usize = 64 << 10;

/// Provided as context to every page and server function.
#[derive(Clone)]
pub struct AppContext {
    /// The engine, which runs the batches.
    pub engine: Engine,
    /// The limits of a launch.
    pub limits: Limits,
    /// The largest launch form in bytes, with its file.
    pub max_upload: usize,
    /// The names of the files that every page loads; `None` if no site was built.
    pub site: Option<Names>,
    /// The configured public origin, such as `https://quilt.example`; `None` to use the `Host` header.
    pub origin: Option<Arc<str>>,
    /// Whether visitors are known to use https.
    pub is_secure: bool,
}

/// Returns the engine of this server.
pub(crate) fn engine() -> Engine {
    expect_context::<AppContext>().engine
}

/// Returns the limits of this server.
pub(crate) fn limits() -> Limits {
    expect_context::<AppContext>().limits
}

/// Returns the origin in absolute URLs: the configured one, or that of the request.
pub(crate) fn origin() -> String {
    let configured = expect_context::<AppContext>().origin;
    configured.map_or_else(
        || {
            let parts = use_context::<Parts>();
            let host = parts.as_ref().and_then(|parts| parts.headers.get(HOST)?.to_str().ok());
            format!("http://{}", host.unwrap_or("localhost"))
        },
        |origin| origin.as_ref().to_owned(),
    )
}

/// Returns the largest file that can be uploaded, in bytes. The other fields of the form take a part of its limit.
pub(crate) fn max_upload() -> usize {
    expect_context::<AppContext>().max_upload.saturating_sub(FORM_OVERHEAD)
}

/// Returns the visitor of this request, as identified by the session layer.
pub(crate) fn visitor() -> Result<OwnerId, ActionError> {
    use_context::<Parts>()
        .and_then(|parts| parts.extensions.get::<OwnerId>().copied())
        .ok_or_else(|| refuse(StatusCode::UNAUTHORIZED, "this request has no session".into()))
}

/// Opens a batch. On failure it sets the status of the response.
pub(crate) async fn open(id: BatchId) -> Result<Arc<LiveBatch>, ActionError> {
    match engine().open(id).await {
        Ok(Some(batch)) => Ok(batch),
        Ok(None) => Err(not_found()),
        Err(error) => Err(error.into()),
    }
}

/// Returns the error for a missing batch and sets the status of the response to 404.
pub(crate) fn not_found() -> ActionError {
    set_status(StatusCode::NOT_FOUND);
    ActionError::NotFound
}

/// Returns a refusal with a reason for the visitor and sets the status of the response.
pub(crate) fn refuse(status: StatusCode, reason: String) -> ActionError {
    set_status(status);
    ActionError::Refused(reason)
}

impl From<SpecError> for ActionError {
    fn from(error: SpecError) -> Self {
        refuse(StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
    }
}

impl From<JournalError> for ActionError {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Removed => not_found(),
            JournalError::Damaged { .. } | JournalError::Corrupt(_) => {
                tracing::error!(%error, "a server function met damage");
                refuse(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
            }
            JournalError::Refused(_) => {
                tracing::error!(%error, "the journal refused a server function");
                refuse(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
            }
            JournalError::Unavailable(_) | JournalError::Closed => {
                tracing::warn!(%error, "a server function cannot reach the journal");
                refuse(StatusCode::SERVICE_UNAVAILABLE, format!("{error}; please try again in a moment"))
            }
        }
    }
}

impl From<TooManyRunning> for ActionError {
    fn from(error: TooManyRunning) -> Self {
        let status = match error {
            TooManyRunning::OfOwner { .. } => StatusCode::TOO_MANY_REQUESTS,
            TooManyRunning::Squares { .. } => StatusCode::SERVICE_UNAVAILABLE,
        };
        refuse(status, error.to_string())
    }
}

impl From<LaunchError> for ActionError {
    fn from(error: LaunchError) -> Self {
        match error {
            LaunchError::Journal(error) => error.into(),
            LaunchError::InvalidWork(_) | LaunchError::InvalidSpec(_) => {
                refuse(StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
            }
            LaunchError::TooManyRunning(error) => error.into(),
            LaunchError::SpecTooLarge { .. } => refuse(StatusCode::PAYLOAD_TOO_LARGE, error.to_string()),
            LaunchError::Conflict => refuse(StatusCode::CONFLICT, error.to_string()),
        }
    }
}

impl From<ControlError> for ActionError {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::Journal(error) => error.into(),
            ControlError::NotFound => not_found(),
            ControlError::NotOwner => refuse(StatusCode::FORBIDDEN, error.to_string()),
            ControlError::NoSuchSquare => refuse(StatusCode::NOT_FOUND, error.to_string()),
            ControlError::SeveralSets | ControlError::InvalidLimits(_) => {
                refuse(StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
            }
            ControlError::NotOver => refuse(StatusCode::CONFLICT, error.to_string()),
            ControlError::TooManyControls { .. } | ControlError::TooManyLaps { .. } => {
                refuse(StatusCode::TOO_MANY_REQUESTS, error.to_string())
            }
            ControlError::TooManyRunning(error) => error.into(),
        }
    }
}
