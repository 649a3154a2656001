//! The tools on the command line: they launch, watch and control batches, here or at a server, through the same API as everybody.
//!
//! # Layout
//!
//! - [`args`]: what can be said to them, with `values` and `choices`; [`error`]: why they do not do it
//! - `session`: the connection to a remote or local server; `api`: its HTTP API
//! - `follow`: the fold of a batch, as it goes on
//! - `run`: launches a batch and sees it to its end; `launch`: what it is made of; `progress`: what is told of it
//! - `results`: what came of it; `watch`: the quilt in the terminal

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

/// Threads for whatever blocks: work that computes, and reading files.
const BLOCKING_THREADS: usize = 256;

/// How many reasons of failures are shown, the most frequent ones first.
const SHOWN_REASONS: usize = 10;

/// How long what is left on other threads may take at the end.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(200);

/// Does what a tool does, from its beginning to its end.
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

/// The batch that was named, or the last one.
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

/// A batch in a line.
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

/// What is known of a batch, a line each.
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
        // If no other process has the batch, nothing of it runs.
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

/// Starts a lap, and sees it to its end.
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
        // Whether it is there at all.
        session.api.batch(id).await?;
        watch::watch(session, id).await
    })
    .await
}
