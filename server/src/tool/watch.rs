//! `quilt watch`: draws the quilt in the terminal.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use crossterm::{cursor, execute, terminal};
use quilt::{BatchId, Color, Index, Quilt, SquareState};
use tokio::time::{Instant, sleep_until};

use super::error::{Ended, ToolError};
use super::follow::Follower;
use super::progress::counts;
use super::session::Session;
use crate::server::shutdown_signal;

/// Minimum interval between two frames.
const FRAME_INTERVAL: Duration = Duration::from_millis(66);

/// The colors of squares without a result, as red, green and blue.
const PENDING: [u32; 3] = [58, 62, 87];
const FAILED: [u32; 3] = [200, 50, 52];
const NOT_RUN: [u32; 3] = [38, 40, 52];

/// Columns and rows, if the size of the terminal is unknown.
const DEFAULT_SIZE: (u16, u16) = (80, 24);

/// `quilt watch`.
pub(super) async fn watch(session: &Session, id: BatchId) -> Result<Ended, ToolError> {
    let mut follower = Follower::new(session.api.clone(), id);
    let mut interrupt = std::pin::pin!(shutdown_signal());
    let screen = Screen::open()?;
    let mut next = Instant::now();
    loop {
        let quilt = tokio::select! {
            quilt = follower.next() => quilt?,
            () = &mut interrupt => return Ok(Ended::Interrupted),
        };
        let is_over = quilt.status().is_over();
        // A local server of this process runs no tasks, so the batch does not change.
        let is_static = is_over || session.owns_server();
        if is_static || (screen.is_terminal && Instant::now() >= next) {
            let size = terminal::size().unwrap_or(DEFAULT_SIZE);
            screen.draw(&render(quilt, size))?;
            next = Instant::now() + FRAME_INTERVAL;
        }
        if is_static {
            return Ok(if is_over { Ended::of(quilt) } else { Ended::Done });
        }
        if screen.is_terminal {
            sleep_until(next).await;
        }
    }
}

/// The terminal. The cursor is hidden until drop.
struct Screen {
    is_terminal: bool,
}

impl Screen {
    fn open() -> std::io::Result<Self> {
        let is_terminal = std::io::stdout().is_terminal();
        if is_terminal {
            execute!(std::io::stdout(), cursor::Hide, terminal::Clear(terminal::ClearType::All))?;
        }
        Ok(Self { is_terminal })
    }

    fn draw(&self, frame: &str) -> std::io::Result<()> {
        let mut stdout = std::io::stdout().lock();
        if self.is_terminal {
            execute!(stdout, cursor::MoveTo(0, 0))?;
        }
        stdout.write_all(frame.as_bytes())?;
        stdout.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.is_terminal {
            let _ = execute!(std::io::stdout(), cursor::Show);
        }
    }
}

/// Renders a quilt for a terminal with these columns and rows. Each character shows two dots, one above the other.
fn render(quilt: &Quilt, (width, height): (u16, u16)) -> String {
    let grid = quilt.grid();
    let (rows, columns) = (u32::from(grid.rows()), u32::from(grid.columns()));
    let (wide, high) = (u32::from(width).max(1), u32::from(height.saturating_sub(2)).max(1) * 2);
    // A dot is the mean of `scale` by `scale` squares.
    let scale = columns.div_ceil(wide).max(rows.div_ceil(high)).max(1);
    let (across, down) = (columns.div_ceil(scale), rows.div_ceil(scale));
    let dot = |x: u32, y: u32| {
        let mut sum = [0; 3];
        let mut count = 0;
        for row in y * scale..((y + 1) * scale).min(rows) {
            for column in x * scale..((x + 1) * scale).min(columns) {
                let index = row * columns + column;
                if index < grid.squares() {
                    for (sum, channel) in sum.iter_mut().zip(square_rgb(quilt.square(Index(index)))) {
                        *sum += channel;
                    }
                    count += 1;
                }
            }
        }
        (count > 0).then(|| sum.map(|sum| sum / count))
    };
    let mut text = String::new();
    for y in (0..down).step_by(2) {
        for x in 0..across {
            // Writing to a string cannot fail.
            let _ = match (dot(x, y), dot(x, y + 1).filter(|_| y + 1 < down)) {
                (Some([r, g, b]), Some([red, green, blue])) => {
                    write!(text, "\x1b[38;2;{r};{g};{b}m\x1b[48;2;{red};{green};{blue}m▀")
                }
                (Some([r, g, b]), None) => write!(text, "\x1b[49m\x1b[38;2;{r};{g};{b}m▀"),
                (None, _) => write!(text, "\x1b[0m "),
            };
        }
        text.push_str("\x1b[0m\x1b[K\n");
    }
    let _ = writeln!(text, "{}\x1b[K", counts(quilt));
    text
}

fn square_rgb(state: SquareState<'_>) -> [u32; 3] {
    match state {
        SquareState::Pending => PENDING,
        SquareState::NotRun => NOT_RUN,
        SquareState::Failed(_) => FAILED,
        SquareState::Done(color) => color_rgb(color),
    }
}

fn color_rgb(color: Color) -> [u32; 3] {
    let rgb = color.rgb();
    [rgb >> 16 & 0xff, rgb >> 8 & 0xff, rgb & 0xff]
}

#[cfg(test)]
mod tests {
    use quilt::{BatchSpec, Event, Grid, Launched, Outcome, Settlement, Timestamp, WorkSpec};

    use super::*;

    fn quilt(rows: u16, columns: u16) -> Quilt {
        let work = WorkSpec { kind: "color".into(), parameters: serde_json::Map::new() };
        let spec = BatchSpec::new(work, Grid::new(rows, columns).expect("small"), 1);
        Quilt::new(Launched::new(spec, Timestamp(0)))
    }

    #[test]
    fn two_rows_of_squares_are_a_line_of_text() {
        let mut quilt = quilt(3, 2);
        let position = quilt.order().position(Index(0));
        let settlements = vec![Settlement { position, outcome: Outcome::Done(Color::from_rgb(0x01_02_03)) }];
        quilt.apply(&Event::Settled { lap: 1, at: Timestamp(1), settlements }, &mut Vec::new());
        let text = render(&quilt, (80, 24));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[0].starts_with("\x1b[38;2;1;2;3m\x1b[48;2;58;62;87m▀"), "{text}");
        assert!(lines[1].starts_with("\x1b[49m\x1b[38;2;58;62;87m▀"), "{text}");
        assert!(lines[2].starts_with("running: 1 of 6 done"), "{text}");
    }

    #[test]
    fn a_large_quilt_fits_into_a_small_terminal() {
        let text = render(&quilt(300, 1_000), (40, 12));
        assert!(text.lines().count() <= 11, "{}", text.lines().count());
        assert!(text.lines().next().is_some_and(|line| line.matches('▀').count() <= 40));
    }
}
