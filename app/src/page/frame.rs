//! Brings the page up to its state, once before the browser draws.

use std::time::Duration;

use leptos::prelude::*;
use quilt::{Grid, Square};
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement};

use super::commands::{RESULTS, input};
use super::painter::{Painter, Scene};
use super::state::State;
use super::{Page, Stage, address, results, tab};
use crate::format;
use crate::panels::{Panel, receipt, square};

/// How often a page is brought up to its state that nobody looks at.
const HIDDEN: Duration = Duration::from_millis(250);

/// What is on the page already.
#[derive(Default)]
pub(super) struct Shown {
    panels: Vec<(Panel, String)>,
    /// Of what is drawn of the race.
    race_version: u32,
    attributes: [String; ATTRIBUTES],
    tab: tab::Shown,
    query: String,
    /// The lap whose receipt was asked for.
    receipt: Option<u32>,
    /// The lap, and whether it was over, whose results were asked for.
    results: Option<(u32, bool)>,
    /// The square whose details were asked for, and what was known of it then.
    square: Option<(Square, (u32, u8), &'static str)>,
    /// The finish of which the visitor was told.
    has_notified: bool,
}

/// The id of what scrolls within a panel.
const SCROLLING: &str = "lanes";

/// How many attributes tell the state.
const ATTRIBUTES: usize = 7;

/// What there is to do once nobody holds the state any more: it may change it again.
#[derive(Default)]
struct Errands {
    panels: Vec<(Panel, String)>,
    focus: Option<HtmlElement>,
    receipt: Option<u32>,
    square: Option<Square>,
    results: bool,
    /// How far the table of results is to be scrolled.
    scroll: Option<usize>,
    follow: bool,
    notify: Option<(String, String)>,
    /// Where the replay is.
    moment: Option<f64>,
    more_to_paint: bool,
}

impl Page {
    /// Brings the page up to the state before the browser draws. However often that is asked for in between, it is done once.
    pub(super) fn show_soon(self) {
        let is_first = self.with_stage(|stage| !std::mem::replace(&mut stage.is_waiting, true));
        if is_first != Some(true) {
            return;
        }
        // A browser that shows another page draws nothing, and has no frames.
        if document().hidden() {
            set_timeout(move || self.show(), HIDDEN);
        } else {
            request_animation_frame(move || self.show());
        }
    }

    /// Brings the page up to the state now.
    pub(super) fn show(self) {
        let errands = self.with_stage(|stage| {
            stage.is_waiting = false;
            self.state.try_update_value(|state| stage.follow(state))
        });
        let Some(Some(errands)) = errands else { return };
        for (panel, html) in &errands.panels {
            panel.replace(html);
        }
        if let Some((at_ms, range)) = errands.moment.zip(input("moment")) {
            range.set_value(&at_ms.to_string());
            // A valid name.
            let _ = range.set_attribute("aria-valuetext", &format::duration(at_ms as u64));
        }
        if let Some(element) = errands.focus {
            // An element of this page can be focused; where it cannot, the focus stays where it is.
            let _ = element.focus();
        }
        if let Some(top) = errands.scroll
            && let Some(table) = document().get_element_by_id(RESULTS)
        {
            table.set_scroll_top(i32::try_from(top).unwrap_or(i32::MAX));
        }
        if errands.results {
            results::ask(self);
        }
        if let Some(lap) = errands.receipt {
            receipt::ask(self, lap);
        }
        if let Some(square) = errands.square {
            square::ask(self, square);
        }
        if errands.follow {
            self.read_on();
        }
        if let Some((headline, body)) = errands.notify {
            tab::notify(&headline, &body);
        }
        if errands.more_to_paint {
            self.show_soon();
        }
    }
}

impl Stage {
    /// Brings everything up to the state that can be without anybody noticing.
    fn follow(&mut self, state: &mut State) -> Errands {
        let mut errands = Errands::default();
        self.paint(state, &mut errands);
        // Before the rows are made that are in sight then.
        let scroll = state.results.take_wanted();
        let shown = &mut self.shown;
        shown.compare_panels(state, &mut errands);
        shown.set_attributes(state);
        shown.tab.follow(&state.summary);
        address::write(state, &mut shown.query);
        shown.ask(state, &mut errands);
        errands.scroll = scroll;
        errands.moment = state.playback.map(|playback| playback.at_ms);
        errands
    }

    fn paint(&mut self, state: &mut State, errands: &mut Errands) {
        let Some(painter) = &mut self.painter else { return };
        let dirty = state.viewer.take_dirty();
        let grid = state.grid;
        let Some(scene) = state.viewer.scene(state.look) else { return };
        let zoom = state.zoom.filter(|zoom| painter.zoom() != Some(*zoom));
        if let Some(zoom) = zoom {
            painter.set_zoom(scene, zoom);
        }
        errands.more_to_paint = !painter.paint(scene, dirty);
        let last_across = state.summary.last_across.filter(|_| state.playback.is_none());
        painter.mark_last_across(scene, last_across.and_then(|square| grid.index(square)));
        errands.focus = move_focus(painter, scene, grid, state.takes_focus, state.focused);
        state.takes_focus = false;
        state.zoom = painter.zoom();
        errands.more_to_paint |= address::zoom(state);
    }
}

fn move_focus(
    painter: &mut Painter,
    scene: Scene<'_>,
    grid: Grid,
    takes_focus: bool,
    focused: Option<Square>,
) -> Option<HtmlElement> {
    let index = focused.filter(|_| takes_focus).and_then(|square| grid.index(square))?;
    painter.move_to(scene, index)
}

impl Shown {
    /// What the server has sent.
    pub(super) fn new(state: &State) -> Self {
        Self { panels: Panel::ALL.map(|panel| (panel, panel.html(state))).to_vec(), ..Self::default() }
    }

    fn compare_panels(&mut self, state: &State, errands: &mut Errands) {
        for panel in Panel::ALL {
            // The race is much to tell, and seldom new.
            if panel == Panel::Race && self.race_version == state.race_version {
                continue;
            }
            let html = panel.html(state);
            let is_shown = self.panels.iter().any(|(known, shown)| *known == panel && *shown == html);
            if !is_shown && panel.is_in_use() {
                // With one of the next changes; there are some as long as this can change at all.
                continue;
            }
            if panel == Panel::Race {
                self.race_version = state.race_version;
            }
            if !is_shown {
                // What is within it is empty then.
                self.panels.retain(|(known, _)| *known != panel && known.is_within() != Some(panel));
                self.panels.push((panel, html.clone()));
                errands.panels.push((panel, html));
            }
        }
    }

    fn set_attributes(&mut self, state: &State) {
        let Some(article) = document().query_selector("article.batch").ok().flatten() else { return };
        for ((name, value), shown) in attributes(state).into_iter().zip(&mut self.attributes) {
            if *shown != value {
                // Valid names.
                let _ = article.set_attribute(name, &value);
                *shown = value;
            }
        }
    }

    /// Notes what is to be asked for, so that it is asked for once.
    fn ask(&mut self, state: &mut State, errands: &mut Errands) {
        let now = Some((state.summary.lap, state.summary.status.is_over()));
        if state.results.is_open && now != self.results {
            self.results = now;
            errands.results = true;
        }
        let lap = state.summary.last_across.map(|_| state.summary.lap);
        if lap != self.receipt {
            self.receipt = lap;
            errands.receipt = lap;
        }
        let square = state.chosen.map(|square| {
            let standing = state.standing_of(square).map_or("", |standing| standing.as_str());
            (square, state.attempts_at(square), standing)
        });
        if square != self.square {
            self.square = square;
            errands.square = square.map(|(square, ..)| square);
        }
        errands.follow = state.wants_attempts();
        if state.has_seen_finish && !self.has_notified {
            errands.notify = Some((crate::panels::banner::headline(&state.summary), format::shape(state.grid)));
        }
        self.has_notified = state.has_seen_finish;
    }
}

/// What the page says of its state to scripts.
pub(crate) fn attributes(state: &State) -> [(&'static str, String); ATTRIBUTES] {
    let progress = state.summary.progress;
    [
        ("data-status", state.summary.status.as_str().into()),
        ("data-lap", state.summary.lap.to_string()),
        ("data-done", progress.done.to_string()),
        ("data-failed", progress.failed.to_string()),
        ("data-total", progress.tasks.to_string()),
        ("data-connection", state.connection.as_str().into()),
        ("data-zoom", state.zoom.map_or(String::new(), |zoom| format!("{:.2}", zoom.scale))),
    ]
}

impl Panel {
    /// Shows something else. The focus stays with the element of the same id.
    fn replace(self, html: &str) {
        let Some(element) = document().get_element_by_id(self.id()) else { return };
        let focused = document().active_element().filter(|focused| element.contains(Some(focused)));
        let scrolled = document().get_element_by_id(SCROLLING).map(|list| list.scroll_top());
        element.set_inner_html(html);
        if let Some((list, top)) = document().get_element_by_id(SCROLLING).zip(scrolled) {
            list.set_scroll_top(top);
        }
        let Some(focused) = focused else { return };
        // What had the focus, or else the next thing that can be done: here, or with the quilt.
        let same = document().get_element_by_id(&focused.id()).filter(|_| !focused.id().is_empty());
        let next = same
            .or_else(|| element.query_selector("button").ok().flatten())
            .or_else(|| document().query_selector("[role=grid] [tabindex='0']").ok().flatten());
        if let Some(next) = next.and_then(|next: Element| next.dyn_into::<HtmlElement>().ok()) {
            // Where it cannot be focused, the focus is where the browser has put it.
            let _ = next.focus();
        }
    }

    /// Whether somebody is at something within it that would be gone if it were made anew.
    fn is_in_use(self) -> bool {
        let Some(element) = document().get_element_by_id(self.id()) else { return false };
        let used = if self == Self::Race { ":active, button:focus" } else { ":active, input[type=number]:focus" };
        element.query_selector(used).is_ok_and(|used| used.is_some())
    }
}
