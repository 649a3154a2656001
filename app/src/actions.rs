//! The server functions behind the forms. Each works from a plain form post as well as from the page's own requests.

#![allow(missing_docs, reason = "the server macro makes a type of each function's arguments")]

use leptos::prelude::*;
use quilt::{BatchId, BatchSpec, Control, LaunchRequest, Square};
use serde::{Deserialize, Serialize};

use crate::model::ActionError;

/// The launch form as it is posted: every field is text until it was checked, and an empty one counts as left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchForm {
    /// A preset such as `8x8`, or `custom` for rows and columns of one's own.
    pub size: String,
    /// The number of rows, for a size of `custom`.
    #[serde(default)]
    pub rows: String,
    /// The number of columns, for a size of `custom`.
    #[serde(default)]
    pub columns: String,
    /// The shortest time a task takes, in milliseconds.
    #[serde(default)]
    pub shortest_ms: String,
    /// The longest time a task takes, in milliseconds.
    #[serde(default)]
    pub longest_ms: String,
    /// How many percent of the attempts fail.
    #[serde(default)]
    pub failure_percent: String,
    /// How often a task is tried.
    #[serde(default)]
    pub attempts: String,
    /// How long an attempt may take, in milliseconds.
    #[serde(default)]
    pub timeout_ms: String,
    /// How many tasks may run at the same time.
    #[serde(default)]
    pub concurrency: String,
    /// How many percent of the tasks may fail before the batch is stopped.
    #[serde(default)]
    pub tolerated_percent: String,
    /// How many seconds the batch may take before it is stopped.
    #[serde(default)]
    pub deadline_s: String,
}

/// Launches a batch and goes to its page.
#[server(prefix = "/actions", endpoint = "launch")]
pub async fn launch(form: LaunchForm) -> Result<(), ActionError> {
    let request = form.into_request()?;
    let spec = request.into_spec(&crate::server::limits(), rand::random())?;
    launch_spec(spec).await
}

/// Launches a batch like this one, with an order and colours of its own, or with the same ones.
#[server(prefix = "/actions", endpoint = "run_again")]
pub async fn run_again(id: BatchId, #[server(default)] same_seed: bool) -> Result<(), ActionError> {
    let batch = crate::server::open(id).await?;
    let request: LaunchRequest = batch.folded().quilt.spec().clone().into();
    let request = LaunchRequest { seed: request.seed.filter(|_| same_seed), ..request };
    launch_spec(request.into_spec(&crate::server::limits(), rand::random())?).await
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
    let number = optional_number("the number of tasks at the same time", &concurrency)?.map(Into::into);
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

async fn launch_spec(spec: BatchSpec) -> Result<(), ActionError> {
    let id = BatchId::from_bytes(rand::random());
    crate::server::engine().launch(id, crate::server::visitor()?, spec).await?;
    show(id)
}

impl LaunchForm {
    fn into_request(self) -> Result<LaunchRequest, ActionError> {
        let (rows, columns) = match self.size.split_once('x') {
            Some(sides) => sides,
            None => (self.rows.as_str(), self.columns.as_str()),
        };
        let mut parameters = serde_json::Map::new();
        if let Some(percent) = optional_number("failures", &self.failure_percent)? {
            let rate: Option<f64> = percent.as_f64().map(|percent| percent / 100.0);
            parameters.insert("failure_rate".into(), rate.into());
        }
        let shortest = optional_number("the shortest time", &self.shortest_ms)?;
        let longest = optional_number("the longest time", &self.longest_ms)?;
        if let (Some(shortest), Some(longest)) = (shortest.clone().or(longest.clone()), longest.or(shortest)) {
            parameters.insert("duration_ms".into(), serde_json::json!([shortest, longest]));
        }
        Ok(LaunchRequest {
            work: quilt::WorkSpec { kind: "color".into(), parameters },
            rows: number("rows", rows)?.into(),
            columns: number("columns", columns)?.into(),
            seed: None,
            attempts: optional_number("attempts", &self.attempts)?.map(Into::into),
            timeout_ms: optional_number("the time limit", &self.timeout_ms)?.map(Into::into),
            concurrency: optional_number("the number of tasks at the same time", &self.concurrency)?.map(Into::into),
            tolerated_failures: optional_number("the tolerated failures", &self.tolerated_percent)?
                .map(|percent| scaled(&percent, 0.01).into()),
            deadline_ms: optional_number("the deadline", &self.deadline_s)?
                .map(|seconds| scaled(&seconds, 1_000.0).into()),
        })
    }
}

fn number(field: &str, text: &str) -> Result<serde_json::Number, ActionError> {
    text.trim().parse().map_err(|_| {
        let reason = format!("{field} must be a number, not '{}'", text.trim());
        crate::server::refuse(axum::http::StatusCode::UNPROCESSABLE_ENTITY, reason)
    })
}

/// A number in another unit; a whole one where it can be.
fn scaled(number: &serde_json::Number, factor: f64) -> serde_json::Number {
    let scaled = number.as_f64().unwrap_or_default() * factor;
    let whole = (scaled.fract() == 0.0 && (0.0..9e15).contains(&scaled)).then_some(scaled as u64);
    // A factor does not make a number infinite that a form field can hold.
    whole.map(Into::into).or_else(|| serde_json::Number::from_f64(scaled)).unwrap_or_else(|| 0.into())
}

fn optional_number(field: &str, text: &str) -> Result<Option<serde_json::Number>, ActionError> {
    if text.trim().is_empty() { Ok(None) } else { number(field, text).map(Some) }
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

    fn form(size: &str) -> LaunchForm {
        LaunchForm { size: size.into(), ..LaunchForm::default() }
    }

    #[test]
    fn a_preset_names_rows_and_columns() {
        let request = form("32x16").into_request().expect("valid");
        assert_eq!((request.rows, request.columns), (32.into(), 16.into()));
        assert!(request.work.parameters.is_empty());
    }

    #[test]
    fn difficulties_become_parameters_of_the_work() {
        let form =
            LaunchForm { failure_percent: "25".into(), longest_ms: " 40 ".into(), attempts: "2".into(), ..form("8x8") };
        let request = form.into_request().expect("valid");
        let parameters = serde_json::Value::Object(request.work.parameters);
        assert_eq!(parameters, serde_json::json!({"failure_rate": 0.25, "duration_ms": [40, 40]}));
        assert_eq!(request.attempts, Some(2.into()));
    }

    #[test]
    fn limits_are_told_in_the_units_of_people() {
        let form = LaunchForm {
            concurrency: "4".into(),
            tolerated_percent: "5".into(),
            deadline_s: "1.5".into(),
            ..form("8x8")
        };
        let request = form.into_request().expect("valid");
        assert_eq!(request.concurrency, Some(4.into()));
        let spec = request.into_spec(&quilt::Limits::default(), 1).expect("within the limits");
        assert_eq!((spec.tolerated_failures, spec.deadline_ms), (Some(0.05), Some(1_500)));
    }

    #[test]
    fn text_that_is_no_number_is_named() {
        let form = LaunchForm { rows: "x".into(), columns: "8".into(), ..form("custom") };
        assert_eq!(form.into_request(), Err(ActionError::Refused("rows must be a number, not 'x'".into())));
    }
}
