//! Launches, controls and observes batches.
//!
//! # Layout
//!
//! - `shared`: [`Engine`] itself; `settings`: its settings; `start`: startup and shutdown
//! - `launch`, `control`: operations on batches; `error`: their errors; `batch_locks`: serializes changes of a batch
//! - `laps`: running laps, from start to end; `stops`: ends laps early; `reconcile`: adopts uncoordinated laps; `running`: counts laps
//!   against the limits
//! - `record`: one square and its attempts, and the receipts; `results`: pages of results; `listing`: an owner's batches; `load`: running tasks; `why`: why a task is
//!   pending
//! - `health`: whether batches can be stored; `retention`: removes expired batches

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
mod results;
mod retention;
mod running;
mod settings;
mod shared;
mod start;
mod stops;
mod why;

pub use self::error::{ControlError, LaunchError, TooManyRunning};
pub use self::launch::Launcher;
pub use self::listing::{Listing, MAX_SEARCHED};
pub use self::record::{Events, SquareRecord, SquareResult};
pub use self::settings::Settings;
pub use self::shared::Engine;
