//! What workers run.

use quilt::Square;
use quilt::wire::Running;
use viewer::Viewer;

/// The square that a worker runs, if the quilt has it.
pub(super) fn square_of(viewer: &Viewer, running: &Running) -> Option<Square> {
    let quilt = viewer.quilt()?;
    (running.position.0 < quilt.progress().tasks).then(|| quilt.place_of(running.position))
}
