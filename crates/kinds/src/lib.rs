//! The built-in kinds of work.
//!
//! Each kind is a module and a line in [`registry`]; `docs/adding-work.md` shows how to add one.
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

/// What the operator of a node allows.
#[derive(Debug, Clone)]
pub struct WorkPolicy {
    /// Which addresses may be fetched.
    pub fetch: fetch::FetchPolicy,
    /// Which commands may run.
    pub commands: command::CommandPolicy,
    /// The memory for data that tasks share, in bytes: decoded images. At least [`MIN_SHARED_MEMORY`].
    pub max_memory: u64,
}

impl Default for WorkPolicy {
    /// 512 MiB of memory.
    fn default() -> Self {
        Self {
            fetch: fetch::FetchPolicy::default(),
            commands: command::CommandPolicy::default(),
            max_memory: 512 << 20,
        }
    }
}

/// The memory with which an image of the largest size is kept, in bytes. The cache keeps nothing that takes almost all of it.
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
