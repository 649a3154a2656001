//! `quilt run`: launches a batch, and sees it to its finish line.

use std::io::Write;

use quilt::{BatchId, Status};
use serde_json::Value;

use super::api::Api;
use super::args::{Place, RunOptions, Telling};
use super::error::{Ended, ToolError};
use super::follow::Follower;
use super::launch;
use super::place::Opened;
use super::progress::Progress;
use super::results::{self, Target};
use crate::server::asked_to_stop;

/// How many failures are shown when all is over.
const SHOWN: u32 = 5;

/// `quilt run`.
pub(super) async fn run(options: RunOptions) -> Result<Ended, ToolError> {
    let target = Target::of(options.output.as_deref(), options.format)?;
    let is_again = options.resume || options.retry_failed;
    let to_launch = match (&options.work, is_again) {
        (_, true) => None,
        (Some(work), false) => Some(launch::read(work, &options)?),
        (None, false) => return Err(ToolError::Usage("there is nothing to run; see quilt run --help".into())),
    };
    let needs = to_launch.as_ref().map_or_else(|| launch::needs_of_any(&options), |to_launch| to_launch.needs.clone());
    let mut opened = Opened::open(&options.place, needs).await?;
    let shows_output = to_launch.as_ref().is_some_and(|to_launch| to_launch.shows_output);
    let api = &mut opened.api;
    let id = match to_launch {
        Some(to_launch) => api.launch(&to_launch.request, to_launch.file).await?,
        None => {
            let id = match options.named {
                Some(id) => id,
                None if options.resume => unfinished(api).await?,
                None => api.last().await?,
            };
            match options.resume {
                true => drop(api.control(id, "resume").await?),
                false => api.retry(id).await?,
            }
            id
        }
    };
    if options.open {
        let page = api.page(id);
        if let Err(error) = open::that_detached(&page) {
            eprintln!("cannot open {page}: {error}");
        }
    }
    let seen = see(&mut opened, id, options.telling).await;
    let ended = match seen {
        Ok(Ended::Interrupted) => Ended::Interrupted,
        Ok(ended) => {
            let api = &mut opened.api;
            if let Some(target) = target {
                results::write(api, id, &target, None).await?;
            } else if shows_output && !options.telling.quiet && !options.telling.json {
                results::print_output(api, id).await?;
            }
            if ended == Ended::Failed && !options.telling.quiet && !options.telling.json {
                show_failures(api, id, &options.place).await?;
            }
            if options.stay {
                eprintln!("The page stays at {} until Ctrl+C", api.page(id));
                asked_to_stop().await;
            }
            ended
        }
        Err(error) => {
            let _ = opened.close().await;
            return Err(error);
        }
    };
    opened.close().await?;
    Ok(ended)
}

/// The last batch that has not come to its end.
async fn unfinished(api: &mut Api) -> Result<BatchId, ToolError> {
    let list = api.list(None).await?;
    let mut batches = list.get("batches").and_then(Value::as_array).into_iter().flatten();
    let unfinished = batches.find(|batch| {
        let status = batch.get("status").and_then(Value::as_str);
        matches!(status, Some("running" | "paused"))
    });
    let id = unfinished.and_then(|batch| batch.get("id")?.as_str()?.parse().ok());
    id.ok_or_else(|| ToolError::Usage("there is no batch here that was interrupted".into()))
}

/// Sees a batch to its end, or to an interrupt.
pub(super) async fn see(opened: &mut Opened, id: BatchId, telling: Telling) -> Result<Ended, ToolError> {
    let mut progress = Progress::new(telling);
    progress.begin(id, &opened.api.page(id))?;
    let mut follower = Follower::new(opened.api.clone(), id);
    let mut interrupt = std::pin::pin!(asked_to_stop());
    loop {
        let quilt = tokio::select! {
            quilt = follower.next() => quilt?,
            () = &mut interrupt => {
                progress.clear();
                interrupted(opened, id, telling).await?;
                return Ok(Ended::Interrupted);
            }
        };
        progress.update(quilt)?;
        if quilt.status().is_over() {
            progress.end(quilt)?;
            let all_done = quilt.status() == Status::Finished && quilt.progress().failed == 0;
            return Ok(if all_done { Ended::Done } else { Ended::Failed });
        }
    }
}

async fn interrupted(opened: &mut Opened, id: BatchId, telling: Telling) -> Result<(), ToolError> {
    if opened.is_own() {
        // So that it goes on when it is asked to, and not with the next batch.
        opened.api.control(id, "pause").await?;
    }
    if !telling.quiet {
        match opened.is_own() {
            true => eprintln!("Interrupted. What is done is kept: quilt run --resume goes on with the rest."),
            false => eprintln!("It goes on at {}", opened.api.page(id)),
        }
    }
    Ok(())
}

async fn show_failures(api: &mut Api, id: BatchId, place: &Place) -> Result<(), ToolError> {
    let rows = results::rows(api, id, &format!("state=failed&limit={SHOWN}")).await?;
    let mut stderr = std::io::stderr();
    for row in &rows {
        let of = |name: &str| row.get(name).and_then(Value::as_str);
        let place = match of("item") {
            Some(item) => item.to_owned(),
            None => format!(
                "row {}, column {}",
                row.get("row").unwrap_or(&Value::Null),
                row.get("column").unwrap_or(&Value::Null)
            ),
        };
        writeln!(stderr, "  {place}: {}", of("failed").unwrap_or_default())?;
    }
    if rows.len() == SHOWN as usize {
        writeln!(stderr, "  and maybe others: quilt results --state failed")?;
    }
    let batch = api.look(id).await?;
    if batch.get("status").is_some_and(|status| status != "finished") {
        return Ok(());
    }
    let where_to = place.url.as_ref().map(|url| format!(" --url {url}")).unwrap_or_default();
    writeln!(stderr, "quilt run{where_to} --retry-failed runs what has failed once more")?;
    Ok(())
}
