//! The server functions behind the forms. Each works from a plain form post as well as from the page's own requests.

#![allow(missing_docs, reason = "the server macro makes a type of each function's arguments")]

use api::LaunchRequest;
use axum::http::StatusCode;
use leptos::prelude::*;
use quilt::{BatchId, BatchSpec, Control, Square};

use crate::launch;
use crate::model::ActionError;

/// Launches a batch like this one, with an order and colours of its own, or with the same ones.
#[server(prefix = "/actions", endpoint = "run_again")]
pub async fn run_again(id: BatchId, #[server(default)] same_seed: bool) -> Result<(), ActionError> {
    let batch = crate::server::open(id).await?;
    let request: LaunchRequest = batch.folded().quilt.spec().clone().into();
    let request = LaunchRequest { seed: request.seed.filter(|_| same_seed), ..request };
    let tasks = batch.folded().quilt.progress().tasks;
    // Where the last row is shorter, the number of tasks says more than rows and columns.
    let spec = BatchSpec::from_request(request, &crate::server::limits(), rand::random(), Some(tasks))?;
    let input = crate::server::engine().input(id).await?;
    let id = BatchId::from_bytes(rand::random());
    crate::server::engine().launch(id, crate::server::visitor()?, spec, input).await?;
    show(id)
}

/// Stops a batch of this visitor.
#[server(prefix = "/actions", endpoint = "cancel")]
pub async fn cancel(id: BatchId) -> Result<(), ActionError> {
    crate::server::engine().cancel(id, crate::server::visitor()?).await?;
    show(id)
}

/// Runs the failed squares of a batch of this visitor again.
#[server(prefix = "/actions", endpoint = "retry_failed")]
pub async fn retry_failed(id: BatchId) -> Result<(), ActionError> {
    crate::server::engine().retry_failed(id, crate::server::visitor()?).await?;
    show(id)
}

/// Runs one failed square of a batch of this visitor again.
#[server(prefix = "/actions", endpoint = "retry_square")]
pub async fn retry_square(id: BatchId, row: u16, column: u16) -> Result<(), ActionError> {
    crate::server::engine().retry_square(id, crate::server::visitor()?, Square { row, column }).await?;
    show(id)
}

/// Starts no more tasks of a batch of this visitor, or goes on with it.
#[server(prefix = "/actions", endpoint = "set_paused")]
pub async fn set_paused(id: BatchId, paused: bool) -> Result<(), ActionError> {
    control(id, if paused { Control::Pause } else { Control::Resume }).await
}

/// Sets how many tasks of a batch of this visitor may run at the same time; no number for as many as are of use.
#[server(prefix = "/actions", endpoint = "set_concurrency")]
pub async fn set_concurrency(id: BatchId, #[server(default)] concurrency: String) -> Result<(), ActionError> {
    let number = launch::optional_number("the number of tasks at the same time", &concurrency)
        .map_err(|reason| crate::server::refuse(StatusCode::UNPROCESSABLE_ENTITY, reason))?;
    let number = number.map(Into::into);
    let concurrency = number.as_ref().map(quilt::spec::concurrency_within).transpose()?;
    control(id, Control::SetConcurrency(concurrency)).await
}

/// Removes a batch of this visitor that is over.
#[server(prefix = "/actions", endpoint = "remove")]
pub async fn remove(id: BatchId) -> Result<(), ActionError> {
    crate::server::engine().remove(id, crate::server::visitor()?).await?;
    leptos_axum::redirect("/");
    Ok(())
}

async fn control(id: BatchId, control: Control) -> Result<(), ActionError> {
    crate::server::engine().control(id, crate::server::visitor()?, control).await?;
    show(id)
}

/// Goes to a batch's page.
fn show(id: BatchId) -> Result<(), ActionError> {
    leptos_axum::redirect(&format!("/batches/{id}"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_posted_to_where_the_server_functions_are() {
        use crate::components::post_form::action;
        use leptos::server_fn::ServerFn;
        let paths = [
            Cancel::PATH,
            Remove::PATH,
            RetryFailed::PATH,
            RetrySquare::PATH,
            RunAgain::PATH,
            SetConcurrency::PATH,
            SetPaused::PATH,
        ];
        let posted = [
            action::CANCEL,
            action::REMOVE,
            action::RETRY_FAILED,
            action::RETRY_SQUARE,
            action::RUN_AGAIN,
            action::SET_CONCURRENCY,
            action::SET_PAUSED,
        ];
        assert_eq!(paths, posted);
    }
}
