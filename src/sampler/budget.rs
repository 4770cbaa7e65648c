//! As many evaluations as fit into the time that a frame has, where most is to be gained first.
//!
//! How long an evaluation takes, and everything else, is learned from frame to frame. From that it
//! is planned before a frame: with as many steps as all tiles can take; what time is left takes
//! the best tiles one step further. While the frame is restored the clock is asked before every
//! tile, so that a machine that has become slower leaves out tiles instead of being late. A tile
//! that is left out keeps the state that it has, which agrees with the measurement like any other:
//! in the first step that is the classical estimate.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::grid::Grid;
use super::pace::{Estimate, Timed, Watch};
use super::warm::Warm;
use super::{Settings, grids};
use crate::degrade::Degradation;
use crate::frame::Region;
use crate::prior::Prior;
use crate::schedule::Level;

/// A clock: the time since some moment. Tests have one of their own.
pub type Clock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// The clock of the machine.
pub fn machine_clock() -> Clock {
    let start = Instant::now();
    Arc::new(move || start.elapsed())
}

/// The time that each frame has, and what is known of how long things take.
pub struct Budget {
    /// In seconds, and for now at most so many.
    time: f64,
    most: f64,
    clock: Clock,
    watch: Arc<Watch>,
    /// Seconds of all threads together, and of one, for a pixel of a window.
    pixel: Estimate,
    alone: Estimate,
    /// Seconds of a frame besides evaluations, and of those what comes after the last tile.
    rest: Estimate,
    tail: Estimate,
    /// When the frame at hand began, and when its tiles were done.
    began: f64,
    restored: f64,
}

/// A tile of a step: its number and its core's corner.
type Key = (usize, usize, usize);

/// What a frame may take: the tiles that were chosen, as long as there is time.
pub struct Choice {
    clock: Clock,
    watch: Arc<Watch>,
    /// Pixels of the windows of the tiles that were chosen.
    chosen: HashMap<Key, usize>,
    /// All times in seconds.
    began: f64,
    end: f64,
    pixel: f64,
    rest: f64,
    tail: f64,
    done: Mutex<Done>,
}

/// What has been done of a frame so far.
#[derive(Debug, Clone, Default)]
pub struct Done {
    /// Tiles that were evaluated, and the pixels of their cores.
    pub evaluated: usize,
    pub pixels: usize,
    /// Cores of those that would have been, with more time.
    pub skipped: Vec<Region>,
}

impl Budget {
    pub fn new(time: Duration, clock: Clock) -> Budget {
        Budget {
            time: time.as_secs_f64(),
            most: f64::INFINITY,
            watch: Arc::new(Watch::new(clock.clone())),
            clock,
            pixel: Estimate::default(),
            alone: Estimate::default(),
            rest: Estimate::default(),
            tail: Estimate::default(),
            began: 0.0,
            restored: 0.0,
        }
    }

    /// The time that each frame has.
    pub fn seconds(&self) -> f64 {
        self.time
    }

    /// Frames have no more time than this, until something else is said.
    pub fn shorten(&mut self, most: f64) {
        self.most = most;
    }

    /// `prior`, with a watch on its evaluations.
    pub fn timed<'a>(&self, prior: &'a dyn Prior) -> Timed<'a> {
        Timed::new(prior, self.watch.clone())
    }

    /// The clock's time, in seconds.
    pub fn now(&self) -> f64 {
        (self.clock)().as_secs_f64()
    }

    /// Forgets what has been learned: the first evaluations meet memory that nobody touched.
    pub fn forget(&mut self) {
        let unknown = Estimate::default();
        (self.pixel, self.alone, self.rest, self.tail) = (unknown, unknown, unknown, unknown);
    }

    /// A frame begins.
    pub fn begin(&mut self) {
        self.began = self.now();
        self.watch.reset();
    }

    /// Chooses what is evaluated of a frame, for which `warm` says what there would be to do, and
    /// returns the levels for it. Where all of it fits these are those of the settings. Where
    /// nothing is known yet of the time that a tile takes, it is one tile for each thread.
    pub fn choose(
        &self,
        a: &dyn Degradation,
        prior: &dyn Prior,
        settings: &Settings,
        warm: &mut Warm,
    ) -> Vec<Level> {
        let spent = self.now() - self.began;
        let time = self.time.min(self.most) - self.rest.high().unwrap_or(0.0).max(spent);
        let known = self.pixel.high();
        let room = match known {
            _ if self.time == 0.0 => 0.0,
            None => f64::INFINITY,
            Some(pixel) => time / pixel,
        };
        let (most, tiles) = match known {
            Some(_) => (settings.levels.len(), usize::MAX),
            None => (1, settings.threads),
        };
        for steps in (1..=most).rev() {
            let levels = levels(prior, &settings.levels, steps);
            warm.aim(&levels);
            let grids = grids(a, prior, &levels);
            let (mut all, mut left) = (HashMap::new(), room);
            for (k, grid) in grids.iter().enumerate().take(steps - 1) {
                for (tile, pixels, _) in wanted(warm, grid, k) {
                    left -= pixels as f64;
                    all.insert((k, tile.y, tile.x), pixels);
                }
            }
            if left < 0.0 && steps > 1 {
                continue;
            }
            let mut last = wanted(warm, &grids[steps - 1], steps - 1);
            last.sort_by(|a, b| b.2.total_cmp(&a.2));
            for (tile, pixels, _) in last.into_iter().take(tiles) {
                if left < pixels as f64 {
                    break;
                }
                left -= pixels as f64;
                all.insert((steps - 1, tile.y, tile.x), pixels);
            }
            warm.limit(self.choice(all));
            return levels;
        }
        settings.levels.clone()
    }

    fn choice(&self, chosen: HashMap<Key, usize>) -> Choice {
        Choice {
            clock: self.clock.clone(),
            watch: self.watch.clone(),
            chosen,
            began: self.began,
            end: self.began + self.time.min(self.most),
            // Nothing is known of the first tiles: they may take what they take.
            pixel: self.alone.high().unwrap_or(0.0),
            rest: self.rest.high().unwrap_or(0.0),
            tail: self.tail.high().unwrap_or(0.0),
            done: Mutex::default(),
        }
    }

    /// The frame's tiles are done, and so is its result.
    pub fn restored(&mut self) {
        self.restored = self.now();
    }

    /// The frame is written. Learns from it, and returns by how many seconds it was late;
    /// `paused` are seconds in which nothing was done, and `skipped` says whether there was too
    /// little time for tiles.
    pub fn end(&mut self, paused: f64, skipped: bool) -> f64 {
        let now = self.now();
        let took = now - self.began;
        let seen = self.watch.seen();
        if seen.pixels > 0 {
            self.pixel.learn(seen.wall / seen.pixels as f64);
            self.alone.learn(seen.busy / seen.pixels as f64);
        } else if skipped {
            self.pixel.age();
            self.alone.age();
        }
        self.rest.learn((took - seen.wall - paused).max(0.0));
        self.tail.learn(now - self.restored);
        (took - self.time).max(0.0)
    }
}

/// `count` levels between the first and the last of those that were asked for.
fn levels(prior: &dyn Prior, all: &[Level], count: usize) -> Vec<Level> {
    match (all.first(), all.last()) {
        (Some(first), Some(last)) if count < all.len() => {
            prior.diffusion().geometric(first.sigma(), last.sigma(), count)
        }
        _ => all.to_vec(),
    }
}

/// The tiles that step `k` has to do: core, pixels of the window, and how much is to be gained.
fn wanted(warm: &Warm, grid: &Grid, k: usize) -> Vec<(Region, usize, f64)> {
    let tiles = grid.tiles();
    let wanted = tiles.filter(|tile| warm.wants(k, tile.core()));
    let measure = |tile: super::grid::Tile| {
        let pixels = tile.rows.size * tile.columns.size;
        (tile.core(), pixels, warm.urgency(tile.core()))
    };
    wanted.map(measure).collect()
}

impl Choice {
    /// Whether a tile that has to be done is: it was chosen, and there is time.
    pub fn takes(&self, k: usize, core: Region) -> bool {
        let chosen = self.chosen.get(&(k, core.y, core.x));
        let takes = chosen.is_some_and(|pixels| {
            let now = (self.clock)().as_secs_f64();
            // What has been spent besides evaluations, and so what is left of that.
            let spent = now - self.began - self.watch.wall();
            let left = (self.rest - spent).max(self.tail);
            self.pixel == 0.0 || now + self.pixel * *pixels as f64 + left <= self.end
        });
        let mut done = self.lock();
        match takes {
            true => {
                done.evaluated += 1;
                done.pixels += core.area();
            }
            false => done.skipped.push(core),
        }
        takes
    }

    /// What has been done.
    pub fn done(&self) -> Done {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Done> {
        self.done.lock().unwrap_or_else(|e| e.into_inner())
    }
}
