//! `render`: a Mandelbrot or Julia set, one tile per square.

mod fractal;
mod views;

use async_trait::async_trait;
use bytes::Bytes;
use engine::work::{
    BlockingWork, Done, Field, FieldKind, Form, Kind, Launch, Preset, Task, TaskContext, TaskError, Unit, Work,
    parameters,
};
use quilt::{BatchSpec, Color, Grid, WorkSpec};
use serde::{Deserialize, Serialize};

use self::fractal::Fractal;
use self::views::{VIEWS, View};
use crate::palette::{Palette, encode};

pub use self::views::preset_side;

const MAX_ITERATIONS: u32 = 1_000_000;

/// The maximum number of samples along each side of a square.
const MAX_SAMPLES: u32 = 16;

/// Beyond this zoom, adjacent points have the same `f64` coordinates.
const MAX_ZOOM: f64 = 1e13;

/// The maximum absolute value of `center` and `constant`.
const MAX_DISTANCE: f64 = 8.0;

/// The number of iterations between two checks of the task's context.
const CHECK_INTERVAL: u64 = 1 << 20;

/// The length of the image's shorter side in the complex plane at zoom 1.
const BASE_SPAN: f64 = 3.0;

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct RenderParameters {
    /// The name of a view, whose values are the defaults of the other parameters.
    #[serde(default, skip_serializing)]
    preset: Option<String>,
    #[serde(default)]
    fractal: Option<Fractal>,
    /// The constant of a Julia set: real and imaginary part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    constant: Option<[f64; 2]>,
    /// The center of the image: real and imaginary part.
    #[serde(default)]
    center: Option<[f64; 2]>,
    /// The magnification; 1 shows the whole set.
    #[serde(default)]
    zoom: Option<f64>,
    /// The maximum number of iterations per point.
    #[serde(default)]
    iterations: Option<u32>,
    #[serde(default)]
    palette: Option<Palette>,
    /// The number of samples along each side of a square. The square's color is their mean.
    #[serde(default)]
    samples: Option<u32>,
}

/// The `render` kind.
pub struct RenderKind;

#[async_trait]
impl Kind for RenderKind {
    fn name(&self) -> &'static str {
        "render"
    }

    fn form(&self) -> Option<Form> {
        let number = |name, label, unit, min, max, step| {
            let kind = FieldKind::Number { unit: Unit::of(unit), value: "", empty: "as the view says", min, max, step };
            Field { name, label, kind, is_advanced: true }
        };
        let palettes = Palette::NAMES.map(|(value, label)| (value.to_owned(), label.to_owned()));
        let palette = FieldKind::Choice(
            [(String::new(), "Default of the view".to_owned())].into_iter().chain(palettes).collect(),
        );
        let presets = VIEWS.iter().map(|view| Preset {
            name: view.title,
            about: "",
            size: (view.side, view.side),
            values: vec![("preset", view.name.into())],
        });
        Some(Form {
            title: "Render a fractal",
            about: "Each task computes one piece of a Mandelbrot or Julia set; together they are the picture.",
            presets_label: "View",
            presets: presets.collect(),
            draws_presets: true,
            fields: vec![
                Field { name: "palette", label: "Colors", kind: palette, is_advanced: true },
                number("zoom", "Zoom", "times", "0.1", "1e13", "any"),
                number("iterations", "Iterations", "at most", "1", "1000000", "1"),
                number("samples", "Samples per side", "of a square", "1", "16", "1"),
            ],
            ..Form::default()
        })
    }

    async fn prepare(&self, work: WorkSpec, upload: Option<Bytes>) -> Result<Launch, String> {
        if upload.is_some() {
            return Err("file: render takes no file; remove it".into());
        }
        // The values are stored instead of the view's name, so that batches stay the same when a view changes.
        let parameters = parameters::<RenderParameters>(&work)?.complete()?;
        RenderWork::new(&parameters, Grid::new(1, 1).ok_or("a grid of one square is invalid")?)?;
        Launch::with_parameters(&work, &parameters)
    }

    fn title(&self, requested: &WorkSpec, _grid: Grid, _file: Option<&str>) -> String {
        let text = |name: &str| requested.parameters.get(name).and_then(serde_json::Value::as_str);
        let view = VIEWS.iter().find(|view| Some(view.name) == text("preset"));
        let title = match (view, text("fractal")) {
            (Some(view), _) => view.title,
            (None, Some("julia")) => "Julia set",
            (None, _) => "Mandelbrot set",
        };
        title.into()
    }

    fn build(&self, spec: &BatchSpec, _input: Option<Bytes>) -> Result<Work, String> {
        let parameters = parameters::<RenderParameters>(&spec.work)?.complete()?;
        Ok(Work::blocking(RenderWork::new(&parameters, spec.grid)?))
    }
}

impl RenderParameters {
    /// Replaces missing values by those of the view.
    fn complete(self) -> Result<Self, String> {
        let view = match self.preset.as_deref() {
            None if self.fractal == Some(Fractal::Julia) => {
                View { center: [0.0, 0.0], fractal: Fractal::Julia, ..View::WHOLE }
            }
            None => View::WHOLE,
            Some(name) => *VIEWS.iter().find(|view| view.name == name).ok_or_else(|| {
                let names: Vec<&str> = VIEWS.iter().map(|view| view.name).collect();
                format!("there is no preset '{name}'; available: {}", names.join(", "))
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

struct RenderWork {
    grid: Grid,
    fractal: Fractal,
    constant: [f64; 2],
    center: [f64; 2],
    /// The side of a square in the complex plane.
    pitch: f64,
    iterations: u32,
    palette: Palette,
    samples: u32,
}

impl RenderWork {
    fn new(parameters: &RenderParameters, grid: Grid) -> Result<Self, String> {
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
                return Err(format!("{name} must be at most {MAX_DISTANCE} from 0, not [{re}, {im}]"));
            }
        }
        let shorter = f64::from(grid.rows().min(grid.columns()));
        Ok(Self {
            grid,
            fractal: parameters.fractal.unwrap_or(view.fractal),
            constant,
            center,
            pitch: BASE_SPAN / zoom / shorter,
            iterations,
            palette: parameters.palette.unwrap_or(view.palette),
            samples,
        })
    }

    /// Returns the color of a point in linear RGB and the number of iterations computed.
    fn color(&self, point: [f64; 2]) -> ([f64; 3], u32) {
        let (escape, steps) = self.fractal.escape(point, self.constant, self.iterations);
        // The square root compresses high escape times near the boundary, where they change fastest.
        let color = escape.map_or([0.0; 3], |escape| self.palette.at((escape / 12.0).sqrt() * 0.5 + 0.05));
        (color, steps)
    }
}

impl BlockingWork for RenderWork {
    fn run(&self, task: Task, context: &TaskContext) -> Result<Done, TaskError> {
        let square = self.grid.square(task.index);
        let from_center = |index: u16, count: u16| f64::from(index) - f64::from(count) / 2.0;
        let left = from_center(square.column, self.grid.columns());
        let top = from_center(square.row, self.grid.rows());
        let step = 1.0 / f64::from(self.samples);
        let mut sum = [0.0; 3];
        let mut steps = 0_u64;
        for sample in 0..self.samples * self.samples {
            let offset = |index: u32| (f64::from(index) + 0.5) * step;
            let x = left + offset(sample % self.samples);
            // The imaginary axis points up, rows count downwards.
            let y = -(top + offset(sample / self.samples));
            let [center_x, center_y] = self.center;
            let (color, iterations) = self.color([center_x + x * self.pitch, center_y + y * self.pitch]);
            for (sum, channel) in sum.iter_mut().zip(color) {
                *sum += channel;
            }
            steps += u64::from(iterations);
            if steps > CHECK_INTERVAL {
                steps = 0;
                if context.is_over() {
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
            panic!("blocking work")
        };
        let context = TaskContext {
            deadline: Instant::now() + std::time::Duration::from_secs(3_600),
            cancelled: CancellationToken::new(),
        };
        let task = |index| Task { index: Index(index), seed: 1, lap: 1, attempt: 1, lease: Default::default() };
        (0..u32::from(side).pow(2))
            .map(|index| work.run(task(index), &context).expect("within the deadline").color.rgb())
            .collect()
    }

    #[tokio::test]
    async fn set_is_black_at_the_center_and_symmetric() {
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
    async fn prepare_stores_the_values_of_the_view() {
        let work = spec(&json!({"preset": "seahorse", "zoom": 5}), 1).work;
        let launch = RenderKind.prepare(work, None).await.expect("valid");
        let parameters = &launch.work.parameters;
        assert_eq!((&parameters["zoom"], &parameters["iterations"]), (&json!(5.0), &json!(2_000)));
        assert!(!parameters.contains_key("preset") && !parameters.contains_key("constant"));
    }

    #[tokio::test]
    async fn errors_name_the_invalid_parameter() {
        for (parameters, name) in [
            (json!({"zoom": 0}), "zoom must be"),
            (json!({"zoom": 1e300}), "zoom must be"),
            (json!({"iterations": 0}), "iterations must be"),
            (json!({"samples": 17}), "samples must be"),
            (json!({"center": [9, 0]}), "center must"),
            (json!({"preset": "x"}), "there is no preset 'x'; available: seahorse, satellite"),
            (json!({"palette": "x"}), "expected one of `dusk`"),
            (json!({"fractal": "newton"}), "newton"),
            (json!({"speed": 1}), "speed"),
        ] {
            let reason = RenderKind.prepare(spec(&parameters, 1).work, None).await.expect_err(name);
            assert!(reason.contains(name), "{reason}");
        }
    }

    #[test]
    fn cancelled_task_returns_an_error() {
        let slow = json!({"iterations": 1_000_000, "samples": 16, "center": [-0.75, 0.0001], "zoom": 1e9});
        let Work::Blocking(work) = RenderKind.build(&spec(&slow, 1), None).expect("valid") else {
            panic!("blocking work")
        };
        let context = TaskContext { deadline: Instant::now(), cancelled: CancellationToken::new() };
        context.cancelled.cancel();
        let task = Task { index: Index(0), seed: 1, lap: 1, attempt: 1, lease: Default::default() };
        assert!(work.run(task, &context).is_err());
    }
}
