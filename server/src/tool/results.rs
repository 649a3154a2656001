//! The results of a batch: into a file, on standard output, or as what the commands wrote.

use std::io::Write;
use std::path::{Path, PathBuf};

use quilt::BatchId;
use reqwest::Response;
use serde_json::Value;

use super::api::Api;
use super::error::ToolError;
use crate::api::{Format, Standing};

/// Where results go.
pub(super) struct Target {
    path: PathBuf,
    format: Format,
}

impl Target {
    /// What a path and a format mean.
    pub(super) fn of(path: &Path, format: Option<Format>) -> Result<Self, ToolError> {
        let named = path.extension().and_then(|extension| extension.to_str()).and_then(|extension| match extension {
            "csv" => Some(Format::Csv),
            "ndjson" | "jsonl" | "json" => Some(Format::Ndjson),
            "png" => Some(Format::Png),
            _ => None,
        });
        let is_stdout = path.as_os_str() == "-";
        let format = format.or(named).or(is_stdout.then_some(Format::Ndjson)).ok_or_else(|| {
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
    target: &Target,
    state: Option<Standing>,
) -> Result<(), ToolError> {
    let state = state.map(|state| format!("&state={}", state.as_str())).unwrap_or_default();
    let results = api.results(id, &format!("format={}{state}", target.format.as_str())).await?;
    if target.path.as_os_str() == "-" {
        return copy(api, results, &mut std::io::stdout().lock()).await;
    }
    let failed = |source| ToolError::File { path: target.path.clone(), source };
    // A file that is there is replaced by one that is whole.
    let mut part = target.path.clone().into_os_string();
    part.push(".part");
    let mut file = std::fs::File::create(&part).map_err(failed)?;
    copy(api, results, &mut file).await?;
    std::fs::rename(&part, &target.path).map_err(failed)
}

async fn copy(api: &Api, mut results: Response, to: &mut impl Write) -> Result<(), ToolError> {
    while let Some(piece) = results.chunk().await.map_err(|error| api.unreachable(error))? {
        to.write_all(&piece)?;
    }
    Ok(to.flush()?)
}

/// Hands on each line of results that comes.
async fn each_row(
    api: &Api,
    mut results: Response,
    mut take: impl FnMut(Value) -> std::io::Result<()>,
) -> Result<(), ToolError> {
    let mut rest = Vec::new();
    while let Some(piece) = results.chunk().await.map_err(|error| api.unreachable(error))? {
        rest.extend_from_slice(&piece);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            take(serde_json::from_slice(&line).map_err(|error| api.unreachable(error))?)?;
        }
    }
    Ok(())
}

/// Some results.
pub(super) async fn rows(api: &mut Api, id: BatchId, query: &str) -> Result<Vec<Value>, ToolError> {
    let results = api.results(id, query).await?;
    let mut rows = Vec::new();
    each_row(api, results, |row| {
        rows.push(row);
        Ok(())
    })
    .await?;
    Ok(rows)
}

/// What the commands of a batch wrote, in the order of their items.
pub(super) async fn print_output(api: &mut Api, id: BatchId) -> Result<(), ToolError> {
    let results = api.results(id, "format=ndjson").await?;
    let (mut stdout, mut stderr) = (std::io::stdout().lock(), std::io::stderr().lock());
    let mut is_cut = false;
    each_row(api, results, |row| {
        let detail = row.get("detail");
        is_cut |=
            detail.is_some_and(|detail| detail.get("stdout_bytes").is_some() || detail.get("stderr_bytes").is_some());
        let of = |name: &str| detail.and_then(|detail| detail.get(name)?.as_str()).unwrap_or_default();
        stdout.write_all(of("stdout").as_bytes())?;
        stderr.write_all(of("stderr").as_bytes())
    })
    .await?;
    stdout.flush()?;
    match is_cut {
        true => Err(ToolError::Cut),
        false => Ok(()),
    }
}
