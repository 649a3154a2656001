//! The summary of a batch, for rendered pages.

use super::DecodeError;
use super::bytes::{Reader, put_optional, put_varint};
use super::lap::{put_cause, read_cause, read_concurrency};
use super::launched::{put_launched, read_launched};
use crate::event::Launched;
use crate::grid::{Index, MAX_SQUARES};
use crate::state::MAX_LAPS;
use crate::summary::{Progress, Status, Summary};
use crate::timestamp::Timestamp;

/// Encodes a summary.
#[must_use]
pub fn encode_summary(summary: &Summary) -> Vec<u8> {
    let Summary { spec, status, lap, lap_tasks, progress, created_at, started_at, ended_at, .. } = summary;
    let mut out = Vec::new();
    put_launched(&mut out, &Launched::new(spec.clone(), *created_at));
    out.push(match status {
        Status::Running => 0,
        Status::Paused => 1,
        Status::Finished => 2,
        Status::Cancelled => 3,
        Status::Draining => 4,
    });
    for number in [*lap, *lap_tasks, progress.done, progress.failed, progress.not_run] {
        put_varint(&mut out, number.into());
    }
    put_varint(&mut out, started_at.0);
    put_optional(&mut out, ended_at.map(|at| at.0));
    let last_across = summary.last_across.and_then(|square| spec.grid.index(square));
    put_optional(&mut out, last_across.map(|index| index.0.into()));
    put_optional(&mut out, summary.concurrency.map(u64::from));
    out.push(u8::from(summary.cancelled_because.is_some()));
    if let Some(cause) = summary.cancelled_because {
        put_cause(&mut out, cause);
    }
    out
}

/// Decodes a summary that [`encode_summary`] wrote.
///
/// # Errors
///
/// A [`DecodeError`] for all other bytes.
pub fn decode_summary(bytes: &[u8]) -> Result<Summary, DecodeError> {
    let mut reader = Reader::new(bytes);
    let launched = read_launched(&mut reader)?;
    let grid = launched.spec.grid;
    let tasks = grid.squares();
    let status = match reader.byte()? {
        0 => Status::Running,
        1 => Status::Paused,
        2 => Status::Finished,
        3 => Status::Cancelled,
        4 => Status::Draining,
        kind => return Err(DecodeError::UnknownKind(kind)),
    };
    let lap = reader.number("a lap", MAX_LAPS as u32)?;
    let lap_tasks = reader.number("a lap's tasks", MAX_SQUARES)?;
    let done = reader.number("a number of squares", tasks)?;
    let failed = reader.number("a number of squares", tasks - done)?;
    let not_run = reader.number("a number of squares", tasks - done - failed)?;
    let started_at = reader.timestamp()?;
    let ended_at = reader.optional("a time")?.map(Timestamp);
    let last_across = match reader.optional("a square")? {
        Some(index) => {
            let index = u32::try_from(index).ok().filter(|index| *index < tasks);
            Some(grid.square(Index(index.ok_or(DecodeError::OutOfRange("a square"))?)))
        }
        None => None,
    };
    let concurrency = read_concurrency(&mut reader)?;
    let cancelled_because = if reader.byte()? == 1 { Some(read_cause(&mut reader)?) } else { None };
    reader.finish()?;
    let progress = Progress { tasks, done, failed, not_run };
    let summary = Summary::of_launch(launched);
    Ok(Summary {
        status,
        lap,
        lap_tasks,
        progress,
        started_at,
        ended_at,
        last_across,
        concurrency,
        cancelled_because,
        ..summary
    })
}
