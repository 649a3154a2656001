//! How a quilt is looked at: what its colours tell, and which squares stand out. Kept in the address, so that a link opens the same view.

use leptos::prelude::window;
use quilt::race::LastTry;
use quilt::{Color, Square, SquareState};
use web_sys::MediaQueryList;

/// Tells whether the page is dark, and when that changes.
pub(super) fn dark_scheme() -> Option<MediaQueryList> {
    window().match_media("(prefers-color-scheme: dark)").ok().flatten()
}

pub(super) fn is_dark() -> bool {
    dark_scheme().is_some_and(|dark| dark.matches())
}

/// What the colour of a square tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum ColorBy {
    /// The colour that its task came to.
    #[default]
    Result,
    /// Whether it is pending, tried again, done or failed.
    State,
    /// How long its last attempt took.
    Duration,
    /// How many attempts it took.
    Attempts,
    /// Who made the last one.
    Worker,
}

/// How a square stands, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// No attempt has ended yet.
    Pending,
    /// An attempt failed, and there will be another one.
    Retrying,
    /// Done.
    Done,
    /// Failed for good.
    Failed,
}

/// How a quilt is looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) by: ColorBy,
    /// The squares that stand out; all of them if there is nothing here.
    pub(crate) only: Option<Standing>,
    /// Whether the page is dark.
    pub(crate) is_dark: bool,
}

/// How a square is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Paint {
    pub(crate) standing: Standing,
    /// Nothing for the colour that the page has for a square that stands like this.
    pub(crate) color: Option<Color>,
    /// Whether it stands back behind others.
    pub(crate) is_dimmed: bool,
}

impl ColorBy {
    pub(crate) const ALL: [Self; 5] = [Self::Result, Self::State, Self::Duration, Self::Attempts, Self::Worker];

    /// The one of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|by| by.as_str() == name)
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Result => "result",
            Self::State => "state",
            Self::Duration => "duration",
            Self::Attempts => "attempts",
            Self::Worker => "worker",
        }
    }

    /// Whether it takes the attempts to tell.
    pub(crate) fn needs_attempts(self) -> bool {
        matches!(self, Self::Duration | Self::Attempts | Self::Worker)
    }
}

impl Standing {
    pub(crate) const ALL: [Self; 4] = [Self::Pending, Self::Retrying, Self::Done, Self::Failed];

    /// The one of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|standing| standing.as_str() == name)
    }

    /// The word in `data-state` and in the address.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Retrying => "retrying",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }

    pub(crate) fn of(state: SquareState<'_>, last: Option<LastTry>) -> Self {
        match state {
            SquareState::Pending if last.is_some_and(|last| !last.is_done) => Self::Retrying,
            SquareState::Pending => Self::Pending,
            SquareState::Done(_) => Self::Done,
            SquareState::Failed(_) => Self::Failed,
        }
    }

    /// The page's own colour for it.
    pub(crate) fn color(self, is_dark: bool) -> Color {
        Color::from_rgb(match (self, is_dark) {
            (Self::Pending, false) => 0x00EC_E2CF,
            (Self::Pending, true) => 0x0027_2A3C,
            (Self::Retrying, false) => 0x00D9_A13B,
            (Self::Retrying, true) => 0x00B8_7F1E,
            (Self::Done, false) => 0x002F_6F60,
            (Self::Done, true) => 0x0063_C3A8,
            (Self::Failed, false) => 0x00A3_282A,
            (Self::Failed, true) => 0x00FF_8A80,
        })
    }
}

impl Look {
    /// How a square is drawn that is in this state, and of which this was the last try.
    pub(crate) fn paint(&self, state: SquareState<'_>, last: Option<LastTry>) -> Paint {
        let standing = Standing::of(state, last);
        let is_settled = matches!(standing, Standing::Done | Standing::Failed);
        let color = match (self.by, state, last) {
            (ColorBy::Result, SquareState::Done(color), _) => Some(color),
            (ColorBy::State, SquareState::Done(_), _) => Some(Standing::Done.color(self.is_dark)),
            (ColorBy::Duration, _, Some(last)) if is_settled => Some(duration_color(last.took_ms)),
            (ColorBy::Attempts, _, Some(last)) if is_settled => Some(attempts_color(last.number)),
            (ColorBy::Worker, _, Some(last)) if is_settled => Some(worker_color(last.lane)),
            // What is not known of a square that is done.
            (_, SquareState::Done(_), _) => Some(Color::from_rgb(0x0080_8080)),
            _ => None,
        };
        Paint { standing, color, is_dimmed: self.only.is_some_and(|only| only != standing) }
    }

    /// What an address says, as far as it says something.
    pub(crate) fn from_query(query: &str, is_dark: bool) -> Self {
        let by = value(query, "by").and_then(ColorBy::named);
        let only = value(query, "only").and_then(Standing::named);
        Self { by: by.unwrap_or_default(), only, is_dark }
    }

    /// What the address says of this look, of the square that is chosen and of how large it is drawn.
    pub(crate) fn query(&self, chosen: Option<Square>, zoom: Option<f64>) -> String {
        let mut parts = Vec::new();
        if self.by != ColorBy::default() {
            parts.push(format!("by={}", self.by.as_str()));
        }
        if let Some(only) = self.only {
            parts.push(format!("only={}", only.as_str()));
        }
        if let Some(Square { row, column }) = chosen {
            parts.push(format!("square={row},{column}"));
        }
        if let Some(zoom) = zoom {
            parts.push(format!("zoom={zoom:.2}"));
        }
        if parts.is_empty() { String::new() } else { format!("?{}", parts.join("&")) }
    }
}

/// The square in an address, or in what somebody typed: `row,column`.
pub(crate) fn square(text: &str) -> Option<Square> {
    let (row, column) = text.split_once(',')?;
    Some(Square { row: row.trim().parse().ok()?, column: column.trim().parse().ok()? })
}

/// A value in an address; what is there twice is there once.
pub(crate) fn value<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    let pairs = query.trim_start_matches('?').split('&');
    pairs.filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// From short to long: dark blue, teal, yellow. The scale is logarithmic, from 1 ms to 100 s.
pub(crate) fn duration_color(took_ms: u32) -> Color {
    const STOPS: [[u8; 3]; 5] = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
    let place = f64::from(took_ms.max(1)).log10().clamp(0.0, 5.0) / 5.0 * (STOPS.len() - 1) as f64;
    let (below, share) = (place.floor() as usize, place.fract());
    let low = STOPS.get(below).copied().unwrap_or_default();
    let high = STOPS.get(below + 1).copied().unwrap_or(low);
    let mix = |low: u8, high: u8| (f64::from(low) + (f64::from(high) - f64::from(low)) * share).round() as u8;
    rgb(mix(low[0], high[0]), mix(low[1], high[1]), mix(low[2], high[2]))
}

/// From one attempt to five and more: ever redder.
pub(crate) fn attempts_color(number: u8) -> Color {
    match number {
        0 | 1 => rgb(127, 179, 164),
        2 => rgb(232, 190, 92),
        3 => rgb(226, 137, 66),
        4 => rgb(204, 82, 58),
        _ => rgb(140, 32, 60),
    }
}

/// Neighbours in the list get hues that are far apart.
pub(crate) fn worker_color(lane: u16) -> Color {
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
    fn an_address_says_what_it_was_made_of() {
        for by in ColorBy::ALL {
            for only in Standing::ALL.map(Some).into_iter().chain([None]) {
                let look = Look { by, only, is_dark: false };
                let query = look.query(Some(Square { row: 3, column: 14 }), Some(2.5));
                assert_eq!(Look::from_query(&query, false), look);
                assert_eq!(value(&query, "square").and_then(square), Some(Square { row: 3, column: 14 }));
                assert_eq!(value(&query, "zoom"), Some("2.50"));
            }
        }
        assert_eq!(Look::default().query(None, None), "");
        assert_eq!(Look::from_query("?by=nothing&only=&x", false), Look::default());
        assert_eq!(square("1"), None);
    }

    #[test]
    fn a_square_is_drawn_as_it_stands() {
        let work = WorkSpec { kind: "color".into(), parameters: serde_json::Map::new() };
        let launched = Launched { spec: BatchSpec::new(work, Grid::new(2, 2).expect("small"), 1), at: Timestamp(0) };
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
            let look = Look { by, only, is_dark: false };
            [0, 1, 2, 3].map(Position).map(|position| look.paint(quilt.at(position), race.last_try(position)))
        };
        let standings = drawn(ColorBy::Result, None).map(|paint| paint.standing);
        assert_eq!(standings, [Standing::Done, Standing::Retrying, Standing::Failed, Standing::Pending]);
        assert_eq!(drawn(ColorBy::Result, None).map(|paint| paint.color), [Some(rgb(1, 2, 3)), None, None, None]);
        let by_attempts = [Some(attempts_color(2)), None, Some(attempts_color(3)), None];
        assert_eq!(drawn(ColorBy::Attempts, None).map(|paint| paint.color), by_attempts);
        let dimmed = drawn(ColorBy::Result, Some(Standing::Failed)).map(|paint| paint.is_dimmed);
        assert_eq!(dimmed, [true, true, false, true]);
    }

    #[test]
    fn scales_start_and_end_where_they_say() {
        assert_eq!(duration_color(0), rgb(68, 1, 84));
        assert_eq!(duration_color(u32::MAX), rgb(253, 231, 37));
        assert_ne!(worker_color(0), worker_color(1));
    }
}
