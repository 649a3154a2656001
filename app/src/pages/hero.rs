//! The introduction for new visitors, with a small quilt that fills in.

use leptos::prelude::*;

/// The settled squares of a finished batch in the order in which they arrived: row, column and color. It was a launch of
/// `{"kind": "render", "preset": "elephant", "samples": 16, "iterations": 20000}` with 12 rows and columns, read from its events.
const RECORDED: &str = include_str!("recorded_quilt.txt");

/// The rows and columns of the recorded batch.
const SIDE: usize = 12;

/// What the product is for, and a recorded batch as an animation. Nothing is launched.
#[component]
pub(super) fn Hero() -> impl IntoView {
    let cells = cells(RECORDED).map(|(arrival, color)| {
        view! { <i style=format!("--arrival:{arrival};background:{color}")></i> }
    });
    view! {
        <section class="hero">
            <div>
                <h1>"Many tasks, one quilt."</h1>
                <p class="lead">
                    "Check a thousand URLs, resize an image in tiles, or run a command for every line of a file. Each task is a square that fills in the moment it is done. Failures are retried, nothing is lost in a crash, and the finish line comes exactly once."
                </p>
            </div>
            <figure class="small-quilt">
                <div aria-hidden="true">{cells.collect_view()}</div>
                <figcaption>"144 tasks, as they finished"</figcaption>
            </figure>
        </section>
    }
}

/// The place in the order of arrival and the color of each square, in reading order.
fn cells(recorded: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut cells = vec![(0, "transparent"); SIDE * SIDE];
    for (arrival, line) in recorded.lines().enumerate() {
        let mut parts = line.split(' ');
        let mut number = || parts.next()?.parse::<usize>().ok();
        let index = number().zip(number()).map(|(row, column)| row * SIDE + column);
        if let (Some(cell), Some(color)) = (index.and_then(|index| cells.get_mut(index)), parts.next()) {
            *cell = (arrival, color);
        }
    }
    cells.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_square_was_recorded_once() {
        let cells: Vec<(usize, &str)> = cells(RECORDED).collect();
        assert!(cells.iter().all(|(_, color)| color.len() == 7 && color.starts_with('#')), "{cells:?}");
        let mut order: Vec<usize> = cells.iter().map(|(arrival, _)| *arrival).collect();
        assert!(!order.is_sorted(), "squares arrive in no order of rows");
        order.sort_unstable();
        assert!(order.into_iter().eq(0..SIDE * SIDE));
    }
}
