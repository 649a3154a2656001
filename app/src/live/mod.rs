//! The signals of a live batch. This module contains no components.
//!
//! Data flows in one direction. A message is folded and acknowledged immediately. Before the browser draws the next frame, the signals are
//! written, which updates effects and components. The visitor's input changes a signal of [`view::View`].
//!
//! # Layout
//!
//! - [`channel`]: [`use_channel`], the state of the batch as signals; `socket`: its WebSocket; `frames`: updates once per frame;
//!   `quilt_signal`: the fold of the batch with a signal
//! - `attempts`: reads attempts from the journal, `following` is its state; `playback`: replays the journal
//! - [`view`]: the visitor's view of the batch; `address`, `keys`, `pointer`: change it from the URL, the keyboard and the pointer
//! - `focus`: restores the keyboard focus
//! - [`stage`]: paints the quilt when one of these signals changes
//! - `clock`: times in the visitor's time zone
//! - `tab`: title, icon and notification; `setting`: settings in local storage
//! - [`shared`]: stored values and effects; [`fetch`]: typed requests to the HTTP API
//! - [`context`]: the handle to all of this for components

pub(crate) mod address;
pub(crate) mod attempts;
pub(crate) mod channel;
pub(crate) mod clock;
pub(crate) mod context;
pub(crate) mod fetch;
pub(crate) mod focus;
mod following;
mod frames;
pub(crate) mod keys;
pub(crate) mod playback;
pub(crate) mod pointer;
mod quilt_signal;
pub(crate) mod setting;
pub(crate) mod shared;
mod socket;
pub(crate) mod stage;
pub(crate) mod tab;
pub(crate) mod view;

pub(crate) use channel::use_channel;
pub(crate) use context::{Batch, use_batch};
pub(crate) use following::Following;
