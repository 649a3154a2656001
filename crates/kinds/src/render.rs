//! `render`: each square is a piece of a Mandelbrot or Julia set, so that the quilt is the picture.

mod fractal;
mod views;

use async_trait::async_trait;
use bytes::Bytes;
use engine::work::{
    Allowance, BlockingWork, Done, Field, FieldKind, Form, Kind, Launch, Preset, Task, TaskError, Work, parameters,
};
use quilt::{BatchSpec, Color, Grid, WorkSpec};
use serde::{Deserialize, Serialize};

use self::fractal::Fractal;
use self::views::{VIEWS, View};
use crate::palette::{Palette, encode};

pub use self::views::preset_side;

/// The most iterations of a point.
const MAX_ITERATIONS: u32 = 1_000_000;

/// The most samples along each side of a square.
const MAX_SAMPLES: u32 = 16;

/// The largest zoom at which neighboring points still have different numbers.
const MAX_ZOOM: f64 = 1e13;

/// How far from the middle of the plane a picture may be.
const MAX_DISTANCE: f64 = 8.0;

/// How many iterations go by before a computation looks whether its time is over.
const LOOK: u64 = 1 << 20;

/// The part of the plane that is in sight without zoom.
const SPAN: f64 = 3.0;

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// The name of a view; what else is given takes its place.
    #[serde(default, skip_serializing)]
    preset: Option<String>,
    /// The set that is drawn.
    #[serde(default)]
    fractal: Option<Fractal>,
    /// The constant of a Julia set: its real and its imaginary part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    constant: Option<[f64; 2]>,
    /// The middle of the picture: its real and its imaginary part.
    #[serde(default)]
    center: Option<[f64; 2]>,
    /// How many times larger than the whole set.
    #[serde(default)]
    zoom: Option<f64>,
    /// How often a point is followed before it counts as caught.
    #[serde(default)]
    iterations: Option<u32>,
    /// The colors.
    #[serde(default)]
    palette: Option<Palette>,
    /// Along each side of a square, how many points are computed; their mean is its color.
    #[serde(default)]
    samples: Option<u32>,
}

/// The kind.
pub struct RenderKind;

#[async_trait]
impl Kind for RenderKind {
    fn name(&self) -> &'static str {
        "render"
    }

    fn form(&self) -> Option<Form> {
        let number = |name, label, unit, value, min, max, step| {
            let kind = FieldKind::Number { unit, value, min, max, step };
            Field { name, label, kind, is_advanced: true }
        };
        let palettes = Palette::NAMES.map(|(value, label)| (value.to_owned(), label.to_owned()));
        let palette =
            FieldKind::Choice([(String::new(), "As the view has it".to_owned())].into_iter().chain(palettes).collect());
        let presets = VIEWS.iter().map(|view| Preset {
            name: view.title,
            size: (view.side, view.side),
            values: vec![("preset", view.name)],
        });
        Some(Form {
            title: "A fractal",
            about: "Each square is computed from a few thousand steps, so that the quilt is the picture.",
            presets: presets.collect(),
            draws_presets: true,
            counts_tasks: false,
            fields: vec![
                Field {
                    name: "preset",
                    label: "View",
                    kind: FieldKind::Choice(
                        VIEWS.iter().map(|view| (view.name.to_owned(), view.title.to_owned())).collect(),
                    ),
                    is_advanced: true,
                },
                Field { name: "palette", label: "Colors", kind: palette, is_advanced: true },
                number("zoom", "Zoom", "times", "", "0.1", "1e13", "any"),
                number("iterations", "Steps a point", "at most", "", "1", "1000000", "1"),
                number("samples", "Points along a square's side", "", "", "1", "16", "1"),
            ],
        })
    }

    async fn prepare(&self, work: WorkSpec, upload: Option<Bytes>) -> Result<Launch, String> {
        if upload.is_some() {
            return Err("it takes no file".into());
        }
        let parameters = parameters::<Parameters>(&work)?.complete()?;
        Picture::new(&parameters, Grid::new(1, 1).ok_or("there is no grid of one square")?)?;
        // What was meant by a view's name stays what it was.
        Launch::with_parameters(&work, &parameters)
    }

    fn build(&self, spec: &BatchSpec, _input: Option<Bytes>) -> Result<Work, String> {
        let parameters = parameters::<Parameters>(&spec.work)?.complete()?;
        Ok(Work::blocking(Picture::new(&parameters, spec.grid)?))
    }
}

impl Parameters {
    /// With everything that was left out as the view has it.
    fn complete(self) -> Result<Self, String> {
        let view = match self.preset.as_deref() {
            None if self.fractal == Some(Fractal::Julia) => {
                View { center: [0.0, 0.0], fractal: Fractal::Julia, ..View::WHOLE }
            }
            None => View::WHOLE,
            Some(name) => *VIEWS.iter().find(|view| view.name == name).ok_or_else(|| {
                let names: Vec<&str> = VIEWS.iter().map(|view| view.name).collect();
                format!("there is no preset '{name}'; there is: {}", names.join(", "))
            })?,
        };
        let fractal = self.fractal.unwrap_or(view.fractal);
        Ok(Self {
            preset: None,
            fractal: Some(fractal),
            constant: (fractal == Fractal::Julia).then(|| self.constant.unwrap_or(view.constant)),
            center: Some(self.center.unwrap_or(view.center)),
            zoom: Some(self.zoom.unwrap_or(view.zoom)),
            iterations: Some(self.iterations.unwrap_or(view.iterations)),
            palette: Some(self.palette.unwrap_or(view.palette)),
            samples: Some(self.samples.unwrap_or(view.samples)),
        })
    }
}

/// A picture of which each task draws a square.
struct Picture {
    grid: Grid,
    fractal: Fractal,
    constant: [f64; 2],
    center: [f64; 2],
    /// The side of a square, in the plane.
    pitch: f64,
    iterations: u32,
    palette: Palette,
    samples: u32,
}

impl Picture {
    fn new(parameters: &Parameters, grid: Grid) -> Result<Self, String> {
        let view = View::WHOLE;
        let (zoom, iterations) =
            (parameters.zoom.unwrap_or(view.zoom), parameters.iterations.unwrap_or(view.iterations));
        let (center, samples) = (parameters.center.unwrap_or(view.center), parameters.samples.unwrap_or(view.samples));
        if !(0.1..=MAX_ZOOM).contains(&zoom) {
            return Err(format!("zoom must be a number from 0.1 to {MAX_ZOOM:e}, not {zoom}"));
        }
        if !(1..=MAX_ITERATIONS).contains(&iterations) {
            return Err(format!("iterations must be a whole number from 1 to {MAX_ITERATIONS}, not {iterations}"));
        }
        if !(1..=MAX_SAMPLES).contains(&samples) {
            return Err(format!("samples must be a whole number from 1 to {MAX_SAMPLES}, not {samples}"));
        }
        let constant = parameters.constant.unwrap_or_default();
        for (name, [re, im]) in [("center", center), ("constant", constant)] {
            if re.hypot(im).is_nan() || re.hypot(im) > MAX_DISTANCE {
                return Err(format!("{name} must not be farther than {MAX_DISTANCE} from 0, unlike [{re}, {im}]"));
            }
        }
        let shorter = f64::from(grid.rows().min(grid.columns()));
        Ok(Self {
            grid,
            fractal: parameters.fractal.unwrap_or(view.fractal),
            constant,
            center,
            pitch: SPAN / zoom / shorter,
            iterations,
            palette: parameters.palette.unwrap_or(view.palette),
            samples,
        })
    }

    fn color(&self, point: [f64; 2]) -> ([f64; 3], u32) {
        let (escape, steps) = self.fractal.escape(point, self.constant, self.iterations);
        // Equal steps of the root: far out colors go by quickly, near the edge slowly.
        let color = escape.map_or([0.0; 3], |escape| self.palette.at((escape / 12.0).sqrt() * 0.5 + 0.05));
        (color, steps)
    }
}

impl BlockingWork for Picture {
    fn run(&self, task: Task, allowance: &Allowance) -> Result<Done, TaskError> {
        let square = self.grid.square(task.index);
        let from_middle = |place: u16, length: u16| f64::from(place) - f64::from(length) / 2.0;
        let left = from_middle(square.column, self.grid.columns());
        let top = from_middle(square.row, self.grid.rows());
        let step = 1.0 / f64::from(self.samples);
        let mut sum = [0.0; 3];
        let mut steps = 0_u64;
        for sample in 0..self.samples * self.samples {
            let along = |place: u32| (f64::from(place) + 0.5) * step;
            let x = left + along(sample % self.samples);
            // The imaginary axis points up, and rows are counted from the top.
            let y = -(top + along(sample / self.samples));
            let [center_x, center_y] = self.center;
            let (color, taken) = self.color([center_x + x * self.pitch, center_y + y * self.pitch]);
            for (sum, channel) in sum.iter_mut().zip(color) {
                *sum += channel;
            }
            steps += u64::from(taken);
            if steps > LOOK {
                steps = 0;
                if allowance.is_over() {
                    return Err(TaskError::retryable("stopped before all of its points were computed"));
                }
            }
        }
        let samples = f64::from(self.samples * self.samples);
        Ok(Color::from_rgb(encode(sum.map(|channel| channel / samples))).into())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use quilt::Index;
    use serde_json::json;
    use tokio::time::Instant;
    use tokio_util::sync::CancellationToken;

    use super::*;

    fn spec(parameters: &serde_json::Value, side: u16) -> BatchSpec {
        let work = WorkSpec { kind: "render".into(), parameters: parameters.as_object().expect("an object").clone() };
        BatchSpec::new(work, Grid::new(side, side).expect("small"), 1)
    }

    fn colors(parameters: &serde_json::Value, side: u16) -> Vec<u32> {
        let Work::Blocking(work) = RenderKind.build(&spec(parameters, side), None).expect("valid") else {
            panic!("it computes")
        };
        let allowance = Allowance {
            deadline: Instant::now() + std::time::Duration::from_secs(3_600),
            cancelled: CancellationToken::new(),
        };
        let task = |index| Task { index: Index(index), seed: 1, lap: 1, attempt: 1 };
        (0..u32::from(side).pow(2))
            .map(|index| work.run(task(index), &allowance).expect("it ends in time").color.rgb())
            .collect()
    }

    #[tokio::test]
    async fn the_set_is_black_in_the_middle_and_symmetric() {
        let side = 33;
        let colors = colors(&json!({"samples": 1}), side);
        let at = |row: usize, column: usize| colors[row * usize::from(side) + column];
        assert_eq!(at(16, 16), 0);
        assert_ne!(at(0, 0), 0);
        for row in 0..33 {
            for column in 0..33 {
                assert_eq!(at(row, column), at(32 - row, column), "row {row}, column {column}");
            }
        }
    }

    #[tokio::test]
    async fn every_view_has_many_colors() {
        for view in VIEWS {
            let colors: HashSet<u32> = colors(&json!({"preset": view.name, "samples": 1}), 24).into_iter().collect();
            assert!(colors.len() > 100, "{} has {} colors", view.name, colors.len());
        }
    }

    #[tokio::test]
    async fn what_a_view_means_is_written_out() {
        let work = spec(&json!({"preset": "seahorse", "zoom": 5}), 1).work;
        let launch = RenderKind.prepare(work, None).await.expect("valid");
        let parameters = &launch.work.parameters;
        assert_eq!((&parameters["zoom"], &parameters["iterations"]), (&json!(5.0), &json!(2_000)));
        assert!(!parameters.contains_key("preset") && !parameters.contains_key("constant"));
    }

    #[tokio::test]
    async fn parameters_out_of_range_are_refused_with_their_name() {
        for (parameters, name) in [
            (json!({"zoom": 0}), "zoom must be"),
            (json!({"zoom": 1e300}), "zoom must be"),
            (json!({"iterations": 0}), "iterations must be"),
            (json!({"samples": 17}), "samples must be"),
            (json!({"center": [9, 0]}), "center must"),
            (json!({"preset": "x"}), "there is no preset 'x'; there is: seahorse, satellite"),
            (json!({"palette": "x"}), "expected one of `dusk`"),
            (json!({"fractal": "newton"}), "newton"),
            (json!({"speed": 1}), "speed"),
        ] {
            let reason = RenderKind.prepare(spec(&parameters, 1).work, None).await.expect_err(name);
            assert!(reason.contains(name), "{reason}");
        }
    }

    #[test]
    fn a_square_that_nobody_waits_for_is_given_up() {
        let slow = json!({"iterations": 1_000_000, "samples": 16, "center": [-0.75, 0.0001], "zoom": 1e9});
        let Work::Blocking(work) = RenderKind.build(&spec(&slow, 1), None).expect("valid") else {
            panic!("it computes")
        };
        let allowance = Allowance { deadline: Instant::now(), cancelled: CancellationToken::new() };
        allowance.cancelled.cancel();
        let task = Task { index: Index(0), seed: 1, lap: 1, attempt: 1 };
        assert!(work.run(task, &allowance).is_err());
    }
}
