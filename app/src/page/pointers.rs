//! Moves a quilt with one pointer, and enlarges it with two.

use std::collections::BTreeMap;

use wasm_bindgen::JsCast;
use web_sys::{Element, PointerEvent};

use super::zoom::Zoom;

/// From so many pixels on, a press is no tap any more.
const SLACK: f64 = 5.0;

/// The pointers that are down, and where they were last.
#[derive(Debug, Default)]
pub(crate) struct Pointers {
    down: BTreeMap<i32, (f64, f64)>,
    /// How far they have moved since the first one came down.
    travelled: f64,
    has_dragged: bool,
}

impl Pointers {
    /// Takes what a pointer did, and returns where the quilt is to be moved, if it is.
    pub(crate) fn moved(&mut self, event: &PointerEvent, zoom: Zoom) -> Option<Zoom> {
        let (id, at) = (event.pointer_id(), (f64::from(event.offset_x()), f64::from(event.offset_y())));
        match event.type_().as_str() {
            "pointerdown" if event.button() == 0 => {
                if self.down.is_empty() {
                    self.travelled = 0.0;
                    self.has_dragged = false;
                }
                self.down.insert(id, at);
                None
            }
            // It was let go of where nobody saw it.
            "pointermove" if event.buttons() == 0 => {
                self.down.clear();
                None
            }
            "pointermove" => {
                let moved = self.drag(id, at, zoom)?;
                // So that it goes on where the pointer leaves the quilt; only a tap ends as a click on what is below it.
                if self.has_dragged
                    && let Some(target) = event.target().and_then(|target| target.dyn_into::<Element>().ok())
                {
                    // A pointer that is gone by now is let go of already.
                    let _ = target.set_pointer_capture(id);
                }
                Some(moved)
            }
            _ => {
                self.down.remove(&id);
                None
            }
        }
    }

    /// Whether the press that ends was a drag; asked once for each.
    pub(crate) fn take_dragged(&mut self) -> bool {
        std::mem::take(&mut self.has_dragged)
    }

    fn drag(&mut self, id: i32, (x, y): (f64, f64), zoom: Zoom) -> Option<Zoom> {
        let other = self.down.iter().find(|(other, _)| **other != id).map(|(_, at)| *at);
        let before = self.down.get_mut(&id)?;
        let (old_x, old_y) = std::mem::replace(before, (x, y));
        self.travelled += (x - old_x).hypot(y - old_y);
        self.has_dragged |= self.travelled > SLACK;
        match other {
            // The point between the two stays between them.
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
        let mut pointers = Pointers::default();
        pointers.down.insert(1, (100.0, 100.0));
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
        let mut pointers = Pointers::default();
        pointers.down.insert(1, (200.0, 250.0));
        pointers.down.insert(2, (300.0, 250.0));
        let larger = pointers.drag(2, (400.0, 250.0), zoom()).expect("two are down");
        assert!((larger.scale - 2.0 * zoom().scale).abs() < 1e-9);
    }
}
