//! How far a journal has been read.

use serde::{Deserialize, Serialize};

/// The length of a batch's journal, in the backend's own count. It increases with every write. Values of different batches cannot be
/// compared. The number of events is an [`Offset`](quilt::Offset).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Sequence(pub u64);
