//! The implementations of the server functions.

mod again;
mod delete;
mod form;
mod launch;
mod list;

use api::{LapRequest, LaunchRequest};
use axum::http::StatusCode;
use quilt::{BatchId, BatchSpec, Control, Halt, LapSet, OwnerId};

use crate::command::Command;
use crate::cookies::THEME;
use crate::model::ActionError;
use crate::server::{engine, limits, open, refuse, visitor};
use form::{optional_number, to_parameter};

pub(crate) use again::{Again, again};
pub(crate) use delete::{Deletion, delete};
pub(crate) use form::{
    CUSTOM, FILE, FROM, Invalid, LimitField, NumberRule, PARAMETER_PREFIX, PRESET, REUSES_INPUT, Values, limit_fields,
    percent, plain, seconds,
};
pub(crate) use launch::launch;
pub(crate) use list::{ListFilter, ListPage, list, list_named};

/// Stores the theme of this visitor's pages in a cookie.
pub(crate) fn set_theme(theme: &str) -> Result<(), ActionError> {
    let theme = match theme {
        "light" | "dark" | "system" => theme,
        other => {
            return Err(refuse(StatusCode::BAD_REQUEST, format!("the theme is light, dark or system, not '{other}'")));
        }
    };
    THEME.set(theme);
    Ok(())
}

/// Runs a command on a batch of this visitor. Returns the path of the page that shows the result.
pub(crate) async fn run(id: BatchId, command: Command) -> Result<String, ActionError> {
    let (engine, visitor) = (engine(), visitor()?);
    match command {
        Command::Pause => engine.control(id, visitor, Control::Pause).await.map(drop)?,
        Command::Resume => engine.control(id, visitor, Control::Resume).await.map(drop)?,
        Command::SetConcurrency(typed) => {
            let concurrency = concurrency(&typed)?;
            engine.control(id, visitor, Control::SetConcurrency(concurrency)).await.map(drop)?;
        }
        Command::Cancel => engine.cancel(id, visitor, Halt::Now).await.map(drop)?,
        Command::RetryFailed => engine.retry_failed(id, visitor).await.map(drop)?,
        Command::RetrySquare(square) => engine.retry_square(id, visitor, square).await.map(drop)?,
        Command::RetryReason { reason, attempts, timeout_s } => {
            let request = lap_of_reason(reason, &attempts, &timeout_s)?;
            engine.start_lap(id, visitor, LapSet::Failed, request, limits()).await.map(drop)?;
        }
        Command::Continue => engine.continue_stopped(id, visitor).await.map(drop)?,
        Command::RunAgain { same_seed } => return run_again(id, visitor, same_seed).await,
        Command::Remove => {
            engine.remove(id, visitor).await?;
            return Ok("/".into());
        }
    }
    Ok(path_of(id))
}

/// A lap of the squares that failed for a reason, with the limits that were typed.
fn lap_of_reason(reason: String, attempts: &str, timeout_s: &str) -> Result<LapRequest, ActionError> {
    let number = |name: &str, typed: &str, unit: u32| {
        let number = optional_number(name, typed).map_err(|reason| refuse(StatusCode::UNPROCESSABLE_ENTITY, reason))?;
        Ok::<_, ActionError>(number.map(|number| to_parameter(&number, unit).into()))
    };
    Ok(LapRequest {
        reason: Some(reason),
        attempts: number("max attempts per task", attempts, 1)?,
        timeout_ms: number("the timeout per attempt", timeout_s, 1_000)?,
        ..LapRequest::default()
    })
}

/// Parses a concurrency limit as typed. An empty text means no limit.
fn concurrency(typed: &str) -> Result<Option<u32>, ActionError> {
    let number = optional_number("the number of tasks at the same time", typed)
        .map_err(|reason| refuse(StatusCode::UNPROCESSABLE_ENTITY, reason))?;
    Ok(number.map(Into::into).as_ref().map(quilt::request::concurrency_within).transpose()?)
}

async fn run_again(id: BatchId, visitor: OwnerId, same_seed: bool) -> Result<String, ActionError> {
    let batch = open(id).await?;
    let (spec, tasks) = {
        let folded = batch.folded();
        (folded.quilt.spec().clone(), folded.quilt.progress().tasks)
    };
    let request: LaunchRequest = spec.into();
    let request = LaunchRequest { seed: request.seed.filter(|_| same_seed), not_before: None, ..request };
    // Rows and columns do not determine the number of tasks if the last row is shorter.
    let spec = BatchSpec::from_request(request, &limits(), rand::random(), Some(tasks), engine::now())?;
    let input = engine().input(id).await?;
    let id = BatchId::from_bytes(rand::random());
    engine().launch(id, visitor, spec, input).await?;
    Ok(path_of(id))
}

/// The path of a batch's page.
fn path_of(id: BatchId) -> String {
    format!("/batches/{id}")
}
