//! The minimum cost of a batch with a durable launch and durable results: the bare loop of its work, and two commits.

use std::path::Path;
use std::time::Instant;

use engine::work::{Registry, Task, Work};
use quilt::wire::encode_event;
use quilt::{Event, Grid, Index, Launched, Order, Outcome, Settlement, TaskOrder, Timestamp};
use rusqlite::{Connection, params};

use crate::{Measured, cpu_time, spec};

/// Runs the tasks of batches in a plain loop. Stores the launch of each batch, and then its outcomes, as the engine encodes them.
pub(crate) async fn bare(grid: Grid, batches: u32, folder: &Path) -> Measured {
    let mut file = Connection::open(folder.join("bare.db")).expect("a new file");
    file.execute_batch(
        "PRAGMA journal_mode = wal; PRAGMA synchronous = full;
         CREATE TABLE events (batch INTEGER, number INTEGER, body BLOB, PRIMARY KEY (batch, number)) WITHOUT ROWID;",
    )
    .expect("valid");
    let mut commit = |batch: u32, number: u32, event: &Event| {
        let transaction = file.transaction().expect("nobody else writes");
        transaction
            .prepare_cached("INSERT INTO events VALUES (?1, ?2, ?3)")
            .and_then(|mut insert| insert.execute(params![batch, number, encode_event(event)]))
            .expect("there is space");
        transaction.commit().expect("there is space");
    };
    let (cpu, wall) = (cpu_time(), Instant::now());
    for seed in 0..batches {
        let spec = spec(grid, seed);
        let Work::Async(work) = Registry::default().build(&spec, None).expect("a known kind") else {
            panic!("it does not block")
        };
        commit(seed, 0, &Event::Launched(Launched::new(spec, Timestamp(1))));
        let order = Order::new(TaskOrder::Random, seed.into(), grid.squares());
        let mut settlements = Vec::with_capacity(grid.squares() as usize);
        for index in (0..grid.squares()).map(Index) {
            let task = Task { index, seed: seed.into(), lap: 1, attempt: 1, lease: Default::default() };
            let done = work.run(task).await.expect("it does not fail");
            settlements.push(Settlement { position: order.position(index), outcome: Outcome::Done(done.color) });
        }
        commit(seed, 1, &Event::Settled { lap: 1, at: Timestamp(2), settlements });
    }
    Measured { name: "commits", cpu: cpu_time() - cpu, wall: wall.elapsed(), launch: None, journal_bytes: None }
}
