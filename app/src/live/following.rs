//! How far the attempts are known.

/// How far the viewer is with the attempts, which it receives only on request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Following {
    /// Not requested.
    No,
    /// The journal is being read.
    Reading,
    /// All are known, and later ones arrive as they happen.
    Live,
    /// The journal could not be read. It is tried again with the next connection.
    Failed,
}
