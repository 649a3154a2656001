//! What can be said to the tools on the command line.

#![allow(rustdoc::bare_urls, reason = "the comments are the text of --help")]

use std::path::PathBuf;
use std::time::Duration;

use ::api::{LapRequest, Number, ResultFormat, Square, TaskState};
use clap::{Args, Subcommand};
use quilt::{BatchId, Priority, TaskOrder, Timestamp};

use super::choices::{priority, result_format, task_order, task_state};
use super::values::{HaltRule, duration, halt, label, square, start};

/// The server or the folder that has the batches.
#[derive(Debug, Clone, Args)]
pub(crate) struct Target {
    /// Use the server at this address [default: none, everything runs here]
    #[arg(long, global = true, value_name = "URL", env = "QUILT_URL")]
    pub(crate) url: Option<String>,

    /// The folder in which batches are kept that run here
    #[arg(long, global = true, value_name = "FOLDER", default_value = ".quilt", conflicts_with = "url")]
    pub(crate) folder: PathBuf,
}

/// What is displayed while a batch runs.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct OutputOptions {
    /// Tell nothing but errors
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,

    /// Tell in JSON, an object a line, on standard output
    #[arg(long, global = true, conflicts_with = "quiet")]
    pub(crate) json: bool,
}

/// Launches a batch, and sees it to its finish line.
#[derive(Debug, Args)]
pub(crate) struct RunOptions {
    #[command(subcommand)]
    pub(crate) work: Option<Work>,

    #[command(flatten)]
    pub(crate) target: Target,

    #[command(flatten)]
    pub(crate) output_options: OutputOptions,

    /// Go on with the last batch that was interrupted
    #[arg(long, global = true, conflicts_with = "retry_failed")]
    pub(crate) resume: bool,

    /// Run what has failed in the last batch once more
    #[arg(long, global = true)]
    pub(crate) retry_failed: bool,

    /// The batch to go on with, or to run once more, if it is not the last one
    #[arg(long = "batch", global = true, value_name = "ID")]
    pub(crate) named: Option<BatchId>,

    #[command(flatten)]
    pub(crate) batch: BatchOptions,

    /// Write the results to this file when all is over: .csv, .ndjson or .png says how; - for standard output
    #[arg(long, short, global = true, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// How the results are written [default: what the name of the file says]
    #[arg(long, global = true, value_name = "FORMAT", value_parser = result_format())]
    pub(crate) format: Option<ResultFormat>,

    /// Networks that may be fetched from though they are not public, such as 127.0.0.0/8, with commas between them
    #[arg(long, global = true, value_name = "NETWORKS", conflicts_with = "url")]
    pub(crate) allow: Option<String>,

    /// Open the batch's page in the browser
    #[arg(long, global = true)]
    pub(crate) open: bool,

    /// Keep serving the page when all is over, until Ctrl+C
    #[arg(long, global = true, conflicts_with = "url")]
    pub(crate) stay: bool,
}

/// What a batch may ask for, whatever its tasks do.
#[derive(Debug, Default, Args)]
pub(crate) struct BatchOptions {
    /// How many tasks run at the same time [default: a command on each processor, of other work as many as are of use]
    #[arg(long, short, global = true, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(crate) jobs: Option<u32>,

    /// How often a task is tried [default: 1 for commands, 3 for other work]
    #[arg(long, global = true, value_name = "NUMBER")]
    pub(crate) attempts: Option<u32>,

    /// How long an attempt may take, such as 30s or 5m [default: an hour for commands, a minute for other work]
    #[arg(long, global = true, value_name = "TIME", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,

    /// How long all of it may take, such as 2h
    #[arg(long, global = true, value_name = "TIME", value_parser = duration)]
    pub(crate) deadline: Option<Duration>,

    /// Stop when this many tasks have failed, or more than a share of them such as 10%. With soon, in front, those that run may end:
    /// soon,fail=3
    #[arg(long, global = true, value_name = "[now|soon,][fail=]NUMBER|PERCENT", value_parser = halt)]
    pub(crate) halt: Option<HaltRule>,

    /// In which order the tasks run
    #[arg(long, global = true, value_name = "ORDER", value_parser = task_order())]
    pub(crate) order: Option<TaskOrder>,

    /// Its share of the working time, beside your other batches and those of others [default: normal]
    #[arg(long, global = true, value_name = "PRIORITY", value_parser = priority())]
    pub(crate) priority: Option<Priority>,

    /// Start no task before this time, such as 2026-09-21T14:13:20Z, or 10m from now; at most a year ahead
    #[arg(long, global = true, value_name = "TIME", value_parser = start)]
    pub(crate) not_before: Option<Timestamp>,

    /// What people call the batch
    #[arg(long, global = true, value_name = "TEXT")]
    pub(crate) title: Option<String>,

    /// A label by which programs find the batch; can be given several times
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
    /// Wait for a while and pick a random color, to see how it all works
    Color {
        /// The shortest and the longest time a task takes, in milliseconds
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
        /// How many times larger than the whole set
        #[arg(long, value_name = "NUMBER")]
        zoom: Option<f64>,
        /// The middle: its real and its imaginary part
        #[arg(long, value_name = "NUMBER", num_args = 2, allow_negative_numbers = true)]
        center: Vec<f64>,
        /// How often a point is followed before it counts as caught
        #[arg(long, value_name = "NUMBER")]
        iterations: Option<u32>,
        /// The colors: dusk, ember, ocean, quilt or ink
        #[arg(long, value_name = "NAME")]
        palette: Option<String>,
        /// How many points along each side of a square are computed
        #[arg(long, value_name = "NUMBER")]
        samples: Option<u32>,
    },
    /// Resize an image tile by tile
    Image {
        /// The image: PNG, JPEG or WebP
        file: PathBuf,
        /// The width of what comes out, in pixels
        #[arg(long, value_name = "PIXELS")]
        width: Option<u32>,
        /// The height of what comes out, in pixels
        #[arg(long, value_name = "PIXELS")]
        height: Option<u32>,
        /// How pixels are made out of their neighbors: lanczos3, catmull-rom, mitchell, bilinear, box or nearest
        #[arg(long, value_name = "NAME")]
        filter: Option<String>,
        /// What else is done to the colors: gray, sepia or invert
        #[arg(long, value_name = "NAME")]
        effect: Option<String>,
    },
    /// Ask for addresses on the web
    Fetch {
        /// A file with an address a line, - for standard input, or an address itself
        #[arg(required_unless_present = "sitemap", value_name = "FILE|URL")]
        from: Vec<String>,
        /// Those of a sitemap
        #[arg(long, value_name = "URL")]
        sitemap: Option<String>,
        /// How many requests to one host go on at the same time [default: 4]
        #[arg(long, value_name = "NUMBER")]
        per_host: Option<u32>,
        /// How many requests to one host are started a second
        #[arg(long, value_name = "NUMBER")]
        per_host_per_second: Option<f64>,
        /// How many redirections are followed [default: 10]
        #[arg(long, value_name = "NUMBER")]
        redirects: Option<u32>,
        /// How many bytes of an answer are read [default: 2097152]
        #[arg(long, value_name = "BYTES")]
        max_bytes: Option<u32>,
    },
    /// Run a program for each item: ls *.wav | quilt run command -- ffmpeg -i {} {.}.mp3
    ///
    /// Items are the lines of standard input, or those of --items, or what stands behind :::. In each argument {} stands for the item,
    /// {.} for it without its extension, {/} for its file name, {//} for its folder, {/.} for its file name without the extension, {#} and
    /// {index} for the number of the task from 1 and from 0. Where no argument says where the item goes, it comes last.
    Command {
        /// A file with an item a line
        #[arg(long, value_name = "FILE")]
        items: Option<PathBuf>,
        /// Run a command that the server's operator has named
        #[arg(long, value_name = "NAME", conflicts_with = "program")]
        name: Option<String>,
        /// The program with its arguments, and maybe ::: with the items
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
    /// Tell in JSON, an object a line
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
    /// Where they are written: .csv, .ndjson or .png says how; - for standard output
    #[arg(long, short, value_name = "FILE", default_value = "-")]
    pub(crate) output: PathBuf,
    /// How they are written [default: what the name of the file says, or ndjson]
    #[arg(long, value_name = "FORMAT", value_parser = result_format())]
    pub(crate) format: Option<ResultFormat>,
    /// Only squares that stand like this
    #[arg(long, value_name = "STATE", value_parser = task_state())]
    pub(crate) state: Option<TaskState>,
}

/// A lap of a batch that is over.
#[derive(Debug, Args)]
pub(crate) struct LapOptions {
    #[command(flatten)]
    pub(crate) one: OneOptions,
    /// Run those that failed for this reason
    #[arg(long, value_name = "TEXT", group = "set")]
    pub(crate) reason: Option<String>,
    /// Run this square, as row,column from 0; can be given several times
    #[arg(long = "square", value_name = "ROW,COLUMN", value_parser = square, group = "set")]
    pub(crate) squares: Vec<Square>,
    /// Run those that were not run when the batch was stopped
    #[arg(long, group = "set")]
    pub(crate) not_run: bool,
    /// How often a task is attempted from now on
    #[arg(long, value_name = "NUMBER")]
    pub(crate) attempts: Option<u32>,
    /// How long an attempt may take from now on, such as 30s or 5m
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
    /// How many tasks run at the same time from now on
    #[arg(long, short, value_name = "NUMBER")]
    pub(crate) jobs: Option<u32>,
    /// How long the lap may take, such as 2h
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) deadline: Option<Duration>,
}

impl LapOptions {
    /// What they ask for.
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

/// How a batch is cancelled.
#[derive(Debug, Args)]
pub(crate) struct CancelOptions {
    #[command(flatten)]
    pub(crate) one: OneOptions,
    /// Start no more tasks, and let those that run end
    #[arg(long)]
    pub(crate) drain: bool,
}
