//! The kinds of work that a node can run.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use quilt::spec::MAX_TITLE;
use quilt::{BatchSpec, Grid, WorkSpec};
use thiserror::Error;

use super::kind::Simple;
use super::{Kind, Launch, Work, color};
use crate::panic_message::panic_message;

/// Why a kind of work rejects a request, in a sentence for the client.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidWork {
    /// The kind is unknown.
    #[error("there is no work of kind '{kind}'; there is: {known}")]
    UnknownKind {
        /// The requested kind.
        kind: String,
        /// The known kinds, separated by commas.
        known: String,
    },
    /// The kind's own check failed.
    #[error("work of kind '{kind}': {reason}")]
    Parameters {
        /// The kind.
        kind: String,
        /// The problem, with the name and value of the parameter.
        reason: String,
    },
}

/// The known kinds of work. Cheap to clone.
#[derive(Clone)]
pub struct Registry {
    /// In the order in which they are displayed.
    kinds: Vec<Arc<dyn Kind>>,
}

impl Default for Registry {
    /// Contains only `color`.
    fn default() -> Self {
        Self { kinds: Vec::new() }.with(color::ColorKind)
    }
}

impl Registry {
    /// Adds a kind, or replaces the one with the same name.
    #[must_use]
    pub fn with(mut self, kind: impl Kind) -> Self {
        self.kinds.retain(|known| known.name() != kind.name());
        self.kinds.push(Arc::new(kind));
        self
    }

    /// Adds a kind whose work does not depend on its parameters.
    #[must_use]
    pub fn with_work(self, name: &'static str, work: impl Fn() -> Work + Send + Sync + 'static) -> Self {
        self.with(Simple { name, work })
    }

    /// Returns a kind by its name.
    #[must_use]
    pub fn kind(&self, name: &str) -> Option<&dyn Kind> {
        self.kinds().find(|kind| kind.name() == name)
    }

    /// All kinds, in the order in which they were added.
    pub fn kinds(&self) -> impl Iterator<Item = &dyn Kind> {
        self.kinds.iter().map(|kind| &**kind)
    }

    /// Prepares a client's request; see [`Kind::prepare`].
    ///
    /// # Errors
    ///
    /// [`InvalidWork`] if the kind is unknown, rejects the parameters, or panics.
    pub async fn prepare(&self, work: WorkSpec, upload: Option<Bytes>) -> Result<Launch, InvalidWork> {
        let kind = self.find(&work.kind)?;
        let name = work.kind.clone();
        let prepared = AssertUnwindSafe(kind.prepare(work, upload)).catch_unwind().await;
        let prepared = prepared.unwrap_or_else(|panic| Err(panicked(&*panic)));
        prepared.map_err(|reason| InvalidWork::Parameters { kind: name, reason })
    }

    /// The title of a batch whose request has none, cut to one line of at most [`MAX_TITLE`] characters. See [`Kind::title`].
    pub(crate) fn title(&self, requested: &WorkSpec, grid: Grid, file: Option<&str>) -> Option<Box<str>> {
        let title = self.kind(&requested.kind)?.title(requested, grid, file);
        let title = title.chars().take(MAX_TITLE).map(|char| if char.is_control() { ' ' } else { char });
        let line: String = title.collect();
        let line = line.trim();
        (!line.is_empty()).then(|| line.into())
    }

    /// Builds the work of a batch. `input` must come from [`Registry::prepare`].
    ///
    /// # Errors
    ///
    /// [`InvalidWork`] if the kind is unknown, rejects the parameters, or panics.
    pub fn build(&self, spec: &BatchSpec, input: Option<Bytes>) -> Result<Work, InvalidWork> {
        let name = &spec.work.kind;
        let kind = self.find(name)?;
        let work = std::panic::catch_unwind(AssertUnwindSafe(|| kind.build(spec, input)));
        let work = work.unwrap_or_else(|panic| Err(panicked(&*panic)));
        work.map_err(|reason| InvalidWork::Parameters { kind: name.clone(), reason })
    }

    fn find(&self, name: &str) -> Result<&dyn Kind, InvalidWork> {
        self.kind(name).ok_or_else(|| {
            let known: Vec<&str> = self.kinds().map(Kind::name).collect();
            InvalidWork::UnknownKind { kind: name.into(), known: known.join(", ") }
        })
    }
}

/// The error message for a bug of the kind.
fn panicked(panic: &(dyn Any + Send)) -> String {
    format!("panicked over these parameters: {}", panic_message(panic))
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use quilt::Grid;
    use serde_json::Map;

    use super::*;

    /// A kind that panics.
    struct Faulty;

    #[async_trait]
    impl Kind for Faulty {
        fn name(&self) -> &'static str {
            "faulty"
        }

        async fn prepare(&self, _work: WorkSpec, _upload: Option<Bytes>) -> Result<Launch, String> {
            panic!("in prepare")
        }

        fn build(&self, _spec: &BatchSpec, _input: Option<Bytes>) -> Result<Work, String> {
            panic!("in build")
        }
    }

    #[tokio::test]
    async fn a_kind_that_panics_refuses_the_work_with_a_sentence() {
        let registry = Registry::default().with(Faulty);
        let work = WorkSpec { kind: "faulty".into(), parameters: Map::new() };
        let prepared = registry.prepare(work.clone(), None).await.expect_err("it panics");
        assert_eq!(prepared.to_string(), "work of kind 'faulty': panicked over these parameters: in prepare");
        let spec = BatchSpec::new(work, Grid::new(1, 1).expect("a grid"), 1);
        let built = registry.build(&spec, None).map(drop).expect_err("it panics");
        assert_eq!(built.to_string(), "work of kind 'faulty': panicked over these parameters: in build");
    }
}
