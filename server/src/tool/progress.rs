//! Prints the progress of a batch while it runs.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use quilt::{BatchId, Quilt, Status};
use serde::Serialize;

use super::args::OutputOptions;

/// Minimum interval between two JSON progress events.
const JSON_INTERVAL: Duration = Duration::from_secs(1);

/// How often the bar is redrawn without progress.
const REDRAW_INTERVAL: Duration = Duration::from_millis(200);

/// An event of the JSON output.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum RunEvent<'a> {
    Launched { batch: BatchId, page: &'a str },
    Progress { done: u32, failed: u32, tasks: u32 },
    Ended { status: Status, done: u32, failed: u32, not_run: u32, tasks: u32 },
}

/// Prints the progress of a batch, as JSON or as a bar.
pub(super) struct Progress {
    output_options: OutputOptions,
    bar: Option<ProgressBar>,
    /// When the last JSON progress event was printed.
    last_event_at: Option<Instant>,
}

impl Progress {
    pub(super) fn new(output_options: OutputOptions) -> Self {
        Self { output_options, bar: None, last_event_at: None }
    }

    /// Prints the start, or the continuation, of a batch.
    pub(super) fn begin(&self, id: BatchId, page: &str) -> std::io::Result<()> {
        if self.output_options.json {
            return print_json(&RunEvent::Launched { batch: id, page });
        }
        if !self.output_options.quiet {
            eprintln!("Watch it at {page}");
        }
        Ok(())
    }

    /// Prints the progress.
    pub(super) fn update(&mut self, quilt: &Quilt) -> std::io::Result<()> {
        let progress = quilt.progress();
        let settled = u64::from(progress.settled());
        if self.output_options.json && self.last_event_at.is_none_or(|at| at.elapsed() >= JSON_INTERVAL) {
            self.last_event_at = Some(Instant::now());
            let quilt::Progress { tasks, done, failed, .. } = progress;
            return print_json(&RunEvent::Progress { done, failed, tasks });
        }
        if self.output_options.json || self.output_options.quiet || !std::io::stderr().is_terminal() {
            return Ok(());
        }
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::new(progress.tasks.into()).with_position(settled);
            bar.set_style(style());
            bar.reset_eta();
            bar.enable_steady_tick(REDRAW_INTERVAL);
            bar
        });
        bar.set_message(match (quilt.status(), progress.failed) {
            (Status::Paused, _) => "paused".into(),
            (Status::Draining, _) => "stopping".into(),
            (_, 0) => String::new(),
            (_, failed) => format!("{failed} failed"),
        });
        bar.set_position(settled);
        Ok(())
    }

    /// Removes the bar, so that other output does not mix with it.
    pub(super) fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// Prints the final counts.
    pub(super) fn end(&mut self, quilt: &Quilt) -> std::io::Result<()> {
        self.clear();
        if self.output_options.json {
            let quilt::Progress { tasks, done, failed, not_run } = quilt.progress();
            return print_json(&RunEvent::Ended { status: quilt.status(), done, failed, not_run, tasks });
        }
        if !self.output_options.quiet {
            let summary = quilt.summary();
            let took = summary.ended_at.map_or(0, |at| at.millis_since(summary.started_at));
            eprintln!("{}, in {:.1} s", counts(quilt), took as f64 / 1_000.0);
        }
        Ok(())
    }
}

/// Formats the status and the counts of a batch.
pub(super) fn counts(quilt: &Quilt) -> String {
    let progress = quilt.progress();
    let counted = |count: u32, what| if count > 0 { format!(", {count} {what}") } else { String::new() };
    let (failed, not_run) = (counted(progress.failed, "failed"), counted(progress.not_run, "not run"));
    format!("{}: {} of {} done{failed}{not_run}", quilt.status().as_str(), progress.done, progress.tasks)
}

/// Prints a value as a line of JSON to standard output.
pub(super) fn print_json(event: &impl Serialize) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{}", serde_json::to_string(event)?)
}

fn style() -> ProgressStyle {
    let style = ProgressStyle::with_template(
        "{bar:32.green/white.dim} {pos}/{len} ({percent} %)  {per_sec}  {elapsed} elapsed, {eta} left  {msg:.red}",
    );
    // Never fails: the template is a valid constant.
    style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("█▌░")
}
