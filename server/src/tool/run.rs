//! `quilt run`: launches a batch and follows it to its finish line.

use std::io::Write;

use ::api::{LapRequest, ResultFormat, ResultLine, ResultsQuery, TaskState};
use quilt::BatchId;

use super::api::{Api, LIST_LIMIT, LapVerb, id_of};
use super::args::{OutputOptions, RunOptions, Target};
use super::error::{Ended, ToolError};
use super::follow::Follower;
use super::launch;
use super::progress::Progress;
use super::results::{self, OutputFile};
use super::session::{Session, with_session};
use crate::server::shutdown_signal;

/// Maximum number of failures that are printed at the end.
const SHOWN_FAILURES: u32 = 5;

/// `quilt run`.
pub(super) async fn run(options: RunOptions) -> Result<Ended, ToolError> {
    let file = options.output.as_deref().map(|path| OutputFile::of(path, options.format)).transpose()?;
    let prepared = match (&options.work, options.resume || options.retry_failed) {
        (_, true) => None,
        (Some(work), false) => Some(launch::prepare(work, &options)?),
        (None, false) => return Err(ToolError::Usage("there is nothing to run; see quilt run --help".into())),
    };
    let local = launch::local_options(&options);
    with_session(&options.target, local, async |session| {
        let shows_output = prepared.as_ref().is_some_and(|prepared| prepared.shows_output);
        let id = match prepared {
            Some(prepared) => session.api.launch(&prepared.request, prepared.file).await?,
            None => resume(&mut session.api, &options).await?,
        };
        if options.open {
            let page = session.api.page(id);
            if let Err(error) = open::that_detached(&page) {
                eprintln!("cannot open {page}: {error}");
            }
        }
        let ended = follow_to_end(session, id, options.output_options).await?;
        if ended == Ended::Interrupted {
            return Ok(ended);
        }
        let api = &mut session.api;
        let is_for_people = !options.output_options.quiet && !options.output_options.json;
        match file {
            Some(file) => results::write(api, id, &file, None).await?,
            None if shows_output && is_for_people => results::print_output(api, id).await?,
            None => {}
        }
        if ended == Ended::Failed && is_for_people {
            show_failures(api, id, &options.target).await?;
        }
        if options.stay {
            eprintln!("The page stays at {} until Ctrl+C", api.page(id));
            shutdown_signal().await;
        }
        Ok(ended)
    })
    .await
}

/// Resumes an earlier batch, or retries its failed tasks.
async fn resume(api: &mut Api, options: &RunOptions) -> Result<BatchId, ToolError> {
    let id = match options.named {
        Some(id) => id,
        None if options.resume => unfinished(api).await?,
        None => api.last().await?,
    };
    match options.resume {
        true => drop(api.control(id, "resume").await?),
        false => api.start_lap(id, LapVerb::Retry, &LapRequest::default()).await?,
    }
    Ok(id)
}

/// Returns the newest unfinished batch.
async fn unfinished(api: &mut Api) -> Result<BatchId, ToolError> {
    let list = api.list(None, LIST_LIMIT).await?;
    let id = list.batches.iter().find(|batch| !batch.status.is_over()).and_then(id_of);
    id.ok_or_else(|| ToolError::Usage("there is no batch here that was interrupted".into()))
}

/// Prints the progress of a batch until it ends or an interrupt.
pub(super) async fn follow_to_end(
    session: &mut Session,
    id: BatchId,
    output_options: OutputOptions,
) -> Result<Ended, ToolError> {
    let mut progress = Progress::new(output_options);
    progress.begin(id, &session.api.page(id))?;
    let mut follower = Follower::new(session.api.clone(), id);
    let mut interrupt = std::pin::pin!(shutdown_signal());
    loop {
        let quilt = tokio::select! {
            quilt = follower.next() => quilt?,
            () = &mut interrupt => {
                progress.clear();
                handle_interrupt(session, id, output_options).await?;
                return Ok(Ended::Interrupted);
            }
        };
        progress.update(quilt)?;
        if quilt.status().is_over() {
            progress.end(quilt)?;
            return Ok(Ended::of(quilt));
        }
    }
}

async fn handle_interrupt(session: &mut Session, id: BatchId, output_options: OutputOptions) -> Result<(), ToolError> {
    if session.owns_server() {
        // A paused batch only continues with --resume, and not when another batch is run.
        session.api.control(id, "pause").await?;
    }
    if !output_options.quiet {
        match session.owns_server() {
            true => eprintln!("Interrupted. What is done is kept: quilt run --resume goes on with the rest."),
            false => eprintln!("It goes on at {}", session.api.page(id)),
        }
    }
    Ok(())
}

async fn show_failures(api: &mut Api, id: BatchId, target: &Target) -> Result<(), ToolError> {
    let (format, state, limit) = (Some(ResultFormat::Ndjson), Some(TaskState::Failed), Some(SHOWN_FAILURES));
    let lines = results::lines(api, id, &ResultsQuery { format, state, limit, ..ResultsQuery::default() }).await?;
    let mut stderr = std::io::stderr();
    for ResultLine { row, column, item, failed, .. } in &lines {
        let place = item.clone().unwrap_or_else(|| format!("row {row}, column {column}"));
        writeln!(stderr, "  {place}: {}", failed.as_deref().unwrap_or_default())?;
    }
    if lines.len() == SHOWN_FAILURES as usize {
        writeln!(stderr, "  and maybe others: quilt results --state failed")?;
    }
    let where_to = target.url.as_ref().map(|url| format!(" --url {url}")).unwrap_or_default();
    writeln!(stderr, "quilt run{where_to} --retry-failed runs what has failed once more")?;
    if api.batch(id).await?.not_run > 0 {
        writeln!(stderr, "quilt continue{where_to} runs what was not run")?;
    }
    Ok(())
}
