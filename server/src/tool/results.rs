//! Writes the results of a batch to a file or to standard output, and prints the output of commands.

use std::io::Write;
use std::path::{Path, PathBuf};

use ::api::{ResultFormat, ResultLine, ResultsQuery, TaskState};
use kinds::command::CommandRecord;
use quilt::BatchId;
use reqwest::Response;

use super::api::Api;
use super::error::ToolError;

/// The destination of results, and their format.
pub(super) struct OutputFile {
    path: PathBuf,
    format: ResultFormat,
}

impl OutputFile {
    /// Determines the format from the option or the extension of the path; `-` is standard output.
    pub(super) fn of(path: &Path, format: Option<ResultFormat>) -> Result<Self, ToolError> {
        let named = path.extension().and_then(|extension| extension.to_str()).and_then(|extension| match extension {
            "csv" => Some(ResultFormat::Csv),
            "ndjson" | "jsonl" | "json" => Some(ResultFormat::Ndjson),
            "png" => Some(ResultFormat::Png),
            _ => None,
        });
        let is_stdout = path.as_os_str() == "-";
        let format = format.or(named).or(is_stdout.then_some(ResultFormat::Ndjson)).ok_or_else(|| {
            ToolError::Usage(format!(
                "the name {} does not end with .csv, .ndjson or .png; --format says how to write it",
                path.display()
            ))
        })?;
        Ok(Self { path: path.into(), format })
    }
}

/// Writes the results of a batch.
pub(super) async fn write(
    api: &mut Api,
    id: BatchId,
    output: &OutputFile,
    state: Option<TaskState>,
) -> Result<(), ToolError> {
    let query = ResultsQuery { format: Some(output.format), state, ..ResultsQuery::default() };
    let results = api.results(id, &query).await?;
    if output.path.as_os_str() == "-" {
        return copy(api, results, &mut std::io::stdout().lock()).await;
    }
    let failed = |source| ToolError::File { path: output.path.clone(), source };
    // Write to a temporary file first, so that an existing file is only replaced by a complete one.
    let mut part = output.path.clone().into_os_string();
    part.push(".part");
    let mut file = std::fs::File::create(&part).map_err(failed)?;
    copy(api, results, &mut file).await?;
    std::fs::rename(&part, &output.path).map_err(failed)
}

async fn copy(api: &Api, mut results: Response, to: &mut impl Write) -> Result<(), ToolError> {
    while let Some(piece) = results.chunk().await.map_err(|error| api.unreachable(error))? {
        to.write_all(&piece)?;
    }
    Ok(to.flush()?)
}

/// Calls `handle` with each result.
async fn each_line(
    api: &Api,
    mut results: Response,
    mut handle: impl FnMut(ResultLine) -> Result<(), ToolError>,
) -> Result<(), ToolError> {
    let mut rest = Vec::new();
    while let Some(piece) = results.chunk().await.map_err(|error| api.unreachable(error))? {
        rest.extend_from_slice(&piece);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            handle(serde_json::from_slice(&line).map_err(|error| api.unreachable(error))?)?;
        }
    }
    Ok(())
}

/// Returns results. The query must ask for [`ResultFormat::Ndjson`].
pub(super) async fn lines(api: &mut Api, id: BatchId, query: &ResultsQuery) -> Result<Vec<ResultLine>, ToolError> {
    let results = api.results(id, query).await?;
    let mut lines = Vec::new();
    each_line(api, results, |line| {
        lines.push(line);
        Ok(())
    })
    .await?;
    Ok(lines)
}

/// Prints the output of the commands of a batch, in the order of their items.
pub(super) async fn print_output(api: &mut Api, id: BatchId) -> Result<(), ToolError> {
    let query = ResultsQuery { format: Some(ResultFormat::Ndjson), ..ResultsQuery::default() };
    let results = api.results(id, &query).await?;
    let (mut stdout, mut stderr) = (std::io::stdout().lock(), std::io::stderr().lock());
    let mut is_truncated = false;
    each_line(api, results, |line| {
        // Commands that could not be started have no detail.
        let Some(detail) = line.detail else { return Ok(()) };
        let record = CommandRecord::from_detail(detail).map_err(|error| api.unreachable(error))?;
        is_truncated |= record.stdout_bytes.is_some() || record.stderr_bytes.is_some();
        stdout.write_all(record.stdout.as_bytes())?;
        Ok(stderr.write_all(record.stderr.as_bytes())?)
    })
    .await?;
    stdout.flush()?;
    match is_truncated {
        true => Err(ToolError::Truncated),
        false => Ok(()),
    }
}
