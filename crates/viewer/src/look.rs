//! What the colors of squares represent, and which squares are highlighted.

use quilt::race::LastAttempt;
use quilt::{Color, ReasonId, SquareState};

/// What the color of a square represents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ColorBy {
    /// The color that its task returned.
    #[default]
    Result,
    /// Its state.
    State,
    /// The duration of its last attempt.
    Duration,
    /// The number of attempts.
    Attempts,
    /// The worker of its last attempt.
    Worker,
}

/// The state of a task on the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskState {
    /// No attempt has ended yet.
    Pending,
    /// An attempt failed, and there will be another one.
    Retrying,
    /// Done.
    Done,
    /// Failed permanently.
    Failed,
    /// The batch was stopped before it ran.
    NotRun,
}

/// The look of a quilt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Look {
    /// What colors represent.
    pub by: ColorBy,
    /// The state whose squares are highlighted; `None` for no highlighting.
    pub only: Option<TaskState>,
    /// Of failed squares, only those that failed for this reason are highlighted; `None` for all.
    pub reason: Option<ReasonId>,
    /// Only squares whose last attempt ended in this range stand out: from the first to the last millisecond, from the lap's start.
    pub during: Option<(u32, u32)>,
}

/// The appearance of a square.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paint {
    /// The state, which determines the pattern and the color in the theme.
    pub state: TaskState,
    /// `None` for the theme's color of the state.
    pub color: Option<Color>,
    /// Whether the square is not highlighted, while others are.
    pub is_dimmed: bool,
}

impl ColorBy {
    /// All values, in the order of the menu.
    pub const ALL: [Self; 5] = [Self::Result, Self::State, Self::Duration, Self::Attempts, Self::Worker];

    /// Returns the value with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|by| by.as_str() == name)
    }

    /// The name in the menu and in the address.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Result => "result",
            Self::State => "state",
            Self::Duration => "duration",
            Self::Attempts => "attempts",
            Self::Worker => "worker",
        }
    }

    /// Whether drawing requires the attempts.
    #[must_use]
    pub const fn needs_attempts(self) -> bool {
        matches!(self, Self::Duration | Self::Attempts | Self::Worker)
    }
}

impl TaskState {
    /// All states, in the order of the legend.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Retrying, Self::Done, Self::Failed, Self::NotRun];

    /// Returns the state with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Returns the word in `data-state` and in the address.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Retrying => "retrying",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::NotRun => "not-run",
        }
    }

    /// Returns the name on the page.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::NotRun => "not run",
            other => other.as_str(),
        }
    }

    /// The state of a square with this outcome and this last attempt.
    #[must_use]
    pub fn of(outcome: SquareState<'_>, last: Option<LastAttempt>) -> Self {
        match outcome {
            SquareState::Pending if last.is_some_and(|last| !last.is_done) => Self::Retrying,
            SquareState::Pending => Self::Pending,
            SquareState::Done(_) => Self::Done,
            SquareState::Failed(_) => Self::Failed,
            SquareState::NotRun => Self::NotRun,
        }
    }
}

/// The color of a finished square whose attempt is unknown.
const UNKNOWN_ATTEMPT_COLOR: Color = Color::from_rgb(0x0080_8080);

impl Look {
    /// A look in which only squares in this state are highlighted, or all squares.
    #[must_use]
    pub fn with_only(self, only: Option<TaskState>) -> Self {
        Self { only, reason: None, ..self }
    }

    /// A look in which only squares are highlighted that failed for this reason.
    #[must_use]
    pub fn with_reason(self, reason: ReasonId) -> Self {
        Self { only: Some(TaskState::Failed), reason: Some(reason), ..self }
    }

    /// The appearance of a square with this outcome and this last attempt.
    #[must_use]
    pub fn paint(&self, outcome: SquareState<'_>, last: Option<LastAttempt>) -> Paint {
        let state = TaskState::of(outcome, last);
        let is_settled = matches!(state, TaskState::Done | TaskState::Failed);
        let color = match (self.by, outcome, last.filter(|_| is_settled)) {
            (ColorBy::Result, SquareState::Done(color), _) => Some(color),
            (ColorBy::Duration, _, Some(last)) => Some(duration_color(last.took_ms)),
            (ColorBy::Attempts, _, Some(last)) => Some(attempts_color(last.number)),
            (ColorBy::Worker, _, Some(last)) => Some(worker_color(last.lane)),
            (ColorBy::Duration | ColorBy::Attempts | ColorBy::Worker, SquareState::Done(_), None) => {
                Some(UNKNOWN_ATTEMPT_COLOR)
            }
            _ => None,
        };
        let is_other_state = self.only.is_some_and(|only| only != state);
        let is_inside = |(from, to): (u32, u32)| last.is_some_and(|last| (from..=to).contains(&last.ended_ms));
        Paint { state, color, is_dimmed: is_other_state || self.during.is_some_and(|range| !is_inside(range)) }
    }

    /// Whether only some squares stand out.
    #[must_use]
    pub fn has_filter(&self) -> bool {
        self.only.is_some() || self.during.is_some()
    }

    /// Whether drawing requires the attempts.
    #[must_use]
    pub fn needs_attempts(&self) -> bool {
        self.by.needs_attempts() || self.has_filter()
    }
}

/// The color of a duration in milliseconds: from dark blue over teal to yellow on a logarithmic scale from 1 ms to 100 s.
#[must_use]
pub fn duration_color(took_ms: u32) -> Color {
    const STOPS: [[u8; 3]; 5] = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
    let place = f64::from(took_ms.max(1)).log10().clamp(0.0, 5.0) / 5.0 * (STOPS.len() - 1) as f64;
    let (below, share) = (place.floor() as usize, place.fract());
    let low = STOPS.get(below).copied().unwrap_or_default();
    let high = STOPS.get(below + 1).copied().unwrap_or(low);
    let mix = |low: u8, high: u8| (f64::from(low) + (f64::from(high) - f64::from(low)) * share).round() as u8;
    rgb(mix(low[0], high[0]), mix(low[1], high[1]), mix(low[2], high[2]))
}

/// The color of a number of attempts: redder with each, up to five.
#[must_use]
pub fn attempts_color(number: u8) -> Color {
    match number {
        0 | 1 => rgb(127, 179, 164),
        2 => rgb(232, 190, 92),
        3 => rgb(226, 137, 66),
        4 => rgb(204, 82, 58),
        _ => rgb(140, 32, 60),
    }
}

/// The color of a worker by its lane. Adjacent lanes get very different hues.
#[must_use]
pub fn worker_color(lane: u16) -> Color {
    let hue = f64::from(lane) * 137.508 % 360.0;
    let lightness = if lane.is_multiple_of(2) { 0.5 } else { 0.62 };
    let channel = |offset: f64| {
        let k = (offset + hue / 30.0) % 12.0;
        let spread = 0.55 * f64::min(lightness, 1.0 - lightness);
        ((lightness - spread * (k - 3.0).min(9.0 - k).clamp(-1.0, 1.0)) * 255.0).round() as u8
    };
    rgb(channel(0.0), channel(8.0), channel(4.0))
}

fn rgb(red: u8, green: u8, blue: u8) -> Color {
    Color::from_rgb(u32::from_be_bytes([0, red, green, blue]))
}

#[cfg(test)]
mod tests {
    use quilt::{
        AttemptRun, BatchSpec, Event, Grid, Launched, Outcome, Position, Quilt, Race, Settlement, Timestamp, WorkSpec,
    };

    use super::*;

    #[test]
    fn a_square_is_drawn_by_its_state() {
        let work = WorkSpec { kind: "color".into(), parameters: serde_json::Map::new() };
        let launched = Launched::new(BatchSpec::new(work, Grid::new(2, 2).expect("small"), 1), Timestamp(0));
        let mut quilt = Quilt::new(launched);
        let mut race = Race::new(4, Timestamp(0));
        let run = |first, number, error: Option<&str>| AttemptRun {
            first: Position(first),
            count: 1,
            number,
            started_at: Timestamp(5),
            took_ms: 1_000,
            error: error.map(Into::into),
        };
        let runs = vec![run(0, 2, None), run(1, 1, Some("no")), run(2, 3, Some("no"))];
        race.apply(&Event::Attempted { lap: 1, worker: "a".into(), runs });
        let settlements = vec![
            Settlement { position: Position(0), outcome: Outcome::Done(rgb(1, 2, 3)) },
            Settlement { position: Position(2), outcome: Outcome::Failed("no".into()) },
        ];
        quilt.apply(&Event::Settled { lap: 1, at: Timestamp(9), settlements }, &mut Vec::new());
        let drawn = |by, only| {
            let look = Look { by, only, ..Look::default() };
            [0, 1, 2, 3].map(Position).map(|position| look.paint(quilt.at(position), race.last_attempt(position)))
        };
        let states = drawn(ColorBy::Result, None).map(|paint| paint.state);
        assert_eq!(states, [TaskState::Done, TaskState::Retrying, TaskState::Failed, TaskState::Pending]);
        assert_eq!(drawn(ColorBy::Result, None).map(|paint| paint.color), [Some(rgb(1, 2, 3)), None, None, None]);
        let by_attempts = [Some(attempts_color(2)), None, Some(attempts_color(3)), None];
        assert_eq!(drawn(ColorBy::Attempts, None).map(|paint| paint.color), by_attempts);
        let dimmed = drawn(ColorBy::Result, Some(TaskState::Failed)).map(|paint| paint.is_dimmed);
        assert_eq!(dimmed, [true, true, false, true]);
        // All attempts ended after 1,005 ms; the last square has none.
        for (range, expected) in [((0, 1_004), [true; 4]), ((1_005, 1_005), [false, false, false, true])] {
            let look = Look { during: Some(range), ..Look::default() };
            let dimmed = [0, 1, 2, 3]
                .map(Position)
                .map(|position| look.paint(quilt.at(position), race.last_attempt(position)).is_dimmed);
            assert_eq!(dimmed, expected, "{range:?}");
        }
    }

    #[test]
    fn scales_start_and_end_where_they_say() {
        assert_eq!(duration_color(0), rgb(68, 1, 84));
        assert_eq!(duration_color(u32::MAX), rgb(253, 231, 37));
        assert_ne!(worker_color(0), worker_color(1));
    }
}
