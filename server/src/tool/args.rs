//! The options of the command-line tools.

#![allow(rustdoc::bare_urls, reason = "the comments are the text of --help")]

use std::path::PathBuf;
use std::time::Duration;

use ::api::{LapRequest, Number, ResultFormat, Square, TaskState};
use clap::{Args, Subcommand};
use quilt::{BatchId, Priority, TaskOrder, Timestamp};

use super::choices::{priority, result_format, task_order, task_state};
use super::values::{HaltRule, duration, halt, label, square, start};

/// The server or the folder with the batches.
#[derive(Debug, Clone, Args)]
pub(crate) struct Target {
    /// The URL of the server to use [default: none, batches run locally]
    #[arg(long, global = true, value_name = "URL", env = "QUILT_URL")]
    pub(crate) url: Option<String>,

    /// The folder in which local batches are stored
    #[arg(long, global = true, value_name = "FOLDER", default_value = ".quilt", conflicts_with = "url")]
    pub(crate) folder: PathBuf,
}

/// What is printed while a batch runs.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct OutputOptions {
    /// Print only errors
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,

    /// Print JSON to standard output, one object per line
    #[arg(long, global = true, conflicts_with = "quiet")]
    pub(crate) json: bool,
}

/// Launches a batch and follows it to its finish line.
#[derive(Debug, Args)]
pub(crate) struct RunOptions {
    #[command(subcommand)]
    pub(crate) work: Option<Work>,

    #[command(flatten)]
    pub(crate) target: Target,

    #[command(flatten)]
    pub(crate) output_options: OutputOptions,

    /// Continue the last interrupted batch
    #[arg(long, global = true, conflicts_with = "retry_failed")]
    pub(crate) resume: bool,

    /// Run the failed tasks of the last batch again
    #[arg(long, global = true)]
    pub(crate) retry_failed: bool,

    /// The batch for --resume or --retry-failed [default: the last one]
    #[arg(long = "batch", global = true, value_name = "ID")]
    pub(crate) named: Option<BatchId>,

    #[command(flatten)]
    pub(crate) batch: BatchOptions,

    /// Write the results to this file at the end; the extension .csv, .ndjson or .png determines the format; - for standard output
    #[arg(long, short, global = true, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// The format of the results [default: by the extension of the file]
    #[arg(long, global = true, value_name = "FORMAT", value_parser = result_format())]
    pub(crate) format: Option<ResultFormat>,

    /// Comma-separated networks that tasks may fetch from although they are not public, such as 127.0.0.0/8
    #[arg(long, global = true, value_name = "NETWORKS", conflicts_with = "url")]
    pub(crate) allow: Option<String>,

    /// Open the batch's page in the browser
    #[arg(long, global = true)]
    pub(crate) open: bool,

    /// Keep serving the page after the end of the batch, until Ctrl+C
    #[arg(long, global = true, conflicts_with = "url")]
    pub(crate) stay: bool,
}

/// Options of a batch that apply to all kinds of work.
#[derive(Debug, Default, Args)]
pub(crate) struct BatchOptions {
    /// Maximum number of tasks that run at the same time [default: one command per processor; for other work the number of slots]
    #[arg(long, short, global = true, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(crate) jobs: Option<u32>,

    /// Maximum number of attempts per task [default: 1 for commands, 3 for other work]
    #[arg(long, global = true, value_name = "NUMBER")]
    pub(crate) attempts: Option<u32>,

    /// The timeout of an attempt, such as 30s or 5m [default: an hour for commands, a minute for other work]
    #[arg(long, global = true, value_name = "TIME", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,

    /// The time limit of the batch, such as 2h
    #[arg(long, global = true, value_name = "TIME", value_parser = duration)]
    pub(crate) deadline: Option<Duration>,

    /// Stop when this many tasks have failed, or more than a share of them such as 10%. With the prefix soon, running tasks may end:
    /// soon,fail=3
    #[arg(long, global = true, value_name = "[now|soon,][fail=]NUMBER|PERCENT", value_parser = halt)]
    pub(crate) halt: Option<HaltRule>,

    /// The order in which the tasks run
    #[arg(long, global = true, value_name = "ORDER", value_parser = task_order())]
    pub(crate) order: Option<TaskOrder>,

    /// The share of the batch in the working time, relative to your other batches and those of others [default: normal]
    #[arg(long, global = true, value_name = "PRIORITY", value_parser = priority())]
    pub(crate) priority: Option<Priority>,

    /// Start no task before this time, such as 2026-09-21T14:13:20Z, or 10m for ten minutes from now; at most a year ahead
    #[arg(long, global = true, value_name = "TIME", value_parser = start)]
    pub(crate) not_before: Option<Timestamp>,

    /// The title of the batch
    #[arg(long, global = true, value_name = "TEXT")]
    pub(crate) title: Option<String>,

    /// A label for programs; can be given several times
    #[arg(long = "label", global = true, value_name = "NAME=VALUE", value_parser = label)]
    pub(crate) labels: Vec<(String, String)>,

    /// Determines the order of the tasks, and random colors
    #[arg(long, global = true, value_name = "NUMBER")]
    pub(crate) seed: Option<u64>,

    /// The number of rows
    #[arg(long, global = true, value_name = "NUMBER")]
    pub(crate) rows: Option<u32>,

    /// The number of columns
    #[arg(long, global = true, value_name = "NUMBER")]
    pub(crate) columns: Option<u32>,
}

/// What the tasks do.
#[derive(Debug, Subcommand)]
pub(crate) enum Work {
    /// Wait for a while and pick a random color, as a demonstration
    Color {
        /// The minimum and maximum duration of a task, in milliseconds
        #[arg(long, value_name = "MS", num_args = 2)]
        duration_ms: Vec<u32>,
        /// The share of attempts that fail, from 0 to 1
        #[arg(long, value_name = "SHARE")]
        failure_rate: Option<f64>,
    },
    /// Draw a fractal
    Render {
        /// The view: seahorse, satellite, elephant, spirals, island, whole, rabbit, dragon or seahorse-large
        #[arg(long, value_name = "NAME")]
        preset: Option<String>,
        /// Rows and columns [default: those of the view]
        #[arg(long, value_name = "NUMBER", conflicts_with_all = ["rows", "columns"])]
        side: Option<u32>,
        /// The magnification, relative to the whole set
        #[arg(long, value_name = "NUMBER")]
        zoom: Option<f64>,
        /// The center: its real and its imaginary part
        #[arg(long, value_name = "NUMBER", num_args = 2, allow_negative_numbers = true)]
        center: Vec<f64>,
        /// Maximum number of iterations of a point before it counts as inside
        #[arg(long, value_name = "NUMBER")]
        iterations: Option<u32>,
        /// The colors: dusk, ember, ocean, quilt or ink
        #[arg(long, value_name = "NAME")]
        palette: Option<String>,
        /// The number of points that are computed along each side of a square
        #[arg(long, value_name = "NUMBER")]
        samples: Option<u32>,
    },
    /// Resize an image tile by tile
    Image {
        /// The image: PNG, JPEG or WebP
        file: PathBuf,
        /// The width of the output, in pixels
        #[arg(long, value_name = "PIXELS")]
        width: Option<u32>,
        /// The height of the output, in pixels
        #[arg(long, value_name = "PIXELS")]
        height: Option<u32>,
        /// The resampling filter: lanczos3, catmull-rom, mitchell, bilinear, box or nearest
        #[arg(long, value_name = "NAME")]
        filter: Option<String>,
        /// A color effect: gray, sepia or invert
        #[arg(long, value_name = "NAME")]
        effect: Option<String>,
    },
    /// Fetch URLs
    Fetch {
        /// A file with one URL per line, - for standard input, or a URL
        #[arg(required_unless_present = "sitemap", value_name = "FILE|URL")]
        from: Vec<String>,
        /// Fetch the URLs of this sitemap
        #[arg(long, value_name = "URL")]
        sitemap: Option<String>,
        /// Maximum number of concurrent requests to one host [default: 4]
        #[arg(long, value_name = "NUMBER")]
        per_host: Option<u32>,
        /// Maximum number of requests to one host per second
        #[arg(long, value_name = "NUMBER")]
        per_host_per_second: Option<f64>,
        /// Maximum number of redirects to follow [default: 10]
        #[arg(long, value_name = "NUMBER")]
        redirects: Option<u32>,
        /// Maximum number of bytes to read of a response [default: 2097152]
        #[arg(long, value_name = "BYTES")]
        max_bytes: Option<u32>,
    },
    /// Run a program for each item: ls *.wav | quilt run command -- ffmpeg -i {} {.}.mp3
    ///
    /// Items are the lines of standard input or of the file of --items, or the arguments after :::. In each argument {} is replaced with the
    /// item, {.} with the item without its extension, {/} with its file name, {//} with its folder, {/.} with its file name without the extension,
    /// {#} and {index} with the number of the task from 1 and from 0. If no argument contains the item or a part of it, it is appended as the last
    /// argument.
    Command {
        /// A file with one item per line
        #[arg(long, value_name = "FILE")]
        items: Option<PathBuf>,
        /// Run this command of the server's settings
        #[arg(long, value_name = "NAME", conflicts_with = "program")]
        name: Option<String>,
        /// The program with its arguments, optionally followed by ::: and the items
        #[arg(last = true, required_unless_present = "name", value_name = "PROGRAM")]
        program: Vec<String>,
    },
}

/// One batch of the target.
#[derive(Debug, Args)]
pub(crate) struct OneOptions {
    /// The batch [default: the last one that was launched]
    pub(crate) batch: Option<BatchId>,
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) output_options: OutputOptions,
}

/// The batches of the target.
#[derive(Debug, Args)]
pub(crate) struct ListOptions {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Print JSON, one object per line
    #[arg(long)]
    pub(crate) json: bool,
}

/// The results of a batch.
#[derive(Debug, Args)]
pub(crate) struct ResultsOptions {
    /// The batch [default: the last one that was launched]
    pub(crate) batch: Option<BatchId>,
    #[command(flatten)]
    pub(crate) target: Target,
    /// The file to write to; the extension .csv, .ndjson or .png determines the format; - for standard output
    #[arg(long, short, value_name = "FILE", default_value = "-")]
    pub(crate) output: PathBuf,
    /// The format of the results [default: by the extension of the file, or ndjson]
    #[arg(long, value_name = "FORMAT", value_parser = result_format())]
    pub(crate) format: Option<ResultFormat>,
    /// Only squares in this state
    #[arg(long, value_name = "STATE", value_parser = task_state())]
    pub(crate) state: Option<TaskState>,
}

/// A lap of a finished or cancelled batch.
#[derive(Debug, Args)]
pub(crate) struct LapOptions {
    #[command(flatten)]
    pub(crate) one: OneOptions,
    /// Run the squares that failed for this reason
    #[arg(long, value_name = "TEXT", group = "set")]
    pub(crate) reason: Option<String>,
    /// Run this square, as row,column from 0; can be given several times
    #[arg(long = "square", value_name = "ROW,COLUMN", value_parser = square, group = "set")]
    pub(crate) squares: Vec<Square>,
    /// Run the squares that were not run when the batch was stopped
    #[arg(long, group = "set")]
    pub(crate) not_run: bool,
    /// Maximum number of attempts per task from now on
    #[arg(long, value_name = "NUMBER")]
    pub(crate) attempts: Option<u32>,
    /// The timeout of an attempt from now on, such as 30s or 5m
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
    /// Maximum number of tasks that run at the same time from now on
    #[arg(long, short, value_name = "NUMBER")]
    pub(crate) jobs: Option<u32>,
    /// The time limit of the lap, such as 2h
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) deadline: Option<Duration>,
}

impl LapOptions {
    /// Builds the request.
    pub(crate) fn request(&self) -> LapRequest {
        let millis = |time: Duration| Number::from_u64(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        LapRequest {
            reason: self.reason.clone(),
            squares: (!self.squares.is_empty()).then(|| self.squares.clone()),
            not_run: self.not_run,
            attempts: self.attempts.map(Into::into),
            timeout_ms: self.timeout.map(millis),
            concurrency: self.jobs.map(Into::into),
            deadline_ms: self.deadline.map(millis),
        }
    }
}

/// Cancels a batch.
#[derive(Debug, Args)]
pub(crate) struct CancelOptions {
    #[command(flatten)]
    pub(crate) one: OneOptions,
    /// Start no more tasks, but let running ones end
    #[arg(long)]
    pub(crate) drain: bool,
}
