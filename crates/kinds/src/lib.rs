//! The built-in kinds of work.
//!
//! Each kind is a module and a line in [`registry`]. `docs/adding-work.md` explains how to add one.
//!
//! # Layout
//!
//! - [`render`]: fractals, one tile per square, colored with `palette`
//! - [`image`]: an uploaded image, resized tile by tile
//! - [`fetch`]: one HTTP request per square
//! - [`command`]: one process per square
//! - `item_list`: lists of items, one per line

pub mod command;
pub mod fetch;
pub mod image;
mod item_list;
mod palette;
pub mod render;

use engine::work::Registry;

/// The policy of a node's operator.
#[derive(Debug, Clone)]
pub struct WorkPolicy {
    /// The addresses that may be fetched.
    pub fetch: fetch::FetchPolicy,
    /// The commands that may run.
    pub commands: command::CommandPolicy,
    /// The memory for data shared by tasks, in bytes: decoded images. At least [`MIN_SHARED_MEMORY`].
    pub max_memory: u64,
}

impl Default for WorkPolicy {
    /// The default is 512 MiB of memory.
    fn default() -> Self {
        Self {
            fetch: fetch::FetchPolicy::default(),
            commands: command::CommandPolicy::default(),
            max_memory: 512 << 20,
        }
    }
}

/// The minimum memory for caching an image of the maximum size, in bytes. The cache rejects images that take almost all of it.
pub const MIN_SHARED_MEMORY: u64 = image::MAX_DECODED_BYTES / 10 * 11;

/// Returns all kinds of work, in the order in which the front page offers them.
#[must_use]
pub fn registry(policy: WorkPolicy) -> Registry {
    Registry::default()
        .with(fetch::FetchKind::new(policy.fetch))
        .with(image::ImageKind::new(policy.max_memory))
        .with(render::RenderKind)
        .with(command::CommandKind::new(policy.commands))
}
