//! Runs batches: journal, queue, leases, workers and kinds of work.
