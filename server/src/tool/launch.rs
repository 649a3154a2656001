//! From what was said on the command line to what is launched.

use std::io::{IsTerminal, Read};
use std::path::Path;

use ::api::{LaunchRequest, Number, WorkSpec};
use quilt::{Timestamp, Tolerance};
use serde_json::{Map, Value, json};

use super::args::{RunOptions, Work};
use super::error::ToolError;
use super::session::{Needs, WAITING};

/// What stands between a program and its items on a command line.
const ITEMS: &str = ":::";

/// A batch to launch.
pub(super) struct ToLaunch {
    pub(super) request: LaunchRequest,
    pub(super) file: Option<Vec<u8>>,
    /// Whether what the tasks write is to be shown.
    pub(super) shows_output: bool,
}

/// Work with its parameters, and what is particular about it.
#[derive(Default)]
struct Described {
    kind: &'static str,
    parameters: Map<String, Value>,
    file: Option<Vec<u8>>,
    /// Rows and columns, where they are not said and do not follow from the tasks.
    side: Option<u32>,
}

impl Described {
    fn put(&mut self, name: &str, value: impl Into<Value>) {
        let value = value.into();
        if !value.is_null() {
            self.parameters.insert(name.into(), value);
        }
    }
}

/// What has to be there for a batch to run.
pub(super) fn needs(options: &RunOptions) -> Needs {
    let usual = if matches!(options.work, Some(Work::Command { .. })) { processors() } else { WAITING };
    Needs { workers: options.batch.jobs.unwrap_or(usual), fetch_allow: options.allow.clone() }
}

/// Reads what was said, and the files that it names.
pub(super) fn read(work: &Work, options: &RunOptions) -> Result<ToLaunch, ToolError> {
    let described = describe(work, options.target.url.is_some())?;
    let options = &options.batch;
    let is_command = described.kind == "command";
    let Described { kind, parameters, file, side } = described;
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
    Ok(ToLaunch { request, file, shows_output: is_command })
}

fn processors() -> u32 {
    std::thread::available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(u32::MAX))
}

fn describe(work: &Work, is_remote: bool) -> Result<Described, ToolError> {
    let mut described = Described::default();
    match work {
        Work::Color { duration_ms, failure_rate } => {
            described.kind = "color";
            described.side = Some(8);
            described.put("failure_rate", *failure_rate);
            if let [shortest, longest] = duration_ms[..] {
                described.put("duration_ms", json!([shortest, longest]));
            }
        }
        Work::Render { preset, side, zoom, center, iterations, palette, samples } => {
            described.kind = "render";
            let of_view = preset.as_deref().and_then(kinds::render::preset_side);
            described.side = side.or(of_view.map(u32::from)).or(Some(256));
            described.put("preset", preset.clone());
            described.put("zoom", *zoom);
            described.put("iterations", *iterations);
            described.put("palette", palette.clone());
            described.put("samples", *samples);
            if let [re, im] = center[..] {
                described.put("center", json!([re, im]));
            }
        }
        Work::Image { file, width, height, filter, effect } => {
            described.kind = "image";
            described.side = Some(16);
            described.file = Some(read_file(file)?);
            described.put("width", *width);
            described.put("height", *height);
            described.put("filter", filter.clone());
            described.put("effect", effect.clone());
        }
        Work::Fetch { from, sitemap, per_host, per_host_per_second, redirects, max_bytes } => {
            described.kind = "fetch";
            let mut list = Vec::new();
            for from in from {
                match from.starts_with("http://") || from.starts_with("https://") {
                    true => list.extend_from_slice(from.as_bytes()),
                    false => list.extend(read_file(Path::new(from))?),
                }
                list.push(b'\n');
            }
            described.file = (!list.is_empty()).then_some(list);
            described.put("sitemap", sitemap.clone());
            described.put("per_host", *per_host);
            described.put("per_host_per_second", *per_host_per_second);
            described.put("redirects", *redirects);
            described.put("max_bytes", *max_bytes);
        }
        Work::Command { items, name, program } => {
            describe_command(&mut described, items.as_deref(), name.as_deref(), program, is_remote)?;
        }
    }
    Ok(described)
}

fn describe_command(
    described: &mut Described,
    items: Option<&Path>,
    name: Option<&str>,
    program: &[String],
    is_remote: bool,
) -> Result<(), ToolError> {
    described.kind = "command";
    let mut parts = program.splitn(2, |part| part == ITEMS);
    let (program, listed) = (parts.next().unwrap_or_default(), parts.next());
    described.put("name", name);
    if let Some((program, args)) = program.split_first() {
        described.put("program", program.clone());
        described.put("args", args);
        if !is_remote {
            let dir = std::env::current_dir().map_err(|source| ToolError::File { path: ".".into(), source })?;
            described.put("dir", dir.to_string_lossy());
        }
    }
    match (listed, items) {
        (Some(_), Some(_)) => {
            return Err(ToolError::Usage(format!("items come from --items or from {ITEMS}, not from both")));
        }
        (Some(listed), None) => described.put("items", listed),
        (None, Some(file)) => described.file = Some(read_file(file)?),
        (None, None) if !std::io::stdin().is_terminal() => described.file = Some(read_file(Path::new("-"))?),
        (None, None) => described.side = Some(1),
    }
    if described.file.as_ref().is_some_and(Vec::is_empty) || listed.is_some_and(<[String]>::is_empty) {
        return Err(ToolError::Usage("there are no items".into()));
    }
    Ok(())
}

/// The content of a file, or of standard input.
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
