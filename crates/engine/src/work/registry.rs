//! The kinds of work that a node knows.

use std::sync::Arc;

use bytes::Bytes;
use quilt::{BatchSpec, WorkSpec};
use thiserror::Error;

use super::kind::Simple;
use super::{Kind, Launch, Work, color};

/// Parameters that a kind of work does not take, in a sentence for whoever sent them.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidWork {
    /// There is no such kind.
    #[error("there is no work of kind '{kind}'; there is: {known}")]
    UnknownKind {
        /// What was asked for.
        kind: String,
        /// The kinds there are, separated by commas.
        known: String,
    },
    /// The kind's own check failed.
    #[error("work of kind '{kind}': {reason}")]
    Parameters {
        /// The kind.
        kind: String,
        /// What is wrong, with the parameter's name and value.
        reason: String,
    },
}

/// The kinds of work there are. Cheap to clone.
#[derive(Clone)]
pub struct Registry {
    /// In the order in which they are offered.
    kinds: Vec<Arc<dyn Kind>>,
}

impl Default for Registry {
    /// With `color` alone.
    fn default() -> Self {
        Self { kinds: Vec::new() }.with(color::ColorKind)
    }
}

impl Registry {
    /// Adds a kind, or replaces one.
    #[must_use]
    pub fn with(mut self, kind: impl Kind) -> Self {
        self.kinds.retain(|known| known.name() != kind.name());
        self.kinds.push(Arc::new(kind));
        self
    }

    /// Adds a kind that is the same work whatever its parameters are.
    #[must_use]
    pub fn with_work(self, name: &'static str, work: impl Fn() -> Work + Send + Sync + 'static) -> Self {
        self.with(Simple { name, work })
    }

    /// A kind.
    #[must_use]
    pub fn kind(&self, name: &str) -> Option<&dyn Kind> {
        self.kinds().find(|kind| kind.name() == name)
    }

    /// All kinds, in the order in which they were added.
    pub fn kinds(&self) -> impl Iterator<Item = &dyn Kind> {
        self.kinds.iter().map(|kind| &**kind)
    }

    /// What a client asked for as it is stored, with what comes with it.
    ///
    /// # Errors
    ///
    /// [`InvalidWork`] where the kind is unknown, or does not take these parameters.
    pub async fn prepare(&self, work: WorkSpec, upload: Option<Bytes>) -> Result<Launch, InvalidWork> {
        let kind = self.find(&work.kind)?;
        let name = work.kind.clone();
        kind.prepare(work, upload).await.map_err(|reason| InvalidWork::Parameters { kind: name, reason })
    }

    /// Makes the work of a batch, whose input is what [`Registry::prepare`] made.
    ///
    /// # Errors
    ///
    /// [`InvalidWork`] where the kind is unknown, or does not take these parameters.
    pub fn build(&self, spec: &BatchSpec, input: Option<Bytes>) -> Result<Work, InvalidWork> {
        let name = &spec.work.kind;
        let work = self.find(name)?.build(spec, input);
        work.map_err(|reason| InvalidWork::Parameters { kind: name.clone(), reason })
    }

    fn find(&self, name: &str) -> Result<&dyn Kind, InvalidWork> {
        self.kind(name).ok_or_else(|| {
            let known: Vec<&str> = self.kinds().map(Kind::name).collect();
            InvalidWork::UnknownKind { kind: name.into(), known: known.join(", ") }
        })
    }
}
