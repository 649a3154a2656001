//! The visible part of a quilt and its scale, from the whole quilt to single squares.
//!
//! Lengths are in CSS pixels.

use quilt::{Grid, Square};

use crate::address::Place;

/// The largest that a square is drawn.
const MAX_SCALE: f64 = 48.0;

/// The minimum length of the shorter side of a quilt.
const MIN_SIDE: f64 = 24.0;

/// The zoom factor of one step of keys and buttons.
pub const STEP_FACTOR: f64 = 1.5;

/// The position of a quilt behind its viewport, called the window here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Zoom {
    rows: f64,
    columns: f64,
    /// The size of the window.
    width: f64,
    height: f64,
    /// The side of a square.
    pub scale: f64,
    /// The left edge of the quilt, relative to the window.
    pub left: f64,
    /// The top edge of the quilt, relative to the window.
    pub top: f64,
}

impl Zoom {
    /// The whole quilt in a window of this size.
    #[must_use]
    pub fn new(grid: Grid, width: f64, height: f64) -> Self {
        let (rows, columns) = (grid.rows().max(1).into(), grid.columns().max(1).into());
        let zoom = Self { rows, columns, width, height, scale: 1.0, left: 0.0, top: 0.0 };
        Self { scale: zoom.min_scale(), ..zoom }.clamped()
    }

    /// The same part of the quilt in a window of another size.
    #[must_use]
    pub fn resized(self, width: f64, height: f64) -> Self {
        let is_whole = self.is_whole();
        let center = self.at(self.width / 2.0, self.height / 2.0);
        let resized = Self { width, height, ..self };
        if is_whole { Self { scale: resized.min_scale(), ..resized }.clamped() } else { resized.centered(center) }
    }

    /// Zooms by a factor around a point of the window.
    #[must_use]
    pub fn scaled(self, factor: f64, x: f64, y: f64) -> Self {
        let scale = (self.scale * factor).clamp(self.min_scale(), self.max_scale());
        let ratio = scale / self.scale;
        Self { scale, left: x - (x - self.left) * ratio, top: y - (y - self.top) * ratio, ..self }.clamped()
    }

    /// Zooms by a factor around the center.
    fn stepped(self, factor: f64) -> Self {
        self.scaled(factor, self.width / 2.0, self.height / 2.0)
    }

    /// Zooms by a factor around a square if it is visible, otherwise around the center.
    #[must_use]
    pub fn stepped_at(self, factor: f64, square: Option<Square>) -> Self {
        let middle =
            square.map(|square| self.corner(square)).map(|(x, y)| (x + self.scale / 2.0, y + self.scale / 2.0));
        let is_in_sight = |(x, y): &(f64, f64)| (0.0..=self.width).contains(x) && (0.0..=self.height).contains(y);
        match middle.filter(is_in_sight) {
            Some((x, y)) => self.scaled(factor, x, y),
            None => self.stepped(factor),
        }
    }

    /// Pans by an offset.
    #[must_use]
    pub fn moved(self, right: f64, down: f64) -> Self {
        Self { left: self.left + right, top: self.top + down, ..self }.clamped()
    }

    /// Pans as little as necessary to make a square and its neighbors visible.
    #[must_use]
    pub fn showing(self, square: Square) -> Self {
        let margin = self.scale.max(16.0);
        let (x, y) = self.corner(square);
        let shift = |near: f64, far: f64, length: f64| {
            if near < 0.0 { -near } else { (length - far).min(0.0) }
        };
        let right = shift(x - margin, x + self.scale + margin, self.width);
        let down = shift(y - margin, y + self.scale + margin, self.height);
        self.moved(right, down)
    }

    /// Shows the part that an address names. If the address does not say where, that is around `chosen` or the middle of the quilt.
    #[must_use]
    pub fn at_place(self, place: Place, chosen: Option<Square>) -> Self {
        let scale = place.scale.clamp(self.min_scale(), self.max_scale());
        let center = match (place.middle, chosen) {
            (Some((row, column)), _) => (column, row),
            (None, Some(square)) => (f64::from(square.column) + 0.5, f64::from(square.row) + 0.5),
            (None, None) => (self.columns / 2.0, self.rows / 2.0),
        };
        Self { scale, ..self }.centered(center)
    }

    /// The visible part for an address; `None` for the whole quilt.
    #[must_use]
    pub fn place(self) -> Option<Place> {
        let (column, row) = self.at(self.width / 2.0, self.height / 2.0);
        (!self.is_whole()).then_some(Place { scale: self.scale, middle: Some((row, column)) })
    }

    /// Whether this is for a window of another size.
    #[must_use]
    pub fn is_of_another_size(self, width: f64, height: f64) -> bool {
        width >= 1.0 && height >= 1.0 && ((self.width - width).abs() > 0.5 || (self.height - height).abs() > 0.5)
    }

    /// Whether the whole quilt is visible.
    #[must_use]
    pub fn is_whole(self) -> bool {
        self.scale <= self.min_scale() * 1.001
    }

    /// The square at a point of the window, if there is one.
    #[must_use]
    pub fn square_at(self, x: f64, y: f64) -> Option<Square> {
        let (column, row) = self.at(x, y);
        let is_inside = (0.0..self.columns).contains(&column) && (0.0..self.rows).contains(&row);
        is_inside.then_some(Square { row: row as u16, column: column as u16 })
    }

    /// The top left corner of a square in the window.
    #[must_use]
    pub fn corner(self, square: Square) -> (f64, f64) {
        let Square { row, column } = square;
        (self.left + f64::from(column) * self.scale, self.top + f64::from(row) * self.scale)
    }

    /// The first and the last square of the visible part.
    #[must_use]
    pub fn in_sight(self) -> (Square, Square) {
        let inside = |(column, row): (f64, f64)| Square {
            row: row.clamp(0.0, self.rows - 1.0) as u16,
            column: column.clamp(0.0, self.columns - 1.0) as u16,
        };
        (inside(self.at(0.0, 0.0)), inside(self.at(self.width, self.height)))
    }

    /// The fractional column and row at a point of the window.
    fn at(self, x: f64, y: f64) -> (f64, f64) {
        ((x - self.left) / self.scale, (y - self.top) / self.scale)
    }

    fn centered(self, (column, row): (f64, f64)) -> Self {
        let left = self.width / 2.0 - column * self.scale;
        Self { left, top: self.height / 2.0 - row * self.scale, ..self }.clamped()
    }

    /// The scale at which the whole quilt is visible, or its shorter side has the minimum length.
    fn min_scale(self) -> f64 {
        let whole = (self.width / self.columns).min(self.height / self.rows);
        let wide_enough = MIN_SIDE / self.columns.min(self.rows);
        whole.max(wide_enough.min(MIN_SIDE)).max(f64::MIN_POSITIVE)
    }

    fn max_scale(self) -> f64 {
        self.min_scale().max(MAX_SCALE)
    }

    /// Limits the position, so that there are no larger margins than a centered quilt has.
    fn clamped(self) -> Self {
        let clamp_axis = |start: f64, length: f64, room: f64| {
            if length <= room { (room - length) / 2.0 } else { start.clamp(room - length, 0.0) }
        };
        let left = clamp_axis(self.left, self.columns * self.scale, self.width);
        Self { left, top: clamp_axis(self.top, self.rows * self.scale, self.height), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zoom() -> Zoom {
        Zoom::new(Grid::new(1_000, 1_000).expect("allowed"), 500.0, 500.0)
    }

    #[test]
    fn the_whole_quilt_fits() {
        let zoom = zoom();
        assert!(zoom.is_whole());
        assert_eq!((zoom.scale, zoom.left, zoom.top), (0.5, 0.0, 0.0));
        assert_eq!(zoom.square_at(499.9, 0.0), Some(Square { row: 0, column: 999 }));
        assert_eq!(zoom.square_at(500.1, 0.0), None);
    }

    #[test]
    fn the_point_around_which_it_grows_stays() {
        let before = zoom().scaled(8.0, 0.0, 0.0);
        let after = before.scaled(2.0, 123.0, 321.0);
        assert_eq!(before.square_at(123.0, 321.0), after.square_at(123.0, 321.0));
        assert_eq!(after.scale, 8.0);
    }

    #[test]
    fn no_edge_is_left_behind() {
        let moved = zoom().scaled(4.0, 250.0, 250.0).moved(10_000.0, -10_000.0);
        assert_eq!((moved.left, moved.top), (0.0, 500.0 - 2_000.0));
        assert!(moved.scaled(0.0001, 0.0, 0.0).is_whole());
        assert_eq!(moved.scaled(1e9, 0.0, 0.0).scale, MAX_SCALE);
    }

    #[test]
    fn a_square_that_is_shown_is_in_sight() {
        let close = zoom().scaled(20.0, 0.0, 0.0);
        for square in [Square { row: 999, column: 0 }, Square { row: 500, column: 999 }, Square { row: 0, column: 3 }] {
            let (x, y) = close.showing(square).corner(square);
            assert!((0.0..=490.0).contains(&x) && (0.0..=490.0).contains(&y), "{square:?} at {x}, {y}");
        }
        let (first, last) = close.in_sight();
        assert_eq!((first, last), (Square { row: 0, column: 0 }, Square { row: 50, column: 50 }));
    }

    #[test]
    fn a_link_shows_the_same_part_in_the_middle() {
        let view = zoom().scaled(8.0, 100.0, 400.0).moved(37.0, -12.0);
        let shared = zoom().at_place(view.place().expect("enlarged"), None);
        assert!((shared.left - view.left).abs() < 1e-6 && (shared.top - view.top).abs() < 1e-6);
        assert_eq!(zoom().place(), None);
        // Also in a window of another size.
        let other = Zoom::new(Grid::new(1_000, 1_000).expect("allowed"), 300.0, 200.0);
        let shared = other.at_place(view.place().expect("enlarged"), None);
        assert_eq!(shared.square_at(150.0, 100.0), view.square_at(250.0, 250.0));
        let square = Square { row: 700, column: 300 };
        let around = zoom().at_place(Place { scale: 10.0, middle: None }, Some(square));
        assert_eq!(around.square_at(250.0, 250.0), Some(square));
        let anywhere = Place { scale: 10.0, middle: Some((65_000.0, 0.0)) };
        assert_eq!(zoom().at_place(anywhere, None).square_at(1.0, 499.0), Some(Square { row: 999, column: 0 }));
    }

    #[test]
    fn a_very_long_quilt_is_wide_enough_to_see() {
        let zoom = Zoom::new(Grid::new(4_096, 2).expect("allowed"), 500.0, 500.0);
        assert_eq!(zoom.scale, 12.0);
        assert_eq!(zoom.top, 0.0);
    }

    #[test]
    fn another_window_shows_the_same() {
        let resized = zoom().resized(250.0, 250.0);
        assert!(resized.is_whole());
        let close = zoom().scaled(20.0, 250.0, 250.0);
        let resized = close.resized(250.0, 300.0);
        assert_eq!(close.square_at(250.0, 250.0), resized.square_at(125.0, 150.0));
    }
}
