//! Chunks whose workers were lost. One of their tasks may be the cause.
//!
//! Suspects run again, but with each loss fewer of them run concurrently on one node, down to one. So a task that kills its process is
//! identified, and a loss with another cause does not serialize all interrupted chunks. A task fails only if it was the only suspect in two
//! losses.

use std::ops::Range;

/// The number of losses as the only suspect on its node after which a task is considered poison.
const POISON_LIMIT: u32 = 2;

/// The losses of a chunk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Record {
    /// The number of workers that were lost while they ran it or a larger chunk around it.
    pub(super) unclean_stops: u32,
    /// The number of losses in which it was the only suspect on its node.
    alone: u32,
    /// The number of leases that were lost with it in its first loss.
    group: u32,
}

impl Record {
    /// The record after a further loss. `lost` is the number of leases that its node lost, and `suspects` the number of suspects among
    /// them.
    pub(super) fn after_loss(self, lost: u32, suspects: u32) -> Self {
        let was_alone = self.unclean_stops > 0 && suspects == 1;
        Self {
            unclean_stops: self.unclean_stops.saturating_add(1),
            alone: self.alone + u32::from(was_alone),
            group: if self.unclean_stops == 0 { lost } else { self.group },
        }
    }

    /// The fields as numbers.
    pub(super) fn parts(self) -> [u32; 3] {
        [self.unclean_stops, self.alone, self.group]
    }

    /// The inverse of [`Record::parts`].
    pub(super) fn from_parts([unclean_stops, alone, group]: [u32; 3]) -> Self {
        Self { unclean_stops, alone, group }
    }

    /// Whether workers were lost while they ran it.
    pub(super) fn is_suspect(self) -> bool {
        self.unclean_stops > 0
    }

    /// Whether a node that is running `suspects` suspects may run it as well.
    fn may_join(self, suspects: u32) -> bool {
        suspects < self.group.checked_shr(self.unclean_stops).unwrap_or(0).max(1)
    }
}

/// A chunk to run again.
#[derive(Debug, Clone)]
pub(crate) struct Suspect {
    pub(super) positions: Range<u32>,
    pub(super) record: Record,
}

impl Suspect {
    /// Whether its only task is considered the cause of the losses.
    pub(super) fn is_poison(&self) -> bool {
        self.positions.len() == 1 && self.record.alone >= POISON_LIMIT
    }
}

/// Whether two ranges have a position in common.
pub(super) fn overlap(one: &Range<u32>, other: &Range<u32>) -> bool {
    one.start < other.end && other.start < one.end
}

/// What is left of a range, at most two parts, without another one that it overlaps.
pub(super) fn without(all: &Range<u32>, cut: &Range<u32>) -> impl Iterator<Item = Range<u32>> + use<> {
    [all.start..cut.start, cut.end..all.end].into_iter().filter(|rest| !rest.is_empty())
}

/// The suspects of one lap that are not leased.
#[derive(Debug, Default)]
pub(super) struct Suspects(Vec<Suspect>);

impl Suspects {
    pub(super) fn push(&mut self, suspect: Suspect) {
        self.0.push(suspect);
    }

    /// All suspects.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Suspect> {
        self.0.iter()
    }

    /// Removes positions.
    pub(super) fn remove(&mut self, positions: &Range<u32>) {
        let overlapping: Vec<Suspect> =
            self.0.extract_if(.., |suspect| overlap(&suspect.positions, positions)).collect();
        for Suspect { positions: all, record } in overlapping {
            for rest in without(&all, positions) {
                self.push(Suspect { positions: rest, record });
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a node that is running `running` suspects may run one more.
    pub(super) fn has_for(&self, running: u32) -> bool {
        self.0.iter().any(|suspect| suspect.is_poison() || suspect.record.may_join(running))
    }

    /// Removes and returns a suspect for a node that is running `running` suspects.
    pub(super) fn pop_for(&mut self, running: u32) -> Option<Suspect> {
        let place = self.0.iter().rposition(|suspect| suspect.is_poison() || suspect.record.may_join(running))?;
        Some(self.0.swap_remove(place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Loses nodes that run all the tasks they may, as long as one of the tasks kills them. Returns the number of losses until the task is
    /// identified, and the task.
    fn hunt(tasks: u32, killer: u32) -> (u32, u32) {
        let mut suspects = Suspects::default();
        let lost = |suspects: &mut Suspects, held: Vec<Suspect>| {
            let count = held.len() as u32;
            let suspected = held.iter().filter(|suspect| suspect.record.is_suspect()).count() as u32;
            for Suspect { positions, record } in held {
                suspects.push(Suspect { positions, record: record.after_loss(count, suspected) });
            }
        };
        let all = (0..tasks).map(|task| Suspect { positions: task..task + 1, record: Record::default() }).collect();
        lost(&mut suspects, all);
        for losses in 1..100 {
            // A node takes as many suspects as it may. If the killer is not among them, they end, and it takes others.
            loop {
                let mut held = Vec::new();
                while let Some(suspect) = suspects.pop_for(held.len() as u32) {
                    if suspect.is_poison() {
                        return (losses, suspect.positions.start);
                    }
                    held.push(suspect);
                }
                if held.iter().any(|suspect| suspect.positions.start == killer) {
                    lost(&mut suspects, held);
                    break;
                }
            }
        }
        panic!("it is never found");
    }

    #[test]
    fn the_task_that_kills_its_node_is_found_within_ten_losses_and_no_other() {
        for killer in [0, 1, 31, 62, 63] {
            let (losses, found) = hunt(64, killer);
            assert_eq!(found, killer);
            assert!(losses <= 10, "{losses}");
        }
        assert_eq!(hunt(1, 0).1, 0);
    }

    #[test]
    fn half_of_those_that_were_lost_together_run_at_once_after_the_first_loss() {
        let mut suspects = Suspects::default();
        for task in 0..64 {
            suspects.push(Suspect { positions: task..task + 1, record: Record::default().after_loss(64, 0) });
        }
        let mut running = 0;
        while suspects.pop_for(running).is_some() {
            running += 1;
        }
        assert_eq!(running, 32);
    }
}
