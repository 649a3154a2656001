//! The distinct reasons for failures, with their numbers of squares.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cell::ReasonId;
use crate::event::JournalVersion;

/// The maximum length of a reason, in bytes.
pub const MAX_REASON: usize = 64;

/// Replaces all reasons of a batch after the first 65,536 distinct ones.
pub const OTHER_REASON: &str = "other";

/// A reason as it is stored: at most its first [`MAX_REASON`] bytes.
#[must_use]
pub fn short_reason(reason: &str) -> &str {
    reason.get(..reason.floor_char_boundary(MAX_REASON)).unwrap_or(reason)
}

/// The distinct reasons of a batch, in the order of their first occurrence.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reasons {
    version: JournalVersion,
    texts: Vec<Arc<str>>,
    // A hash map would considerably increase the code that browsers load.
    ids: BTreeMap<Arc<str>, ReasonId>,
    /// The number of squares of each reason.
    counts: Vec<u32>,
    /// The number of squares with reasons beyond the limit.
    others: u32,
}

impl Reasons {
    pub(crate) fn new(version: JournalVersion) -> Self {
        Self { version, texts: Vec::new(), ids: BTreeMap::new(), counts: Vec::new(), others: 0 }
    }

    /// The maximum number of distinct reasons.
    const fn most(&self) -> usize {
        match self.version {
            JournalVersion::V1 => 1_024,
            JournalVersion::V2 => 1 << 16,
        }
    }

    /// The text that replaces reasons beyond the limit.
    const fn other(&self) -> &'static str {
        match self.version {
            JournalVersion::V1 => "failed for one of many further reasons",
            JournalVersion::V2 => OTHER_REASON,
        }
    }

    /// A reason as this version stores it.
    fn stored<'a>(&self, reason: &'a str) -> &'a str {
        match self.version {
            JournalVersion::V1 => reason,
            JournalVersion::V2 => short_reason(reason),
        }
    }

    /// Finds or adds a reason.
    pub(crate) fn intern(&mut self, reason: &str) -> ReasonId {
        let reason = self.stored(reason);
        if let Some(id) = self.ids.get(reason) {
            return *id;
        }
        let id = ReasonId(self.texts.len() as u32);
        if self.texts.len() < self.most() {
            let text: Arc<str> = reason.into();
            self.texts.push(Arc::clone(&text));
            self.ids.insert(text, id);
            self.counts.push(0);
        }
        id
    }

    /// The id of a reason; `None` if no square currently has it.
    pub(crate) fn find(&self, reason: &str) -> Option<ReasonId> {
        let id = match self.ids.get(self.stored(reason)) {
            Some(id) => *id,
            None if reason == self.other() => ReasonId(self.most() as u32),
            None => return None,
        };
        (self.count(id) > 0).then_some(id)
    }

    pub(crate) fn text(&self, id: ReasonId) -> &str {
        self.texts.get(id.0 as usize).map_or(self.other(), |text| text)
    }

    /// The distinct reasons, without the one that replaces the others.
    pub(crate) fn texts(&self) -> &[Arc<str>] {
        &self.texts
    }

    pub(crate) fn count(&self, id: ReasonId) -> u32 {
        self.counts.get(id.0 as usize).copied().unwrap_or(self.others)
    }

    /// Counts a square that failed for a reason.
    pub(crate) fn add(&mut self, id: ReasonId) {
        *self.count_mut(id) += 1;
    }

    /// Uncounts a square that runs again.
    pub(crate) fn remove(&mut self, id: ReasonId) {
        *self.count_mut(id) -= 1;
    }

    fn count_mut(&mut self, id: ReasonId) -> &mut u32 {
        self.counts.get_mut(id.0 as usize).unwrap_or(&mut self.others)
    }

    /// The reasons that squares currently have, each with its number of squares.
    pub(crate) fn counted(&self) -> impl Iterator<Item = (&str, u32)> {
        let told_apart = self.texts.iter().map(|text| &**text).zip(self.counts.iter().copied());
        told_apart.chain([(self.other(), self.others)]).filter(|(_, count)| *count > 0)
    }
}
