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
#[derive(Debug, Clone, Default)]
pub struct WorkPolicy {
    /// Which addresses may be fetched.
    pub fetch: fetch::FetchPolicy,
    /// Which commands may run.
    pub commands: command::CommandPolicy,
}

/// Returns all kinds of work.
#[must_use]
pub fn registry(policy: WorkPolicy) -> Registry {
    Registry::default()
        .with(render::RenderKind)
        .with(image::ImageKind)
        .with(fetch::FetchKind::new(policy.fetch))
        .with(command::CommandKind::new(policy.commands))
}
