//! The command-line tools. They launch, watch and control batches through the public API of a remote or local server.
//!
//! # Layout
//!
//! - [`args`]: options, with the parsers in `values` and `choices`; [`error`]: errors and exit statuses
//! - `session`: the connection to a remote or local server; `api`: a client for its API
//! - `follow`: follows a batch over its channel
//! - `run`: launches a batch and follows it to its end; `launch`: builds the request; `progress`: prints progress
//! - `results`: writes results; `watch`: draws the quilt in the terminal

mod api;
pub(crate) mod args;
mod choices;
pub(crate) mod error;
mod follow;
mod launch;
mod progress;
mod results;
mod run;
mod session;
mod values;
mod watch;

use std::io::Write;
use std::time::Duration;

use ::api::{BatchDocument, BatchList, ReasonCount, ReasonList};
use quilt::BatchId;

use self::api::{Api, LIST_LIMIT, LapVerb};
use self::args::{CancelOptions, LapOptions, ListOptions, OneOptions, OutputOptions, ResultsOptions};
use self::error::{Ended, ToolError};
use self::results::OutputFile;
use self::session::{LocalOptions, with_session};
use crate::cli::Tool;

/// Maximum number of blocking threads, for CPU-bound tasks and files.
const BLOCKING_THREADS: usize = 256;

/// Maximum number of reasons that are printed, the most frequent ones first.
const SHOWN_REASONS: usize = 10;

/// How long to wait for blocking threads on exit.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(200);

/// Runs a tool on a new runtime.
pub(crate) fn run(tool: Tool) -> Result<Ended, ToolError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build()
        .map_err(crate::serve_error::ServeError::Runtime)?;
    let ended = runtime.block_on(Box::pin(use_tool(tool)));
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    ended
}

async fn use_tool(tool: Tool) -> Result<Ended, ToolError> {
    match tool {
        Tool::Run(options) => Box::pin(run::run(*options)).await,
        Tool::List(options) => list(options).await,
        Tool::Show(options) => show(options).await,
        Tool::Cancel(options) => cancel(options).await,
        Tool::Retry(options) => start_lap(options, LapVerb::Retry).await,
        Tool::Continue(options) => start_lap(options, LapVerb::Continue).await,
        Tool::Results(options) => results(options).await,
        Tool::Watch(options) => watch(options).await,
    }
}

/// Returns the named batch, or the newest one.
async fn batch_of(api: &mut Api, named: Option<BatchId>) -> Result<BatchId, ToolError> {
    match named {
        Some(id) => Ok(id),
        None => api.last().await,
    }
}

async fn list(ListOptions { target, json }: ListOptions) -> Result<Ended, ToolError> {
    with_session(&target, LocalOptions::NO_WORKERS, async |session| {
        let mut after = None;
        let mut stdout = std::io::stdout();
        if !json {
            writeln!(
                stdout,
                "{:32}  {:9}  {:8}  {:>9}  {:>9}  {:>9}  launched",
                "batch", "status", "work", "tasks", "done", "failed"
            )?;
        }
        loop {
            let BatchList { batches, next } = session.api.list(after, LIST_LIMIT).await?;
            for batch in &batches {
                if json {
                    progress::print_json(batch)?;
                } else {
                    writeln!(stdout, "{}", line(batch))?;
                }
            }
            after = next;
            if after.is_none() {
                return Ok(Ended::Done);
            }
        }
    })
    .await
}

/// Formats a batch as a line of the list.
fn line(batch: &BatchDocument) -> String {
    let BatchDocument { id, status, work, tasks, done, failed, created_at, .. } = batch;
    let (status, kind) = (status.as_str(), &work.kind);
    format!("{id:32}  {status:9}  {kind:8}  {tasks:>9}  {done:>9}  {failed:>9}  {created_at}")
}

async fn show(OneOptions { batch, target, output_options }: OneOptions) -> Result<Ended, ToolError> {
    with_session(&target, LocalOptions::NO_WORKERS, async |session| {
        let id = batch_of(&mut session.api, batch).await?;
        let batch = session.api.batch(id).await?;
        print_batch(&batch, output_options)?;
        if batch.failed > 0 && !output_options.json && !output_options.quiet {
            let ReasonList { reasons, total } = session.api.reasons(id).await?;
            for ReasonCount { reason, squares } in reasons.iter().take(SHOWN_REASONS) {
                writeln!(std::io::stdout(), "{:20} {squares} x {reason}", "reason")?;
            }
            if total as usize > SHOWN_REASONS {
                writeln!(std::io::stdout(), "{:20} {} in all", "reasons", total)?;
            }
        }
        Ok(Ended::Done)
    })
    .await
}

/// Prints a batch: as JSON, or one line per member.
fn print_batch(batch: &BatchDocument, output_options: OutputOptions) -> std::io::Result<()> {
    if output_options.json {
        return progress::print_json(batch);
    }
    let batch = serde_json::to_value(batch)?;
    let members =
        batch.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null() && !output_options.quiet);
    for (name, value) in members {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        writeln!(std::io::stdout(), "{name:20} {value}")?;
    }
    Ok(())
}

async fn cancel(CancelOptions { one, drain }: CancelOptions) -> Result<Ended, ToolError> {
    let OneOptions { batch, target, output_options } = one;
    with_session(&target, LocalOptions::NO_WORKERS, async |session| {
        // A local server of this process runs no tasks, so there is nothing to drain.
        let action = if drain && !session.owns_server() { "cancel?drain=true" } else { "cancel" };
        let id = batch_of(&mut session.api, batch).await?;
        let batch = session.api.control(id, action).await?;
        if output_options.json {
            progress::print_json(&batch)?;
        } else if !output_options.quiet {
            writeln!(std::io::stdout(), "{}", line(&batch))?;
        }
        Ok(Ended::Done)
    })
    .await
}

/// Starts a lap and follows it to its end.
async fn start_lap(options: LapOptions, verb: LapVerb) -> Result<Ended, ToolError> {
    let request = options.request();
    let OneOptions { batch, target, output_options } = options.one;
    with_session(&target, LocalOptions::DEFAULT, async |session| {
        let id = batch_of(&mut session.api, batch).await?;
        session.api.start_lap(id, verb, &request).await?;
        run::follow_to_end(session, id, output_options).await
    })
    .await
}

async fn results(options: ResultsOptions) -> Result<Ended, ToolError> {
    let file = OutputFile::of(&options.output, options.format)?;
    with_session(&options.target, LocalOptions::NO_WORKERS, async |session| {
        let id = batch_of(&mut session.api, options.batch).await?;
        results::write(&mut session.api, id, &file, options.state).await?;
        Ok(Ended::Done)
    })
    .await
}

async fn watch(OneOptions { batch, target, .. }: OneOptions) -> Result<Ended, ToolError> {
    with_session(&target, LocalOptions::NO_WORKERS, async |session| {
        let id = batch_of(&mut session.api, batch).await?;
        // Returns an error if there is no such batch. The channel would be retried.
        session.api.batch(id).await?;
        watch::watch(session, id).await
    })
    .await
}
