//! The signals of a live batch: no views.
//!
//! Data flows one way. A message is folded and acknowledged at once; before the browser draws the next frame the signals are written, and
//! the effects and components that depend on them follow. What the visitor does changes a signal of [`view::View`].
//!
//! # Layout
//!
//! - [`channel`]: [`use_channel`], the state of the batch as signals; `socket`: its WebSocket; `frames`: once a frame
//! - `attempts`: reads attempts from the journal; `playback`: plays it
//! - [`view`]: how the visitor looks at the batch; `address`, `keys`, `pointer`: the address, the keyboard and the pointer change it; `focus`: where the keyboard goes
//! - [`stage`]: paints the quilt when one of these signals changes
//! - `tab`: title, icon and notification; `setting`: what the browser keeps
//! - [`shared`]: stored values and effects; [`fetch`]: typed requests to the HTTP API
//! - [`context`]: all of it, for the components

pub(crate) mod address;
pub(crate) mod attempts;
pub(crate) mod channel;
pub(crate) mod context;
pub(crate) mod fetch;
pub(crate) mod focus;
mod following;
mod frames;
pub(crate) mod keys;
pub(crate) mod playback;
pub(crate) mod pointer;
pub(crate) mod setting;
pub(crate) mod shared;
mod socket;
pub(crate) mod stage;
pub(crate) mod tab;
pub(crate) mod view;

pub(crate) use channel::use_channel;
pub(crate) use context::{Batch, use_batch};
pub(crate) use following::Following;
