//! The arguments of every command, as `--help` shows them.

use std::path::Path;

use argh::{ArgsInfo, FromArgs};

/// What a lone `-` becomes before parsing: argh would take it for an unknown option.
const DASH: &str = "\u{0}";

/// Prepares an argument for parsing; [`path`] undoes it.
pub fn shield(argument: String) -> String {
    if argument == "-" { DASH.into() } else { argument }
}

/// The path that a parsed argument names; `-` is standard input or output.
pub fn path(argument: &str) -> &Path {
    Path::new(if argument == DASH { "-" } else { argument })
}

/// Restores camera frames with a diffusion prior and proves that the result agrees with the
/// measurement.
#[derive(FromArgs, ArgsInfo)]
#[argh(
    note = "A degradation SPEC names what happened to the scene, in order, joined by `+`:\n  none                 nothing (with --noise: denoising)\n  sr:N                 averaged over N x N blocks, N from 2 to 16\n  sr:N:bicubic         made smaller N times by cubic interpolation, as imresize does\n  mask:FILE            only the white pixels of FILE were measured\n  gain:FILE            darker where FILE is, as through a lens; white is the full gain\n  gray[:601|709]       colour was lost (equal weights, or those of BT.601 or BT.709)\n  bayer:PHASE          one colour per pixel; rggb, bggr, grbg or gbrg\n  blur:gauss:S[,T]     Gaussian blur of S pixels (across, down), borders mirrored\n  blur:box:K           mean over K x K pixels, K odd, borders mirrored\n  blur:FILE            blurred by the point spread function in FILE; the result is larger by it\n  hadamard:R[:SEED]    a share R of random transform coefficients; measurements are .npy\n  blocks:R[:SEED]      the same in blocks of 32 x 32\nfor example gray+mask:scratches.png+sr:2.",
    note = "The default model is built into the program. --model takes a packed model (.ddnm), a manifest (.toml), an ONNX file with its manifest beside it, or the name of one of the former in models/ beside the program, in $XDG_DATA_HOME/ddnm (~/.local/share/ddnm), /usr/local/share/ddnm or /usr/share/ddnm.",
    error_code(1, "some frames failed"),
    error_code(2, "usage"),
    error_code(3, "input cannot be used"),
    error_code(4, "model cannot be used"),
    error_code(5, "does not fit in memory"),
    error_code(6, "numerical failure"),
    error_code(7, "output cannot be written"),
    error_code(8, "device unavailable"),
    error_code(130, "interrupted")
)]
pub struct Top {
    /// print the version and exit
    #[argh(switch)]
    pub version: bool,
    #[argh(subcommand)]
    pub command: Option<Command>,
}

// There is one of them, once.
#[allow(clippy::large_enum_variant)]
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand)]
pub enum Command {
    Restore(Restore),
    Stream(Stream),
    Degrade(Degrade),
    Compare(Compare),
    Inspect(Inspect),
    Plan(Plan),
    Pack(Pack),
    Bench(Bench),
    Boards(Boards),
    Manual(Manual),
}

/// Restore a measurement: a PNG or JPEG that was degraded as SPEC says. It is never degraded
/// again. Or many: a folder, or numbered files as in/%06d.png, one after another; one that is
/// broken is reported, and the exit code is 1 at the end.
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "restore")]
pub struct Restore {
    /// the measurement (PNG, JPEG or an array of floats, .npy; - is standard input), a folder of
    /// them, or numbered ones: FOLDER/%06d.png
    #[argh(positional)]
    pub input: String,
    /// where the result goes (PNG; - is standard output); of many, a folder, which is made if
    /// need be, or numbered files
    #[argh(option, short = 'o')]
    pub output: String,
    /// also the folders in the folder, and the same below the output
    #[argh(switch)]
    pub recursive: bool,
    /// leave results that exist as they are: a run that was ended goes on
    #[argh(switch)]
    pub skip_existing: bool,
    /// what happened to the scene (see ddnm --help)
    #[argh(option, short = 'd')]
    pub degradation: String,
    /// noise of the measurement: its standard deviation in code values 0..255 (default 0);
    /// poisson:GAIN,READ for a camera's, of variance GAIN * code value + READ^2; or auto, to
    /// estimate it from the measurement
    #[argh(option, default = "String::from(\"0\")")]
    pub noise: String,
    /// take values at black and white for no more than that: at most, and at least, so much light.
    /// Restores highlights under a gain above 1; not for measurements in floats
    #[argh(switch)]
    pub saturation: bool,
    /// scene size WIDTHxHEIGHT, where the measurement leaves it open
    #[argh(option)]
    pub size: Option<String>,
    /// faithful (closest to the scene; default) or sample (a draw, sharper)
    #[argh(option, default = "String::from(\"faithful\")")]
    pub mode: String,
    /// model to use instead of the built-in one
    #[argh(option)]
    pub model: Option<String>,
    /// evaluations of the network per pixel
    #[argh(option)]
    pub steps: Option<usize>,
    /// noise level of the first step, in code values 0..255
    #[argh(option)]
    pub start: Option<f64>,
    /// noise level of the last step, in code values 0..255
    #[argh(option)]
    pub end: Option<f64>,
    /// how far to go from the classical (0) to the generative estimate (1); every value agrees
    /// with the measurement
    #[argh(option)]
    pub generative: Option<f32>,
    /// faithful mode with noise: how many times the variance of its level the prior's estimate is
    /// taken to have, so that a larger number counts the measurement for more
    #[argh(option)]
    pub relaxation: Option<f64>,
    /// faithful mode: share of a step's change by which the next one begins further, 0 to 1
    #[argh(option)]
    pub momentum: Option<f32>,
    /// sample mode: share of new noise per step, 0 to 1 (default 0.85)
    #[argh(option)]
    pub eta: Option<f64>,
    /// sample mode: noise rule, split (DDNM; default) or ddim
    #[argh(option)]
    pub rule: Option<String>,
    /// sample mode: LENGTH,REPEATS of time travel, which goes through every LENGTH steps REPEATS
    /// times before the next ones
    #[argh(option)]
    pub travel: Option<String>,
    /// sample mode: number of the draw (default 0); faithful mode has no noise of its own
    #[argh(option, default = "0")]
    pub seed: u64,
    /// sample mode: draws to make, 2 to 1000, numbered from --seed on. The result is the first;
    /// --spread shows where they differ
    #[argh(option)]
    pub samples: Option<usize>,
    /// write the draws' standard deviation per pixel here: a gray 16-bit PNG, white for 255 code
    /// values. Bright is where the model guesses
    #[argh(option)]
    pub spread: Option<String>,
    /// threads; 0 is all cores (default), -1 all but one. Does not change the result
    #[argh(option, default = "0")]
    pub threads: isize,
    /// private memory to use at most, as in 64M (default: what there is). Does not change the
    /// result
    #[argh(option)]
    pub max_memory: Option<String>,
    /// use the model and the threads that suit this board (see ddnm boards)
    #[argh(option)]
    pub board: Option<String>,
    /// where to restore: auto (a GPU if there is one and the program was built for it; default),
    /// cpu, cuda or cuda:N
    #[argh(option, default = "String::from(\"auto\")")]
    pub device: String,
    /// how the network calculates on a GPU, f32 (default) or f16
    #[argh(option, default = "String::from(\"f32\")")]
    pub precision: String,
    /// pause while the machine is hotter than this, in degrees Celsius
    #[argh(option)]
    pub max_temp: Option<f64>,
    /// bits per sample of the result, 8 or 16 (default: as the input)
    #[argh(option)]
    pub depth: Option<u8>,
    /// write the certificate (JSON) here; of many, a folder or numbered files
    #[argh(option)]
    pub certificate: Option<String>,
    /// write here how much of each value was measured, as a picture: white was measured, black
    /// comes from the prior (an estimate where measurements overlap, as with blur); for one file
    #[argh(option)]
    pub measured: Option<String>,
    /// print one JSON line about each result, and of many one at the end
    #[argh(switch)]
    pub json: bool,
    /// no progress
    #[argh(switch, short = 'q')]
    pub quiet: bool,
}

/// Restore frames from standard input to standard output, one after another, until they end or a
/// signal comes. What goes out is like what comes in: the same tags, colours and depth.
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "stream")]
pub struct Stream {
    /// what happened to the scene (see ddnm --help)
    #[argh(option, short = 'd')]
    pub degradation: String,
    /// what comes in: y4m (default), yuv420p, nv12, rgb24, gray8, gray16le, and of a sensor
    /// bayer8, bayer10, bayer12, bayer16, raw10 or raw12 (the last two packed as MIPI does)
    #[argh(option, default = "String::from(\"y4m\")")]
    pub format: String,
    /// what goes out: y4m or raw (default: y4m where y4m comes in; what a sensor gives becomes
    /// rgb24, or rgb48le with --depth 16). R'G'B' to y4m is 4:2:0, or 4:4:4 with y4m444, by --matrix
    /// and --range (limited if not said); its residual in the lines is that of the R'G'B'
    #[argh(option)]
    pub to: Option<String>,
    /// size WIDTHxHEIGHT of frames that come without a header
    #[argh(option)]
    pub size: Option<String>,
    /// bytes from row to row of frames without a header; auto is a multiple of 64 (default: no
    /// padding)
    #[argh(option)]
    pub stride: Option<String>,
    /// frames per second N:D for the header that goes out, of frames that come without one (default
    /// 30:1)
    #[argh(option)]
    pub rate: Option<String>,
    /// scene size WIDTHxHEIGHT, where the measurement leaves it open
    #[argh(option)]
    pub scene: Option<String>,
    /// code values of luma and chroma: full or limited (default: as the header says, or limited)
    #[argh(option)]
    pub range: Option<String>,
    /// weights of colours in luma: bt601 or bt709 (default: bt709 from 720 rows on)
    #[argh(option)]
    pub matrix: Option<String>,
    /// what is known of the camera, its levels, white balance, tone curve, colours and noise: imx219,
    /// imx477, imx708 or a file NAME.toml (see targets/README.md); the options below go before it
    #[argh(option)]
    pub camera: Option<String>,
    /// black level of a sensor, in its code values (default 0)
    #[argh(option)]
    pub black: Option<f32>,
    /// white level of a sensor, in its code values (default: the largest)
    #[argh(option)]
    pub white: Option<f32>,
    /// white balance of a sensor, R,G,B (default 1,1,1)
    #[argh(option)]
    pub gains: Option<String>,
    /// exponent of a sensor's tone curve (default 2.2)
    #[argh(option)]
    pub gamma: Option<f32>,
    /// matrix from the sensor's white-balanced colours to those that go out, in linear light: nine
    /// numbers, rows one after another (default: none); applied after the restoration, whose
    /// residual is that before it
    #[argh(option)]
    pub colours: Option<String>,
    /// bits per sample of what a sensor's frames become, 8 (default) or 16
    #[argh(option)]
    pub depth: Option<u8>,
    /// noise of the frames: its standard deviation in code values 0..255 (default 0), or
    /// poisson:GAIN,READ, of variance GAIN * code value + READ^2
    #[argh(option)]
    pub noise: Option<String>,
    /// faithful (closest to the scene; default) or sample (a draw, with the same noise in all
    /// frames)
    #[argh(option, default = "String::from(\"faithful\")")]
    pub mode: String,
    /// model to use instead of the built-in one
    #[argh(option)]
    pub model: Option<String>,
    /// evaluations of the network per pixel
    #[argh(option)]
    pub steps: Option<usize>,
    /// noise level of the first step, in code values 0..255
    #[argh(option)]
    pub start: Option<f64>,
    /// noise level of the last step, in code values 0..255
    #[argh(option)]
    pub end: Option<f64>,
    /// how far to go from the classical (0) to the generative estimate (1)
    #[argh(option)]
    pub generative: Option<f32>,
    /// faithful mode with noise: how many times the variance of its level the prior's estimate is
    /// taken to have, so that a larger number counts the measurement for more
    #[argh(option)]
    pub relaxation: Option<f64>,
    /// faithful mode: share of a step's change by which the next one begins further, 0 to 1
    #[argh(option)]
    pub momentum: Option<f32>,
    /// sample mode: share of new noise per step, 0 to 1 (default 0.85)
    #[argh(option)]
    pub eta: Option<f64>,
    /// sample mode: noise rule, split (DDNM; default) or ddim
    #[argh(option)]
    pub rule: Option<String>,
    /// sample mode: number of the draw (default 0); faithful mode has no noise of its own
    #[argh(option, default = "0")]
    pub seed: u64,
    /// begin with the last frame: where nothing but noise has changed, measurements are averaged
    /// and nothing is evaluated. Only for degradations that are local: not for blur, sr:N:bicubic,
    /// hadamard and blocks
    #[argh(switch)]
    pub warm: bool,
    /// time for each frame, as in 200ms: as many evaluations as fit, where most changed or most is
    /// to be seen first; with too little time for any the classical estimate, which agrees with
    /// the measurement too. What comes out then depends on how fast the machine is. Only for
    /// degradations that are local, as --warm
    #[argh(option)]
    pub budget: Option<String>,
    /// frames that may wait to be restored (default 4)
    #[argh(option, default = "4")]
    pub queue: usize,
    /// when that many wait: block (the writer waits; default) or drop-oldest
    #[argh(option, default = "String::from(\"block\")")]
    pub when_slow: String,
    /// threads; 0 is all cores (default), -1 all but one. Does not change the result
    #[argh(option, default = "0")]
    pub threads: isize,
    /// private memory to use at most, as in 64M (default: what there is)
    #[argh(option)]
    pub max_memory: Option<String>,
    /// use the model and the threads that suit this board (see ddnm boards)
    #[argh(option)]
    pub board: Option<String>,
    /// pause while the machine is hotter than this, in degrees Celsius
    #[argh(option)]
    pub max_temp: Option<f64>,
    /// write a JSON line per frame here (default: to standard error)
    #[argh(option)]
    pub log: Option<String>,
    /// no lines on standard error
    #[argh(switch, short = 'q')]
    pub quiet: bool,
}

/// Make a measurement from a clean picture, to try things out.
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "degrade")]
pub struct Degrade {
    /// the clean picture (PNG or JPEG; - is standard input)
    #[argh(positional)]
    pub input: String,
    /// where the measurement goes (PNG, or .npy for floats; - is standard output)
    #[argh(option, short = 'o')]
    pub output: String,
    /// what happens to the scene (see ddnm --help)
    #[argh(option, short = 'd')]
    pub degradation: String,
    /// noise to add: its standard deviation in code values 0..255 (default 0), or
    /// poisson:GAIN,READ for a camera's, of variance GAIN * code value + READ^2
    #[argh(option, default = "String::from(\"0\")")]
    pub noise: String,
    /// number of the noise draw (default 0)
    #[argh(option, default = "0")]
    pub seed: u64,
    /// bits per sample of the measurement, 8 or 16 (default: as the input)
    #[argh(option)]
    pub depth: Option<u8>,
    /// write 16 bits whose code values reach as far below black and above white as half of what
    /// lies between, so that noise is not cut off there; a PNG text says so, and ddnm reads it
    #[argh(switch)]
    pub headroom: bool,
}

/// Compare two pictures: PSNR and SSIM, and with -d how well the first agrees with a measurement.
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "compare")]
pub struct Compare {
    /// a picture
    #[argh(positional)]
    pub a: String,
    /// the picture to compare it with
    #[argh(positional)]
    pub b: String,
    /// also the residual of the first picture under this degradation
    #[argh(option, short = 'd')]
    pub degradation: Option<String>,
    /// the measurement that the residual is against
    #[argh(option, short = 'y')]
    pub measurement: Option<String>,
    /// print one JSON line
    #[argh(switch)]
    pub json: bool,
}

/// Show a model: manifest, layers, operations per pixel, bytes.
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "inspect")]
pub struct Inspect {
    /// the model (default: the built-in one)
    #[argh(positional)]
    pub model: Option<String>,
    /// also where each node of a step would run: cuda, on a GPU
    #[argh(option)]
    pub device: Option<String>,
    /// print one JSON line
    #[argh(switch)]
    pub json: bool,
}

/// Write a model into one file that loads at once and whose weights are used where they lie.
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "pack")]
pub struct Pack {
    /// the model (a manifest, or an ONNX file with its manifest beside it)
    #[argh(positional)]
    pub model: String,
    /// where it goes (.ddnm; - is standard output)
    #[argh(option, short = 'o')]
    pub output: String,
    /// how weights are held: f32 (default), f16 or int8
    #[argh(option, default = "String::from(\"f32\")")]
    pub weights: String,
    /// how convolutions calculate that stand it: f32 (default) or, with weights in int8, int8
    #[argh(option, default = "String::from(\"f32\")")]
    pub arithmetic: String,
}

/// Say what restore would do: tiles, evaluations, operations, bytes, seconds on this machine.
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "plan")]
pub struct Plan {
    /// the measurement (PNG or JPEG); or give --size
    #[argh(positional)]
    pub input: Option<String>,
    /// what happened to the scene (see ddnm --help)
    #[argh(option, short = 'd')]
    pub degradation: String,
    /// scene size WIDTHxHEIGHT
    #[argh(option)]
    pub size: Option<String>,
    /// noise of the measurement, as restore takes it (default 0)
    #[argh(option, default = "String::from(\"0\")")]
    pub noise: String,
    /// values at black and white are bounds, as restore takes them
    #[argh(switch)]
    pub saturation: bool,
    /// faithful (default) or sample
    #[argh(option, default = "String::from(\"faithful\")")]
    pub mode: String,
    /// model to use instead of the built-in one
    #[argh(option)]
    pub model: Option<String>,
    /// evaluations of the network per pixel
    #[argh(option)]
    pub steps: Option<usize>,
    /// sample mode: LENGTH,REPEATS of time travel, which goes through every LENGTH steps REPEATS
    /// times before the next ones
    #[argh(option)]
    pub travel: Option<String>,
    /// threads; 0 is all cores (default), -1 all but one
    #[argh(option, default = "0")]
    pub threads: isize,
    /// private memory to use at most, as in 64M
    #[argh(option)]
    pub max_memory: Option<String>,
    /// predict for this board, with the model and the threads that suit it (see ddnm boards)
    #[argh(option)]
    pub board: Option<String>,
    /// bits per sample of the result, 8 or 16 (default: as the input, or 8)
    #[argh(option)]
    pub depth: Option<u8>,
    /// print one JSON line
    #[argh(switch)]
    pub json: bool,
}

/// List the boards that are known, and say which one this is, what it offers and how hot it is.
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "boards")]
pub struct Boards {
    /// print one JSON line
    #[argh(switch)]
    pub json: bool,
}

/// Print the manual page, or what a shell needs to complete command lines.
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "manual")]
pub struct Manual {
    /// man (default), bash, zsh or fish
    #[argh(positional, default = "String::from(\"man\")")]
    pub format: String,
}

/// Measure speed and footprint on this machine: a tile, and a whole frame with one and more
/// threads, each in a process of its own.
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "bench")]
pub struct Bench {
    /// model to use instead of the built-in one
    #[argh(option)]
    pub model: Option<String>,
    /// size of the frame, WIDTHxHEIGHT (default 640x480)
    #[argh(option, default = "String::from(\"640x480\")")]
    pub size: String,
    /// what happens to the scene (see ddnm --help; default bayer:rggb)
    #[argh(option, short = 'd', default = "String::from(\"bayer:rggb\")")]
    pub degradation: String,
    /// noise to add, standard deviation in code values 0..255 (default 0)
    #[argh(option, default = "0.0")]
    pub noise: f64,
    /// the most threads; 0 is all cores (default), -1 all but one
    #[argh(option, default = "0")]
    pub threads: isize,
    /// whose peaks to compare with (default: the board that this is)
    #[argh(option)]
    pub board: Option<String>,
    /// only the tile, and only once
    #[argh(switch, hidden_help)]
    pub tile: bool,
    /// print one JSON line
    #[argh(switch)]
    pub json: bool,
}
