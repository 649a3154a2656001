//! A whole quilt, for a viewer who has seen nothing of it.

use super::DecodeError;
use super::bytes::{Reader, put_color, put_optional, put_text, put_varint};
use super::event::{put_cause, put_launched, read_cause, read_concurrency, read_launched};
use crate::cell::{Cell, CellState, ReasonId, intern};
use crate::event::Timestamp;
use crate::grid::{Index, MAX_SQUARES};
use crate::state::{Cancellation, Finish, Lap, MAX_LAPS, Quilt};

const PENDING: u8 = 0;
const DONE: u8 = 1;
const FAILED: u8 = 2;

pub(super) fn put_quilt(out: &mut Vec<u8>, quilt: &Quilt) {
    put_launched(out, &quilt.launched);
    put_varint(out, quilt.step.0);
    put_varint(out, quilt.updated_at.0);
    out.push(u8::from(quilt.is_paused));
    put_optional(out, quilt.concurrency.map(u64::from));
    put_varint(out, u64::from(quilt.controls));
    put_optional(out, quilt.cancellation.map(|how| how.at.0));
    if let Some(how) = quilt.cancellation {
        put_cause(out, how.cause);
    }
    put_varint(out, quilt.earlier_laps.len() as u64);
    for lap in quilt.earlier_laps.iter().chain([&quilt.lap]) {
        put_lap(out, lap);
    }
    put_varint(out, quilt.reasons.len() as u64);
    for reason in &quilt.reasons {
        put_text(out, reason);
    }
    put_cells(out, &quilt.cells);
}

pub(super) fn read_quilt(reader: &mut Reader<'_>) -> Result<Quilt, DecodeError> {
    let mut quilt = Quilt::new(read_launched(reader)?);
    quilt.step = reader.step()?;
    quilt.updated_at = reader.timestamp()?;
    quilt.is_paused = reader.byte()? != 0;
    quilt.concurrency = read_concurrency(reader)?;
    quilt.controls = reader.number("a number of controls", u32::MAX)?;
    quilt.cancellation = match reader.optional("a time")?.map(Timestamp) {
        Some(at) => Some(Cancellation { at, cause: read_cause(reader)? }),
        None => None,
    };
    let earlier = reader.number("a number of laps", MAX_LAPS as u32)?;
    for _ in 0..earlier {
        quilt.earlier_laps.push(read_lap(reader)?);
    }
    quilt.lap = read_lap(reader)?;
    for _ in 0..reader.number("a number of reasons", MAX_SQUARES)? {
        let reason = reader.text()?;
        intern(&mut quilt.reasons, reason);
    }
    read_cells(reader, &mut quilt)?;
    // The counts follow from the cells, and the finish line from the counts.
    quilt.done = count(&quilt, |state| matches!(state, CellState::Done(_)));
    quilt.failed = count(&quilt, |state| matches!(state, CellState::Failed(_)));
    let all_settled = quilt.progress().pending() == 0;
    let all_finished = quilt.earlier_laps.iter().all(|lap| lap.finish.is_some());
    if quilt.lap.finish.is_some() != all_settled || !all_finished {
        return Err(DecodeError::OutOfRange("the finish line"));
    }
    if quilt.lap.left_failed > quilt.failed {
        return Err(DecodeError::OutOfRange("a number of squares"));
    }
    Ok(quilt)
}

fn count(quilt: &Quilt, wanted: impl Fn(CellState) -> bool) -> u32 {
    quilt.cells.iter().filter(|cell| wanted(cell.state())).count() as u32
}

fn put_lap(out: &mut Vec<u8>, lap: &Lap) {
    put_varint(out, lap.started_at.0);
    put_varint(out, u64::from(lap.tasks));
    put_varint(out, u64::from(lap.left_failed));
    put_optional(out, lap.finish.map(|finish| finish.at.0));
    put_varint(out, lap.finish.map_or(0, |finish| u64::from(finish.last_across.0)));
}

fn read_lap(reader: &mut Reader<'_>) -> Result<Lap, DecodeError> {
    let started_at = reader.timestamp()?;
    let tasks = reader.number("a lap's tasks", MAX_SQUARES)?;
    let left_failed = reader.number("a number of squares", MAX_SQUARES)?;
    let finished_at = reader.optional("a time")?.map(Timestamp);
    let last_across = Index(reader.number("a square", MAX_SQUARES - 1)?);
    let finish = finished_at.map(|at| Finish { at, last_across });
    Ok(Lap { started_at, tasks, left_failed, finish })
}

/// Runs of squares in the same state, along the order.
fn put_cells(out: &mut Vec<u8>, cells: &[Cell]) {
    for run in cells.chunk_by(|one, next| kind(*one) == kind(*next)) {
        let Some(first) = run.first() else { continue };
        out.push(kind(*first));
        put_varint(out, run.len() as u64);
        for cell in run {
            match cell.state() {
                CellState::Pending => {}
                CellState::Done(color) => put_color(out, color),
                CellState::Failed(reason) => put_varint(out, u64::from(reason.0)),
            }
        }
    }
}

fn read_cells(reader: &mut Reader<'_>, quilt: &mut Quilt) -> Result<(), DecodeError> {
    let mut cells = quilt.cells.iter_mut();
    while !cells.as_slice().is_empty() {
        let kind = reader.byte()?;
        let length = reader.varint()?;
        let length = usize::try_from(length)
            .ok()
            .filter(|length| (1..=cells.len()).contains(length))
            .ok_or(DecodeError::OutOfRange("a run's length"))?;
        for cell in cells.by_ref().take(length) {
            *cell = match kind {
                PENDING => Cell::PENDING,
                DONE => Cell::done(reader.color()?),
                FAILED => Cell::failed(ReasonId(reader.number("a reason", MAX_SQUARES)?)),
                other => return Err(DecodeError::UnknownKind(other)),
            };
        }
    }
    Ok(())
}

fn kind(cell: Cell) -> u8 {
    match cell.state() {
        CellState::Pending => PENDING,
        CellState::Done(_) => DONE,
        CellState::Failed(_) => FAILED,
    }
}
