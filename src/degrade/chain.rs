//! Degradations one after another that have no closed form together.

use std::sync::OnceLock;

use super::linear::wiener;
use super::rows::COLOURLESS;
use super::stationary::Stationary;
use super::{Degradation, Dual, LinearMap, Spectrum};
use crate::frame::{Region, Shape};

/// Links applied first to last: `A = A_n .. A_1`. Its pseudo-inverse is found by conjugate
/// gradients; the estimate that it starts from goes back link by link.
pub struct Chain {
    links: Vec<Box<dyn Degradation>>,
    /// What speeds conjugate gradients up, if anything does; found when it is first needed.
    stationary: OnceLock<Option<Stationary>>,
}

/// Singular values below this part of the largest that the links allow are left to the prior:
/// nothing keeps links from cancelling what each of them keeps.
const TRUNCATION: f32 = 0.03;

impl Chain {
    /// A chain of at least one link; their sizes must follow from each other.
    pub fn new(links: Vec<Box<dyn Degradation>>) -> Chain {
        Chain { links, stationary: OnceLock::new() }
    }

    fn stationary(&self) -> Option<&Stationary> {
        self.stationary.get_or_init(|| Stationary::new(self)).as_ref()
    }
}

/// `y = A_n .. A_1 x`.
fn forth(links: &[Box<dyn Degradation>], x: &[f32], y: &mut [f32]) {
    match links {
        [] => y.copy_from_slice(x),
        [link] => link.apply(Region::whole(link.scene()), x, y),
        [first, others @ ..] => {
            let mut v = vec![0.0; first.measurement().len()];
            first.apply(Region::whole(first.scene()), x, &mut v);
            forth(others, &v, y);
        }
    }
}

/// `x = A_1^T .. A_n^T y`.
fn back(links: &[Box<dyn Degradation>], y: &[f32], x: &mut [f32]) {
    match links {
        [] => x.copy_from_slice(y),
        [link] => link.adjoint(Region::whole(link.scene()), y, x),
        [others @ .., last] => {
            let mut v = vec![0.0; last.scene().len()];
            last.adjoint(Region::whole(last.scene()), y, &mut v);
            back(others, &v, x);
        }
    }
}

impl LinearMap for Chain {
    fn spec(&self) -> String {
        self.links.iter().map(|l| l.spec()).collect::<Vec<_>>().join("+")
    }

    fn scene(&self) -> Shape {
        self.links[0].scene()
    }

    fn measurement(&self) -> Shape {
        self.links[self.links.len() - 1].measurement()
    }

    fn apply(&self, x: &[f32], y: &mut [f32]) {
        forth(&self.links, x, y);
    }

    fn adjoint(&self, y: &[f32], x: &mut [f32]) {
        back(&self.links, y, x);
    }

    fn gram(&self, y: &[f32], out: &mut [f32]) {
        // The first link may know a shorter way there and back.
        let (first, others) = (&self.links[0], &self.links[1..]);
        let between = first.measurement().len();
        let (mut v, mut w) = (vec![0.0; between], vec![0.0; between]);
        back(others, y, &mut v);
        first.gram(&v, &mut w);
        forth(others, &w, out);
    }

    fn precondition(&self, eta: f32, r: &[f32], out: &mut [f32]) {
        match self.stationary() {
            Some(stationary) => stationary.solve(eta, r, out),
            None => out.copy_from_slice(r),
        }
    }

    fn noisy_share(&self) -> f64 {
        // As for a blur alone.
        if self.stationary().is_some() { 0.05 } else { 0.03 }
    }

    fn spectrum(&self) -> Option<Spectrum> {
        let max = self.links.iter().map(|l| l.spectrum().max()).product();
        Some(Spectrum::Bound { max })
    }

    fn truncation(&self) -> f32 {
        TRUNCATION * self.links.iter().map(|l| l.spectrum().max()).product::<f32>()
    }

    fn measured_share(&self, sigma_y: f64) -> Option<f64> {
        // What comes later makes the measurement weaker, which is as if the noise were stronger.
        let mut sigma_y = sigma_y;
        let mut share = 1.0;
        for link in self.links.iter().rev() {
            share *= link.measured_share(sigma_y);
            sigma_y /= f64::from(link.spectrum().max());
        }
        Some(share)
    }

    fn measures(&self, out: &mut [f32]) {
        if let Some(last) = self.links.last() {
            last.singular_values(Region::whole(last.scene()), out);
            out.iter_mut().for_each(|s| *s = if *s > 0.0 { 1.0 } else { 0.0 });
        }
    }

    fn max_row_sum(&self) -> Option<f32> {
        Some(self.links.iter().map(|l| l.max_row_sum()).product())
    }

    fn held_bytes(&self) -> u64 {
        // A complex spectrum of the measurement, for a mosaic one and a quarter; and where masks or
        // gains are held how strongly each value is measured.
        let spectra = if self.links.iter().any(|l| l.is_mosaic()) { 5 } else { 4 };
        let differs = self.links.iter().any(|l| !l.rows_overlap() && l.held_bytes() > 0);
        let gains = if differs { self.measurement().len() } else { 0 };
        let own = (spectra * self.measurement().plane() / 2 + gains) * size_of::<f32>();
        own as u64 + self.links.iter().map(|l| l.held_bytes()).sum::<u64>()
    }

    fn contents(&self) -> Vec<f32> {
        let contents = |link: &dyn Degradation| {
            let mut v = link.contents();
            if !link.rows_overlap() {
                let mut gain = vec![0.0; link.measurement().len()];
                link.dc_gain(Region::whole(link.scene()), &mut gain);
                v.append(&mut gain);
            }
            v
        };
        self.links.iter().flat_map(|link| contents(&**link)).collect()
    }

    fn is_picture(&self) -> bool {
        self.links.iter().all(|l| l.is_picture())
    }

    fn uncertainty(&self) -> f64 {
        let uncertainty = self.links.iter().map(|l| l.uncertainty()).fold(0.0, f64::max);
        // As in chains of rows that do not overlap.
        match self.links.iter().any(|l| l.loses_colour()) {
            true => uncertainty.min(COLOURLESS),
            false => uncertainty,
        }
    }

    fn noise_gain(&self) -> f64 {
        self.links.iter().map(|l| l.noise_gain()).product()
    }

    fn start(&self, y: &[f32], sigma_y: f64) -> Vec<f32> {
        let mut x = y.to_vec();
        for link in self.links.iter().rev() {
            x = link.start(&x, sigma_y);
        }
        let mut r = vec![0.0; y.len()];
        self.apply(&x, &mut r);
        r.iter_mut().zip(y).for_each(|(r, y)| *r = y - *r);
        let mut correction = vec![0.0; x.len()];
        self.pinv(&r, &wiener(sigma_y, 0.1), &mut Dual::default(), &mut correction);
        x.iter_mut().zip(&correction).for_each(|(x, c)| *x += c);
        x
    }
}
