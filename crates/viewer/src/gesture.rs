//! Pointers on a quilt: one pointer pans, two zoom. Works on plain numbers. Coordinates are CSS pixels from the corner of the viewport.

use crate::zoom::Zoom;

/// A press that moves farther than this many pixels is a drag, not a tap.
const DRAG_THRESHOLD_PX: f64 = 5.0;

/// An action of a pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The primary button went down.
    Down,
    /// It moved with a button down.
    Move,
    /// It moved without a button, so a release was missed.
    Hover,
    /// It was released or canceled.
    Up,
}

/// The pointers that are down.
#[derive(Debug, Default)]
pub struct Gesture {
    /// Their last positions.
    down: Vec<(i32, (f64, f64))>,
    /// The distance moved since the first pointer went down.
    traveled: f64,
    has_dragged: bool,
}

impl Gesture {
    /// Takes an action of the pointer `id` and returns the new zoom, if it changes.
    pub fn act(&mut self, action: Action, id: i32, at: (f64, f64), zoom: Zoom) -> Option<Zoom> {
        match action {
            Action::Down => {
                if self.down.is_empty() {
                    self.traveled = 0.0;
                    self.has_dragged = false;
                }
                self.release(id);
                self.down.push((id, at));
                None
            }
            Action::Hover => {
                self.down.clear();
                None
            }
            Action::Move => self.drag(id, at, zoom),
            Action::Up => {
                self.release(id);
                None
            }
        }
    }

    /// Whether the current press is a drag. Only a drag captures its pointer, so that a tap ends as a click on the element below it.
    #[must_use]
    pub fn is_drag(&self) -> bool {
        self.has_dragged
    }

    /// Returns whether the last press was a drag, and resets it.
    #[must_use]
    pub fn take_dragged(&mut self) -> bool {
        std::mem::take(&mut self.has_dragged)
    }

    fn release(&mut self, id: i32) {
        self.down.retain(|(down, _)| *down != id);
    }

    fn drag(&mut self, id: i32, (x, y): (f64, f64), zoom: Zoom) -> Option<Zoom> {
        let other = self.down.iter().find(|(other, _)| *other != id).map(|(_, at)| *at);
        let (_, before) = self.down.iter_mut().find(|(down, _)| *down == id)?;
        let (old_x, old_y) = std::mem::replace(before, (x, y));
        self.traveled += (x - old_x).hypot(y - old_y);
        self.has_dragged |= self.traveled > DRAG_THRESHOLD_PX;
        match other {
            // The point between both pointers stays between them.
            Some((other_x, other_y)) => {
                let old_distance = (old_x - other_x).hypot(old_y - other_y).max(1.0);
                let distance = (x - other_x).hypot(y - other_y).max(1.0);
                let moved = zoom.moved((x - old_x) / 2.0, (y - old_y) / 2.0);
                Some(moved.scaled(distance / old_distance, f64::midpoint(x, other_x), f64::midpoint(y, other_y)))
            }
            None if self.has_dragged => Some(zoom.moved(x - old_x, y - old_y)),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use quilt::Grid;

    use super::*;

    fn zoom() -> Zoom {
        Zoom::new(Grid::new(1_000, 1_000).expect("allowed"), 500.0, 500.0).scaled(8.0, 250.0, 250.0)
    }

    #[test]
    fn one_pointer_moves_the_quilt_once_it_is_no_tap_any_more() {
        let mut pointers = Gesture::default();
        pointers.down.push((1, (100.0, 100.0)));
        assert_eq!(pointers.drag(1, (102.0, 100.0), zoom()), None);
        assert!(!pointers.has_dragged);
        let moved = pointers.drag(1, (120.0, 90.0), zoom()).expect("far enough");
        assert_eq!((moved.left, moved.top), (zoom().left + 18.0, zoom().top - 10.0));
        assert!(pointers.take_dragged());
        assert!(!pointers.take_dragged());
        assert_eq!(pointers.drag(2, (0.0, 0.0), zoom()), None);
    }

    #[test]
    fn two_pointers_enlarge_it() {
        let mut pointers = Gesture::default();
        pointers.down.push((1, (200.0, 250.0)));
        pointers.down.push((2, (300.0, 250.0)));
        let larger = pointers.drag(2, (400.0, 250.0), zoom()).expect("two are down");
        assert!((larger.scale - 2.0 * zoom().scale).abs() < 1e-9);
    }
}
