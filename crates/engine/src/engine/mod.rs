//! What a program launches, controls and watches batches with.
//!
//! # Layout
//!
//! - `shared`: [`Engine`] itself; `settings`: what it may use; `start`: its start and its end
//! - `launch`, `control`: what is asked for; `error`: why it was not done; `batch_locks`: one change of a batch at a time
//! - `laps`: the laps that run, from their start to their end; `stops`: ends them early; `reconcile`: finds what nobody runs; `running`: what they count for
//! - `record`: what is known of one square, and the receipts; `listing`: an owner's batches; `load`: what the workers do; `why`: what a task waits for
//! - `health`: whether batches can be stored; `retention`: removes what is not kept any longer

mod batch_locks;
mod control;
mod error;
mod health;
mod laps;
mod launch;
mod listing;
mod load;
mod reconcile;
mod record;
mod retention;
mod running;
mod settings;
mod shared;
mod start;
mod stops;
mod why;

pub use self::error::{ControlError, LaunchError, TooManyRunning};
pub use self::listing::Listing;
pub use self::record::{Events, SquareRecord, SquareResult};
pub use self::settings::Settings;
pub use self::shared::Engine;
