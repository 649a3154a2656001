//! The squares that workers run.

use quilt::Square;
use quilt::wire::Running;
use viewer::Viewer;

/// The square that a worker runs. `None` if this page's copy of the quilt does not contain it yet.
pub(super) fn square_of(viewer: &Viewer, running: &Running) -> Option<Square> {
    let quilt = viewer.quilt()?;
    (running.position.0 < quilt.progress().tasks).then(|| quilt.place_of(running.position))
}
