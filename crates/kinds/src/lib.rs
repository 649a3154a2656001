//! The kinds of work.
//!
//! Each is a file or a folder here and a line in [`registry`]; `docs/adding-work.md` shows how to add one.
//!
//! # Layout
//!
//! - [`render`]: pieces of fractals, drawn with the colors of `palette`
//! - [`picture`]: tiles of an image that somebody uploaded
//! - [`fetch`]: addresses on the web, one for each square
//! - [`command`]: a program that is run for each square
//! - `lines`: lists of items, one a line

pub mod command;
pub mod fetch;
mod lines;
mod palette;
pub mod picture;
pub mod render;

use engine::work::Registry;

/// What the operator of a node decides about work.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// What may be fetched.
    pub fetch: fetch::Policy,
    /// The commands that may be run.
    pub commands: command::Commands,
}

/// All kinds of work.
#[must_use]
pub fn registry(settings: Settings) -> Registry {
    Registry::default()
        .with(render::RenderKind)
        .with(picture::PictureKind)
        .with(fetch::FetchKind::new(settings.fetch))
        .with(command::CommandKind::new(settings.commands))
}
