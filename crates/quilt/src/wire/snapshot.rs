//! A whole quilt, for a viewer without state.

use super::DecodeError;
use super::bytes::{Reader, put_color, put_text, put_varint};
use super::lap::{put_cause, put_limits, read_cause, read_limits};
use super::launched::{put_launched, read_launched};
use crate::cell::{Cell, CellState, ReasonId};
use crate::grid::{Index, MAX_SQUARES};
use crate::lap::{Cancellation, Finish, Lap, LapEnd};
use crate::state::{MAX_LAPS, Quilt};

const PENDING: u8 = 0;
const DONE: u8 = 1;
const FAILED: u8 = 2;
const NOT_RUN: u8 = 3;

const RUNNING: u8 = 0;
const FINISHED: u8 = 1;
const CANCELLED: u8 = 2;

pub(super) fn put_quilt(out: &mut Vec<u8>, quilt: &Quilt) {
    put_launched(out, &quilt.launched);
    put_varint(out, quilt.step.0);
    put_varint(out, quilt.updated_at.0);
    out.push(u8::from(quilt.is_paused));
    put_limits(out, Some(&quilt.limits));
    put_varint(out, u64::from(quilt.controls));
    out.push(u8::from(quilt.draining.is_some()));
    if let Some(draining) = quilt.draining {
        put_cancellation(out, draining);
    }
    put_varint(out, quilt.earlier_laps.len() as u64);
    for lap in quilt.earlier_laps.iter().chain([&quilt.lap]) {
        put_lap(out, lap);
    }
    put_varint(out, quilt.reasons.texts().len() as u64);
    for reason in quilt.reasons.texts() {
        put_text(out, reason);
    }
    put_cells(out, &quilt.cells);
}

pub(super) fn read_quilt(reader: &mut Reader<'_>) -> Result<Quilt, DecodeError> {
    let mut quilt = Quilt::new(read_launched(reader)?);
    quilt.step = reader.step()?;
    quilt.updated_at = reader.timestamp()?;
    quilt.is_paused = reader.byte()? != 0;
    quilt.limits = read_limits(reader)?.ok_or(DecodeError::OutOfRange("a lap's limits"))?;
    quilt.controls = reader.number("a number of controls", u32::MAX)?;
    quilt.draining = if reader.byte()? == 0 { None } else { Some(read_cancellation(reader)?) };
    let earlier = reader.number("a number of laps", MAX_LAPS as u32)?;
    for _ in 0..earlier {
        quilt.earlier_laps.push(read_lap(reader)?);
    }
    quilt.lap = read_lap(reader)?;
    for _ in 0..reader.number("a number of reasons", MAX_SQUARES)? {
        let reason = reader.text()?;
        quilt.reasons.intern(reason);
    }
    read_cells(reader, &mut quilt)?;
    // The counts follow from the cells, and the end of the lap from the counts.
    for cell in &quilt.cells {
        match cell.state() {
            CellState::Pending => {}
            CellState::Done(_) => quilt.done += 1,
            CellState::Failed(reason) => {
                quilt.failed += 1;
                quilt.reasons.add(reason);
            }
            CellState::NotRun => quilt.not_run += 1,
        }
    }
    let all_settled = quilt.progress().pending() == 0;
    let all_ended = quilt.earlier_laps.iter().all(|lap| lap.end.is_some());
    if quilt.lap.end.is_some() != all_settled || !all_ended {
        return Err(DecodeError::OutOfRange("the end of a lap"));
    }
    if quilt.lap.left_failed > quilt.failed {
        return Err(DecodeError::OutOfRange("a number of squares"));
    }
    Ok(quilt)
}

fn put_lap(out: &mut Vec<u8>, lap: &Lap) {
    put_varint(out, lap.started_at.0);
    put_varint(out, u64::from(lap.tasks));
    put_varint(out, u64::from(lap.left_failed));
    match lap.end {
        None => out.push(RUNNING),
        Some(LapEnd::Finished(Finish { at, last_across, failed, not_run })) => {
            out.push(FINISHED);
            put_varint(out, at.0);
            [last_across.0, failed, not_run].into_iter().for_each(|number| put_varint(out, u64::from(number)));
        }
        Some(LapEnd::Cancelled(cancellation)) => {
            out.push(CANCELLED);
            put_cancellation(out, cancellation);
        }
    }
}

fn read_lap(reader: &mut Reader<'_>) -> Result<Lap, DecodeError> {
    let started_at = reader.timestamp()?;
    let tasks = reader.number("a lap's tasks", MAX_SQUARES)?;
    let left_failed = reader.number("a number of squares", MAX_SQUARES)?;
    let end = match reader.byte()? {
        RUNNING => None,
        FINISHED => Some(LapEnd::Finished(Finish {
            at: reader.timestamp()?,
            last_across: Index(reader.number("a square", MAX_SQUARES - 1)?),
            failed: reader.number("a number of squares", MAX_SQUARES)?,
            not_run: reader.number("a number of squares", MAX_SQUARES)?,
        })),
        CANCELLED => Some(LapEnd::Cancelled(read_cancellation(reader)?)),
        kind => return Err(DecodeError::UnknownKind(kind)),
    };
    Ok(Lap { started_at, tasks, left_failed, end })
}

fn put_cancellation(out: &mut Vec<u8>, Cancellation { at, cause }: Cancellation) {
    put_varint(out, at.0);
    put_cause(out, cause);
}

fn read_cancellation(reader: &mut Reader<'_>) -> Result<Cancellation, DecodeError> {
    Ok(Cancellation { at: reader.timestamp()?, cause: read_cause(reader)? })
}

/// Encodes runs of squares in the same state, in the order of positions.
fn put_cells(out: &mut Vec<u8>, cells: &[Cell]) {
    for run in cells.chunk_by(|one, next| kind(*one) == kind(*next)) {
        let Some(first) = run.first() else { continue };
        out.push(kind(*first));
        put_varint(out, run.len() as u64);
        for cell in run {
            match cell.state() {
                CellState::Pending | CellState::NotRun => {}
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
                NOT_RUN => Cell::NOT_RUN,
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
        CellState::NotRun => NOT_RUN,
    }
}
