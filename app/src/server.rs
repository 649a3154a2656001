//! What server functions and pages use on the server.

use std::sync::Arc;

use api::LaunchRequest;
use axum::http::header::ACCEPT;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use engine::{ControlError, Engine, JournalError, LaunchError, LiveBatch, TooManyRunning};
use leptos::prelude::{expect_context, use_context};
use leptos_axum::ResponseOptions;
use quilt::{BatchId, BatchSpec, Control, Limits, OwnerId, SpecError, Summary};
use site::Names;
use viewer::format;

use crate::functions::Command;
use crate::launch;
use crate::model::{ActionError, BatchCard};

/// How many batches the front page lists.
const LISTED: u32 = 12;

/// Provided as context to every page and server function.
#[derive(Clone)]
pub struct AppContext {
    /// Runs the batches.
    pub engine: Engine,
    /// What a launch may ask for.
    pub limits: Limits,
    /// The files that every page loads; nothing where no site was built.
    pub site: Option<Names>,
}

/// The engine of this server.
pub(crate) fn engine() -> Engine {
    expect_context::<AppContext>().engine
}

/// The limits of this server.
pub(crate) fn limits() -> Limits {
    expect_context::<AppContext>().limits
}

/// The visitor of this request, as the session layer found it.
pub(crate) fn visitor() -> Result<OwnerId, ActionError> {
    use_context::<Parts>()
        .and_then(|parts| parts.extensions.get::<OwnerId>().copied())
        .ok_or_else(|| refuse(StatusCode::UNAUTHORIZED, "this request has no session".into()))
}

/// The batch, or an answer with the right status.
pub(crate) async fn open(id: BatchId) -> Result<Arc<LiveBatch>, ActionError> {
    match engine().open(id).await {
        Ok(Some(batch)) => Ok(batch),
        Ok(None) => Err(not_found()),
        Err(error) => Err(error.into()),
    }
}

/// This visitor's newest batches.
pub(crate) async fn list() -> Result<Vec<BatchCard>, ActionError> {
    let batches = engine().list(visitor()?, None, LISTED).await?.batches;
    let now = engine::now();
    let card = |(id, summary): (BatchId, Summary)| BatchCard {
        id,
        shape: format::shape(summary.spec.grid),
        status: summary.status,
        progress: summary.progress,
        age_ms: now.millis_since(summary.created_at),
        ended_at: summary.ended_at,
    };
    Ok(batches.into_iter().map(card).collect())
}

/// Runs a command on a batch of this visitor and returns the path of the page that shows the result.
pub(crate) async fn run_command(id: BatchId, command: Command) -> Result<String, ActionError> {
    let (engine, visitor) = (engine(), visitor()?);
    match command {
        Command::Pause => engine.control(id, visitor, Control::Pause).await.map(drop)?,
        Command::Resume => engine.control(id, visitor, Control::Resume).await.map(drop)?,
        Command::SetConcurrency(typed) => {
            let concurrency = concurrency(&typed)?;
            engine.control(id, visitor, Control::SetConcurrency(concurrency)).await.map(drop)?;
        }
        Command::Cancel => engine.cancel(id, visitor).await.map(drop)?,
        Command::RetryFailed => engine.retry_failed(id, visitor).await.map(drop)?,
        Command::RetrySquare(square) => engine.retry_square(id, visitor, square).await.map(drop)?,
        Command::RunAgain { same_seed } => return run_again(id, visitor, same_seed).await,
        Command::Remove => {
            engine.remove(id, visitor).await?;
            return Ok("/".into());
        }
    }
    Ok(path_of(id))
}

/// A limit as it was typed; empty for none.
fn concurrency(typed: &str) -> Result<Option<u32>, ActionError> {
    let number = launch::optional_number("the number of tasks at the same time", typed)
        .map_err(|reason| refuse(StatusCode::UNPROCESSABLE_ENTITY, reason))?;
    Ok(number.map(Into::into).as_ref().map(quilt::spec::concurrency_within).transpose()?)
}

async fn run_again(id: BatchId, visitor: OwnerId, same_seed: bool) -> Result<String, ActionError> {
    let batch = open(id).await?;
    let (spec, tasks) = {
        let folded = batch.folded();
        (folded.quilt.spec().clone(), folded.quilt.progress().tasks)
    };
    let request: LaunchRequest = spec.into();
    let request = LaunchRequest { seed: request.seed.filter(|_| same_seed), ..request };
    // Where the last row is shorter, the number of tasks says more than rows and columns.
    let spec = BatchSpec::from_request(request, &limits(), rand::random(), Some(tasks))?;
    let input = engine().input(id).await?;
    let id = BatchId::from_bytes(rand::random());
    engine().launch(id, visitor, spec, input).await?;
    Ok(path_of(id))
}

/// The path of a batch's page.
pub(crate) fn path_of(id: BatchId) -> String {
    format!("/batches/{id}")
}

/// There is no such batch, and the answer's status says so.
pub(crate) fn not_found() -> ActionError {
    set_status(StatusCode::NOT_FOUND);
    ActionError::NotFound
}

/// Sets the status of the answer, unless it has to be a redirection: a form that was posted without JavaScript goes back to its page.
pub(crate) fn set_status(status: StatusCode) {
    if let Some(response) = use_context::<ResponseOptions>().filter(|_| !is_plain_form_post()) {
        response.set_status(status);
    }
}

fn is_plain_form_post() -> bool {
    use_context::<Parts>().is_some_and(|parts| {
        let accept = parts.headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
        parts.method == Method::POST && accept.contains("text/html")
    })
}

/// The request cannot be done as it is, for a reason that whoever sent it can understand.
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
            ControlError::NotOver => refuse(StatusCode::CONFLICT, error.to_string()),
            ControlError::TooManyControls { .. } | ControlError::TooManyLaps { .. } => {
                refuse(StatusCode::TOO_MANY_REQUESTS, error.to_string())
            }
            ControlError::TooManyRunning(error) => error.into(),
        }
    }
}
