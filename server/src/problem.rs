//! Errors of the API, as RFC 9457 problem details.

use std::time::Duration;

use ::api::ProblemDocument;
use axum::Json;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use engine::work::InvalidWork;
use engine::{ControlError, JournalError, LaunchError, TooManyRunning};
use quilt::SpecError;
use thiserror::Error;

/// An error of the API: a stable name for programs, and a description for people.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{detail}")]
pub(crate) struct Problem {
    status: StatusCode,
    /// Stable; see [`ProblemDocument::name`].
    name: &'static str,
    detail: String,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, name: &'static str, detail: impl Into<String>) -> Self {
        Self { status, name, detail: detail.into() }
    }

    /// An internal error. The caller logs the cause.
    pub(crate) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "this is a fault of the server, and was logged")
    }

    pub(crate) fn no_such_batch() -> Self {
        Self::new(StatusCode::NOT_FOUND, "no-such-batch", "there is no batch of this id")
    }

    pub(crate) fn no_such_square() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "no-such-square",
            "there is no square at this row and column; both count from 0",
        )
    }

    pub(crate) fn too_many_channels(limit: usize) -> Self {
        let detail = format!("{limit} viewers are watching this batch, and that is the limit");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-channels", detail)
    }

    pub(crate) fn too_many_journals(limit: usize) -> Self {
        let detail = format!("{limit} journals are being read already; please try again in a moment");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-readers", detail)
    }

    pub(crate) fn body_too_large(limit: usize) -> Self {
        let detail = format!("the request body is too large ({} at most)", viewer::format::size(limit as u64));
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", detail)
    }

    pub(crate) fn body_too_slow(limit: Duration) -> Self {
        let detail = format!("nothing of the body came for {} seconds", limit.as_secs());
        Self::new(StatusCode::REQUEST_TIMEOUT, "body-too-slow", detail)
    }

    pub(crate) fn foreign_origin() -> Self {
        Self::new(StatusCode::FORBIDDEN, "foreign-origin", "the Origin header must be this site's own")
    }

    pub(crate) fn bad_request(name: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, name, detail)
    }

    pub(crate) fn invalid(name: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, name, detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self { status, name, detail } = self;
        let title = status.canonical_reason().unwrap_or("Error");
        let document = ProblemDocument::new(name, title, status.as_u16(), detail);
        let mut response = (status, Json(document)).into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    }
}

impl From<JournalError> for Problem {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Removed => Self::no_such_batch(),
            JournalError::Damaged { .. } | JournalError::Corrupt(_) => {
                tracing::error!(%error, "a request met damage");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "journal-damaged", error.to_string())
            }
            JournalError::Refused(_) => {
                tracing::error!(%error, "the journal refused a request");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "journal-refused", error.to_string())
            }
            JournalError::Unavailable(_) | JournalError::Closed => {
                tracing::warn!(%error, "a request cannot reach the journal");
                let detail = format!("{error}; please try again in a moment");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "journal-unavailable", detail)
            }
        }
    }
}

impl From<SpecError> for Problem {
    fn from(error: SpecError) -> Self {
        let name = match &error {
            SpecError::OutOfRange { .. } | SpecError::NotAShare { .. } | SpecError::TooLate { .. } => "out-of-range",
            SpecError::TooManySquares { .. } => "too-many-squares",
            SpecError::OtherShape { .. } => "other-shape",
            SpecError::Missing { .. } => "missing",
            SpecError::Both(..) => "exclusive-members",
            SpecError::UnknownWord { .. } => "unknown-word",
            SpecError::TooLong { .. } | SpecError::TooManyCharacters { .. } | SpecError::NotALine { .. } => {
                "invalid-text"
            }
            SpecError::NotATime { .. } => "invalid-time",
            SpecError::TooManyLabels(_) => "too-many-labels",
        };
        Self::invalid(name, error.to_string())
    }
}

impl From<InvalidWork> for Problem {
    fn from(error: InvalidWork) -> Self {
        Self::invalid("invalid-work", error.to_string())
    }
}

impl From<TooManyRunning> for Problem {
    fn from(error: TooManyRunning) -> Self {
        let detail = error.to_string();
        match error {
            TooManyRunning::OfOwner { .. } => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-running-batches", detail)
            }
            TooManyRunning::Squares { .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-running-squares", detail)
            }
        }
    }
}

impl From<LaunchError> for Problem {
    fn from(error: LaunchError) -> Self {
        match error {
            LaunchError::Journal(error) => error.into(),
            LaunchError::InvalidWork(error) => error.into(),
            LaunchError::InvalidSpec(error) => error.into(),
            LaunchError::TooManyRunning(error) => error.into(),
            LaunchError::SpecTooLarge { .. } => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "description-too-large", error.to_string())
            }
            LaunchError::Conflict => {
                Self::invalid("idempotency-key-reused", "this Idempotency-Key was used to launch another batch")
            }
        }
    }
}

impl From<ControlError> for Problem {
    fn from(error: ControlError) -> Self {
        let detail = error.to_string();
        match error {
            ControlError::Journal(error) => error.into(),
            ControlError::NotFound => Self::no_such_batch(),
            ControlError::NotOwner => Self::new(StatusCode::FORBIDDEN, "not-your-batch", detail),
            ControlError::NoSuchSquare => Self::no_such_square(),
            ControlError::SeveralSets => Self::invalid("exclusive-members", detail),
            ControlError::InvalidLimits(error) => error.into(),
            ControlError::NotOver => Self::new(StatusCode::CONFLICT, "batch-not-over", detail),
            ControlError::TooManyControls { .. } => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-controls", detail)
            }
            ControlError::TooManyLaps { .. } => Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-laps", detail),
            ControlError::TooManyRunning(error) => error.into(),
        }
    }
}
