//! Builds launch requests from command-line options.

use std::io::{IsTerminal, Read};
use std::path::Path;

use ::api::{LaunchRequest, Number, WorkSpec};
use quilt::{Timestamp, Tolerance};
use serde_json::{Map, Value, json};

use super::args::{RunOptions, Work};
use super::error::ToolError;
use super::session::{DEFAULT_CONCURRENCY, LocalOptions};

/// Separates a program and its arguments from the items.
const ITEM_SEPARATOR: &str = ":::";

/// A batch to launch.
pub(super) struct PreparedLaunch {
    pub(super) request: LaunchRequest,
    pub(super) file: Option<Vec<u8>>,
    /// Whether the output of the tasks is printed at the end.
    pub(super) shows_output: bool,
}

/// The work of a launch, with its parameters and input.
#[derive(Default)]
struct PreparedWork {
    kind: &'static str,
    parameters: Map<String, Value>,
    file: Option<Vec<u8>>,
    /// The default for rows and columns, if they do not follow from the number of tasks.
    side: Option<u32>,
}

impl PreparedWork {
    fn put(&mut self, name: &str, value: impl Into<Value>) {
        let value = value.into();
        if !value.is_null() {
            self.parameters.insert(name.into(), value);
        }
    }
}

/// The options of a local server that runs the batch.
pub(super) fn local_options(options: &RunOptions) -> LocalOptions {
    let default = if matches!(options.work, Some(Work::Command { .. })) { processors() } else { DEFAULT_CONCURRENCY };
    LocalOptions { workers: options.batch.jobs.unwrap_or(default), fetch_allow: options.allow.clone() }
}

/// Builds the launch request, and reads the input files.
pub(super) fn prepare(work: &Work, options: &RunOptions) -> Result<PreparedLaunch, ToolError> {
    let prepared = prepare_work(work, options.target.url.is_some())?;
    let options = &options.batch;
    let is_command = prepared.kind == "command";
    let PreparedWork { kind, parameters, file, side } = prepared;
    let millis = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let timeout = options.timeout.map(millis).or(is_command.then_some(3_600_000));
    let (tolerated_failures, max_failures) = Tolerance::parts(options.halt.map(|halt| halt.tolerance));
    let request = LaunchRequest {
        rows: options.rows.or(side).map(Into::into),
        columns: options.columns.or(side).map(Into::into),
        seed: options.seed.map(Number::from_u64),
        attempts: options.attempts.or(is_command.then_some(1)).map(Into::into),
        timeout_ms: timeout.map(Number::from_u64),
        concurrency: options.jobs.or(is_command.then(processors)).map(Into::into),
        tolerated_failures: tolerated_failures.and_then(Number::from_f64),
        max_failures: max_failures.map(Into::into),
        halt: options.halt.map(|halt| halt.how.as_str().into()),
        deadline_ms: options.deadline.map(millis).map(Number::from_u64),
        order: options.order.map(|order| order.as_str().into()),
        title: options.title.clone(),
        labels: options.labels.iter().cloned().collect(),
        priority: options.priority.map(|priority| priority.as_str().into()),
        not_before: options.not_before.and_then(Timestamp::to_rfc3339),
        ..LaunchRequest::new(WorkSpec { kind: kind.into(), parameters })
    };
    Ok(PreparedLaunch { request, file, shows_output: is_command })
}

fn processors() -> u32 {
    std::thread::available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(u32::MAX))
}

fn prepare_work(work: &Work, is_remote: bool) -> Result<PreparedWork, ToolError> {
    let mut prepared = PreparedWork::default();
    match work {
        Work::Color { duration_ms, failure_rate } => {
            prepared.kind = "color";
            prepared.side = Some(8);
            prepared.put("failure_rate", *failure_rate);
            if let [shortest, longest] = duration_ms[..] {
                prepared.put("duration_ms", json!([shortest, longest]));
            }
        }
        Work::Render { preset, side, zoom, center, iterations, palette, samples } => {
            prepared.kind = "render";
            let of_view = preset.as_deref().and_then(kinds::render::preset_side);
            prepared.side = side.or(of_view.map(u32::from)).or(Some(256));
            prepared.put("preset", preset.clone());
            prepared.put("zoom", *zoom);
            prepared.put("iterations", *iterations);
            prepared.put("palette", palette.clone());
            prepared.put("samples", *samples);
            if let [re, im] = center[..] {
                prepared.put("center", json!([re, im]));
            }
        }
        Work::Image { file, width, height, filter, effect } => {
            prepared.kind = "image";
            prepared.side = Some(16);
            prepared.file = Some(read_file(file)?);
            prepared.put("width", *width);
            prepared.put("height", *height);
            prepared.put("filter", filter.clone());
            prepared.put("effect", effect.clone());
        }
        Work::Fetch { from, sitemap, per_host, per_host_per_second, redirects, max_bytes } => {
            prepared.kind = "fetch";
            let mut list = Vec::new();
            for from in from {
                match from.starts_with("http://") || from.starts_with("https://") {
                    true => list.extend_from_slice(from.as_bytes()),
                    false => list.extend(read_file(Path::new(from))?),
                }
                list.push(b'\n');
            }
            prepared.file = (!list.is_empty()).then_some(list);
            prepared.put("sitemap", sitemap.clone());
            prepared.put("per_host", *per_host);
            prepared.put("per_host_per_second", *per_host_per_second);
            prepared.put("redirects", *redirects);
            prepared.put("max_bytes", *max_bytes);
        }
        Work::Command { items, name, program } => {
            prepare_command(&mut prepared, items.as_deref(), name.as_deref(), program, is_remote)?;
        }
    }
    Ok(prepared)
}

fn prepare_command(
    prepared: &mut PreparedWork,
    items: Option<&Path>,
    name: Option<&str>,
    program: &[String],
    is_remote: bool,
) -> Result<(), ToolError> {
    prepared.kind = "command";
    let mut parts = program.splitn(2, |part| part == ITEM_SEPARATOR);
    let (program, listed) = (parts.next().unwrap_or_default(), parts.next());
    prepared.put("name", name);
    if let Some((program, args)) = program.split_first() {
        prepared.put("program", program.clone());
        prepared.put("args", args);
        if !is_remote {
            let dir = std::env::current_dir().map_err(|source| ToolError::File { path: ".".into(), source })?;
            prepared.put("dir", dir.to_string_lossy());
        }
    }
    match (listed, items) {
        (Some(_), Some(_)) => {
            return Err(ToolError::Usage(format!("items come from --items or from {ITEM_SEPARATOR}, not from both")));
        }
        (Some(listed), None) => prepared.put("items", listed),
        (None, Some(file)) => prepared.file = Some(read_file(file)?),
        (None, None) if !std::io::stdin().is_terminal() => prepared.file = Some(read_file(Path::new("-"))?),
        (None, None) => prepared.side = Some(1),
    }
    if prepared.file.as_ref().is_some_and(Vec::is_empty) || listed.is_some_and(<[String]>::is_empty) {
        return Err(ToolError::Usage("there are no items".into()));
    }
    Ok(())
}

/// Reads a file, or standard input for `-`.
fn read_file(path: &Path) -> Result<Vec<u8>, ToolError> {
    let read = match path.as_os_str() == "-" {
        true => {
            let mut content = Vec::new();
            std::io::stdin().read_to_end(&mut content).map(|_| content)
        }
        false => std::fs::read(path),
    };
    read.map_err(|source| ToolError::File { path: path.into(), source })
}
