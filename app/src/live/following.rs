//! The state of following the attempts.

/// Whether the viewer knows the attempts, which it receives only on request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Following {
    /// They are not requested.
    No,
    /// The journal is being read.
    Reading,
    /// All are known, and later ones arrive as they happen.
    Live,
    /// The journal could not be read. The next connection retries.
    Failed,
}
