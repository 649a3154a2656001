//! Records the running chunks of this process in a small file, which the next process reads after a crash.
//!
//! Each chunk has a record of fixed size, which is overwritten in place when the chunk starts and ends. The file is not synced to disk,
//! because the page cache of the system outlives a killed process. After a power failure the file may be outdated or empty; no chunk is
//! suspected then.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;

use quilt::BatchId;

use super::lease::LapId;
use super::suspects::{Record, Suspect};

/// The size of a record: an id of 16 bytes, seven numbers of 4 bytes, and a checksum.
const SIZE: usize = 48;

/// The state of a record's chunk.
const ENDED: u32 = 0;
const RUNNING: u32 = 1;
const WAITING: u32 = 2;

/// The records of a process.
pub(crate) struct CrashLog {
    file: File,
    /// The numbers of free records.
    free: Vec<u32>,
    /// The number of records in the file.
    len: u32,
    has_failed: bool,
}

/// Identifies a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot(u32);

impl CrashLog {
    /// Opens the file, or creates it. Returns the chunks that an earlier process was running when it was killed, and those that it
    /// suspected.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or written.
    pub(crate) fn open(path: &Path) -> io::Result<(Self, Vec<(LapId, Suspect)>)> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        // A record that was partly written when the machine stopped is ignored.
        let found: Vec<(u32, LapId, Suspect)> = bytes.chunks_exact(SIZE).filter_map(decode).collect();
        let lost = found.iter().filter(|(state, ..)| *state == RUNNING).count() as u32;
        let was_suspect =
            |(state, _, suspect): &&(u32, LapId, Suspect)| *state == RUNNING && suspect.record.is_suspect();
        let suspects = found.iter().filter(was_suspect).count() as u32;
        let suspected = found.into_iter().map(|(state, lap, suspect)| {
            let record = if state == RUNNING { suspect.record.after_loss(lost, suspects) } else { suspect.record };
            (lap, Suspect { record, ..suspect })
        });
        let suspected = suspected.collect();
        file.set_len(0)?;
        Ok((Self { file, free: Vec::new(), len: 0, has_failed: false }, suspected))
    }

    /// Records the start of a chunk.
    pub(super) fn start(&mut self, lap: LapId, positions: &Range<u32>, record: Record) -> Slot {
        self.enter(RUNNING, lap, positions, record)
    }

    /// Records a suspect that is not running.
    pub(super) fn wait(&mut self, lap: LapId, positions: &Range<u32>, record: Record) -> Slot {
        self.enter(WAITING, lap, positions, record)
    }

    fn enter(&mut self, state: u32, lap: LapId, positions: &Range<u32>, record: Record) -> Slot {
        let number = self.free.pop().unwrap_or_else(|| {
            self.len += 1;
            self.len - 1
        });
        self.write(number, &encode(state, lap, positions, record));
        Slot(number)
    }

    /// Records that a running chunk was shortened.
    pub(super) fn shrink(&mut self, slot: Slot, lap: LapId, positions: &Range<u32>, record: Record) {
        self.write(slot.0, &encode(RUNNING, lap, positions, record));
    }

    /// Removes the record of a chunk that has ended or is no longer suspected.
    pub(super) fn end(&mut self, slot: Slot) {
        self.write(slot.0, &[0; SIZE]);
        self.free.push(slot.0);
    }

    fn write(&mut self, number: u32, record: &[u8; SIZE]) {
        let written = write_at(&self.file, record, u64::from(number) * SIZE as u64);
        if let Err(error) = written
            && !std::mem::replace(&mut self.has_failed, true)
        {
            tracing::warn!(%error, "cannot record what runs: a task that kills this process may not be found");
        }
    }
}

#[cfg(unix)]
fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

#[cfg(windows)]
fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    std::os::windows::fs::FileExt::seek_write(file, bytes, offset).map(drop)
}

fn encode(state: u32, lap: LapId, positions: &Range<u32>, record: Record) -> [u8; SIZE] {
    let mut bytes = [0; SIZE];
    let [unclean_stops, alone, group] = record.parts();
    let numbers = [state, lap.lap, positions.start, positions.end, unclean_stops, alone, group];
    let (id, rest) = bytes.split_at_mut(16);
    id.copy_from_slice(lap.batch.as_bytes());
    for (place, number) in rest.chunks_exact_mut(4).zip(numbers) {
        place.copy_from_slice(&number.to_le_bytes());
    }
    if let Some((content, place)) = bytes.split_last_chunk_mut::<4>() {
        *place = crc32c::crc32c(content).to_le_bytes();
    }
    bytes
}

/// Decodes the state, lap and chunk of a record. `None` if it is free or damaged.
fn decode(bytes: &[u8]) -> Option<(u32, LapId, Suspect)> {
    let (content, checksum) = bytes.split_last_chunk::<4>()?;
    let (id, numbers) = content.split_first_chunk::<16>()?;
    let number = |place: usize| Some(u32::from_le_bytes(*numbers.get(4 * place..)?.first_chunk()?));
    let state = number(0)?;
    if u32::from_le_bytes(*checksum) != crc32c::crc32c(content) || state == ENDED {
        return None;
    }
    let lap = LapId { batch: BatchId::from_bytes(*id), lap: number(1)? };
    let record = Record::from_parts([number(4)?, number(5)?, number(6)?]);
    Some((state, lap, Suspect { positions: number(2)?..number(3)?, record }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lap(number: u8) -> LapId {
        LapId { batch: BatchId::from_bytes([number; 16]), lap: 2 }
    }

    #[test]
    fn what_ran_when_the_process_was_killed_is_suspected_by_the_next_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("running");
        let (mut log, suspected) = CrashLog::open(&path).expect("a new file");
        assert!(suspected.is_empty());
        let ended = log.start(lap(1), &(0..10), Record::default());
        log.start(lap(1), &(10..30), Record::default());
        let shrunk = log.start(lap(2), &(5..9), Record::default());
        log.shrink(shrunk, lap(2), &(5..6), Record::default());
        log.end(ended);
        // Dropped without ending the chunks, as after a kill.
        drop(log);
        let (mut log, suspected) = CrashLog::open(&path).expect("an own file");
        let found: Vec<_> = suspected.iter().map(|(lap, suspect)| (*lap, suspect.positions.clone())).collect();
        assert_eq!(found, [(lap(1), 10..30), (lap(2), 5..6)]);
        assert!(suspected.iter().all(|(_, suspect)| suspect.record == Record::default().after_loss(2, 0)));
        // One runs again and one waits when the process is killed once more.
        let (_, waiting) = &suspected[0];
        log.wait(lap(1), &waiting.positions, waiting.record);
        log.start(lap(2), &suspected[1].1.positions, suspected[1].1.record);
        drop(log);
        let (_, again) = CrashLog::open(&path).expect("an own file");
        assert_eq!(again[0].1.record, waiting.record);
        assert_eq!(again[1].1.record, suspected[1].1.record.after_loss(1, 1));
    }

    #[test]
    fn a_damaged_record_says_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("running");
        let (mut log, _) = CrashLog::open(&path).expect("a new file");
        log.start(lap(1), &(0..10), Record::default());
        log.start(lap(1), &(10..20), Record::default());
        let mut bytes = std::fs::read(&path).expect("readable");
        bytes[20] ^= 1;
        std::fs::write(&path, &bytes[..bytes.len() - 7]).expect("writable");
        assert!(CrashLog::open(&path).expect("an own file").1.is_empty());
    }
}
