//! What is told of a batch, made as text: each panel is a function of the page's state.
//!
//! The server sends the panels with the page; in the browser each is made anew when it reads differently. Buttons say in `data-do` what
//! they do, and forms are posted in place.

pub(crate) mod banner;
mod connection;
mod controls;
pub(crate) mod help;
mod legend;
mod progress;
pub(crate) mod race;
pub(crate) mod receipt;
mod replay;
mod results;
pub(crate) mod square;
mod toolbar;

use crate::format;
use crate::html::escaped;
use crate::page::State;
use crate::page::look::Standing;

/// A part of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Panel {
    Subtitle,
    Connection,
    Controls,
    Progress,
    Concurrency,
    Legend,
    /// How many squares stand like this.
    Count(Standing),
    Readout,
    Toolbar,
    Notice,
    Replay,
    ReplayMoment,
    Square,
    SquareAnswer,
    Banner,
    LastAcross,
    Receipt,
    Race,
    ResultsCount,
    Results,
}

impl Panel {
    /// Those that others are within come before them.
    pub(crate) const ALL: [Self; 23] = [
        Self::Subtitle,
        Self::Connection,
        Self::Controls,
        Self::Progress,
        Self::Concurrency,
        Self::Legend,
        Self::Count(Standing::Pending),
        Self::Count(Standing::Retrying),
        Self::Count(Standing::Done),
        Self::Count(Standing::Failed),
        Self::Readout,
        Self::Toolbar,
        Self::Notice,
        Self::Replay,
        Self::ReplayMoment,
        Self::Square,
        Self::SquareAnswer,
        Self::Banner,
        Self::LastAcross,
        Self::Receipt,
        Self::Race,
        Self::ResultsCount,
        Self::Results,
    ];

    /// The id of its element.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::Subtitle => "panel-subtitle",
            Self::Connection => "panel-connection",
            Self::Controls => "panel-controls",
            Self::Progress => "panel-progress",
            Self::Concurrency => "panel-concurrency",
            Self::Legend => "panel-legend",
            Self::Count(Standing::Pending) => "panel-count-pending",
            Self::Count(Standing::Retrying) => "panel-count-retrying",
            Self::Count(Standing::Done) => "panel-count-done",
            Self::Count(Standing::Failed) => "panel-count-failed",
            Self::Readout => "panel-readout",
            Self::Toolbar => "panel-toolbar",
            Self::Notice => "panel-notice",
            Self::Replay => "panel-replay",
            Self::ReplayMoment => "panel-replay-moment",
            Self::Square => "panel-square",
            Self::SquareAnswer => "panel-square-answer",
            Self::Banner => "panel-banner",
            Self::LastAcross => "panel-last-across",
            Self::Receipt => "panel-receipt",
            Self::Race => "panel-race",
            Self::ResultsCount => "panel-results-count",
            Self::Results => "panel-results",
        }
    }

    /// The panel that it is a part of.
    pub(crate) fn is_within(self) -> Option<Self> {
        match self {
            Self::LastAcross | Self::Receipt => Some(Self::Banner),
            Self::ReplayMoment => Some(Self::Replay),
            Self::Count(_) => Some(Self::Legend),
            Self::SquareAnswer => Some(Self::Square),
            _ => None,
        }
    }

    /// What it tells; its parts are for themselves to tell, so that one that changes leaves the others alone.
    pub(crate) fn html(self, state: &State) -> String {
        match self {
            Self::Subtitle => subtitle(state),
            Self::Connection => connection::html(state.connection),
            Self::Controls => controls::html(state),
            Self::Progress => progress::html(state),
            Self::Concurrency => controls::concurrency_html(state),
            Self::Legend => legend::html(state),
            Self::Count(standing) => legend::count_html(state, standing),
            Self::Readout => readout(state),
            Self::Toolbar => toolbar::html(state),
            Self::Notice => format!("<span>{}</span>", state.notice),
            Self::Replay => replay::html(state),
            Self::ReplayMoment => replay::moment_html(state),
            Self::Square => square::html(state),
            Self::SquareAnswer => square::answer_html(state),
            Self::Banner => banner::html(state),
            Self::LastAcross => banner::last_across_html(state),
            Self::Receipt => receipt::html(state),
            Self::Race => race::html(state),
            Self::ResultsCount => results::count_html(state),
            Self::Results => results::html(state),
        }
    }

    /// Its element, with what it tells and what its parts tell, as the server sends it.
    pub(crate) fn whole(self, state: &State) -> String {
        let parts = Self::ALL.into_iter().filter(|part| part.is_within() == Some(self));
        let html = parts.fold(self.html(state), |html, part| html.replace(&part.slot(), &part.whole(state)));
        self.slot().replace("></", &format!(">{html}</"))
    }

    /// Its element, with nothing in it yet.
    fn slot(self) -> String {
        // A count is within a button.
        let tag = if matches!(self, Self::Count(_)) { "span" } else { "div" };
        format!(r#"<{tag} class="panel" id="{}"></{tag}>"#, self.id())
    }
}

fn subtitle(state: &State) -> String {
    let summary = &state.summary;
    let tasks = format::count(summary.progress.tasks);
    let kind = escaped(&summary.spec.work.kind);
    let lap = if summary.lap > 1 { format!(" · lap {}", summary.lap) } else { String::new() };
    let paused = if summary.status == quilt::Status::Paused { " · paused" } else { "" };
    format!(r#"<p class="quiet">{tasks} {kind} tasks{lap}{paused}</p>"#)
}

/// What the pointer or the keyboard is at, or a hint.
fn readout(state: &State) -> String {
    let hint = "Point at a square, or go to the quilt and use the arrow keys. Choose one to see its attempts. Press ? for help.";
    state.readout().map_or_else(|| hint.into(), |label| escaped(&label).into_owned())
}
