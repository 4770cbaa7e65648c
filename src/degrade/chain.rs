//! Degradations one after another that have no closed form together.

use std::sync::OnceLock;

use super::linear::wiener;
use super::rows::COLOURLESS;
use super::stationary::Stationary;
use super::torus::Behind;
use super::window::Window;
use super::{Degradation, Dual, LinearMap, Spectrum, Working, krylov};
use crate::frame::{Region, Shape};
use crate::noise::NoiseField;
use crate::scratch::any;

/// Links applied first to last: `A = A_n .. A_1`. Its pseudo-inverse is found by conjugate
/// gradients; the estimate that it starts from goes back link by link.
pub struct Chain {
    links: Vec<Box<dyn Degradation>>,
    /// See [`Chain::closed`].
    scale: Option<f32>,
    /// What speeds conjugate gradients up, if anything does; found when it is first needed.
    form: OnceLock<Form>,
}

/// What is known of `A A^T`.
enum Form {
    /// That of the first link, of which the others show only a part.
    Shown(Window),
    /// A convolution between scalings, or near one.
    Stationary(Stationary),
    Unknown,
}

/// Singular values below this part of the largest that the links allow are left to the prior:
/// nothing keeps links from cancelling what each of them keeps.
const TRUNCATION: f32 = 0.03;

impl Chain {
    /// A chain of at least one link; their sizes must follow from each other.
    pub fn new(links: Vec<Box<dyn Degradation>>) -> Chain {
        let scale = scale(&links);
        Chain { links, scale, form: OnceLock::new() }
    }

    fn form(&self) -> &Form {
        self.form.get_or_init(|| {
            if self.scale.is_some() {
                // Nothing is solved by iteration.
                return Form::Unknown;
            }
            if let Some(window) = self.shown() {
                return Form::Shown(window);
            }
            Stationary::new(self).map_or(Form::Unknown, Form::Stationary)
        })
    }

    fn stationary(&self) -> Option<&Stationary> {
        match self.form() {
            Form::Stationary(stationary) => Some(stationary),
            _ => None,
        }
    }

    /// The last link and a factor `g` of its singular values, if it has a closed form that leaves
    /// nothing out, and those of the links before it are all alike: with `A = B G` and
    /// `G G^T = g^2 I`, what is known of `B` is known of `A A^T = g^2 B B^T`. Gray is such a `G`.
    fn closed(&self) -> Option<(f32, &dyn Degradation)> {
        Some((self.scale?, &**self.links.last()?))
    }

    /// What the links after the first one show, if they change nothing and mix nothing.
    fn shown(&self) -> Option<Window> {
        let (first, others) = (&self.links[0], &self.links[1..]);
        let (_, window) = first.circulant()?;
        if self.measurement() != first.measurement() {
            return None;
        }
        // Random values either stay or are gone.
        let field = NoiseField { seed: 0, frame: 0, draw: 0 };
        let v: Vec<f32> = (0..first.measurement().len()).map(|i| field.at(0, 0, i)).collect();
        let mut shown = vec![0.0; v.len()];
        forth(others, &v, &mut shown);
        let near = |a: f32, b: f32| (a - b).abs() <= 1e-6 * b.abs();
        for (shown, v) in shown.iter_mut().zip(&v) {
            match *shown == 0.0 {
                false if near(*shown, *v) => *shown = 1.0,
                false => return None,
                true => {}
            }
        }
        Some(window.without(&shown))
    }
}

/// The `g` of [`Chain::closed`].
fn scale(links: &[Box<dyn Degradation>]) -> Option<f32> {
    let (last, before) = links.split_last()?;
    let alike = |link: &dyn Degradation| match link.spectrum() {
        Spectrum::Flat(s) if link.rank() == link.measurement().len() => Some(s),
        _ => None,
    };
    let g = before.iter().map(|link| alike(&**link)).product::<Option<f32>>()?;
    (!last.is_iterative() && last.truncation() == 0.0).then_some(g)
}

/// `y = A_n .. A_1 x`.
fn forth(links: &[Box<dyn Degradation>], x: &[f32], y: &mut [f32]) {
    match links {
        [] => y.copy_from_slice(x),
        [link] => link.apply(Region::whole(link.scene()), x, y),
        [first, others @ ..] => {
            let mut v = any(first.measurement().len());
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
            let mut v = any(last.scene().len());
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
        let (mut v, mut w) = (any(between), any(between));
        back(others, y, &mut v);
        first.gram(&v, &mut w);
        forth(others, &w, out);
    }

    fn pinv(&self, y: &[f32], weight: &dyn Fn(f32) -> f32, dual: &mut Dual, x: &mut [f32]) {
        let Some((g, last)) = self.closed() else { return krylov::pinv(self, y, weight, dual, x) };
        let mut v = any(last.scene().len());
        last.pinv_from(y, &|s| weight(g * s), dual, &mut v);
        back(&self.links[..self.links.len() - 1], &v, x);
        x.iter_mut().for_each(|x| *x /= g * g);
    }

    fn precondition(&self, eta: f32, r: &[f32], out: &mut [f32]) {
        match self.stationary() {
            Some(stationary) => stationary.solve(eta, r, out),
            None => out.copy_from_slice(r),
        }
    }

    fn circulant(&self) -> Option<Behind<'_>> {
        match self.form() {
            Form::Shown(window) => self.links[0].circulant().map(|(first, _)| (first, window)),
            Form::Stationary(stationary) => stationary.exact(),
            Form::Unknown => None,
        }
    }

    fn noisy_share(&self) -> f64 {
        match self.form() {
            Form::Unknown => 0.03,
            // As for a blur alone.
            Form::Stationary(_) => 0.05,
            // Holes take the most iterations, and what 0.05 would gain is 0.04 dB.
            Form::Shown(_) => 0.08,
        }
    }

    fn spectrum(&self) -> Option<Spectrum> {
        if let Some((g, last)) = self.closed() {
            return Some(last.spectrum().times(g));
        }
        let max = self.links.iter().map(|l| l.spectrum().max()).product();
        Some(Spectrum::Bound { max })
    }

    fn truncation(&self) -> f32 {
        if self.closed().is_some() {
            return 0.0;
        }
        TRUNCATION * self.links.iter().map(|l| l.spectrum().max()).product::<f32>()
    }

    fn rank(&self) -> Option<usize> {
        self.closed().map(|(_, last)| last.rank())
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
        let own = match self.form() {
            Form::Shown(window) => window.held_bytes(),
            Form::Stationary(stationary) => stationary.held_bytes(),
            Form::Unknown => 0,
        };
        own + self.links.iter().map(|l| l.held_bytes()).sum::<u64>()
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

    fn start(&self, y: &[f32], sigma_y: f64, x: &mut [f32]) {
        let mut estimate = y.to_vec();
        for link in self.links.iter().rev() {
            estimate = link.start(&estimate, sigma_y);
        }
        x.copy_from_slice(&estimate);
        drop(estimate);
        let mut r = vec![0.0; y.len()];
        self.apply(x, &mut r);
        r.iter_mut().zip(y).for_each(|(r, y)| *r = y - *r);
        let mut correction = vec![0.0; x.len()];
        self.pinv(&r, &wiener(sigma_y, 0.1), &mut Dual::default(), &mut correction);
        x.iter_mut().zip(&correction).for_each(|(x, c)| *x += c);
    }

    fn working(&self) -> Working {
        let of = |links: &[Box<dyn Degradation>], part: fn(Working) -> usize| {
            links.iter().map(|l| part(l.working())).max().unwrap_or(0)
        };
        let (first, others) = (&self.links[..1], &self.links[1..]);
        // What goes from link to link.
        let between: usize = others.iter().map(|l| l.scene().len()).sum();
        let forward = between + of(&self.links, |w| w.forward);
        let solved = self.stationary().map_or(0, Stationary::working_to_solve);
        let gram = between + first[0].measurement().len();
        let gram = (gram + of(first, |w| w.gram).max(of(others, |w| w.forward))).max(solved);
        let mut own = krylov::working(self, forward, gram);
        if let Some((_, last)) = self.closed() {
            own.inverse = between + last.working().inverse;
        }
        let corrected = self.measurement().len() + self.scene().len() + own.inverse;
        let link =
            |l: &dyn Degradation| 2 * (l.scene().len() + l.measurement().len()) + l.working().start;
        let start = self.links.iter().map(|l| link(&**l)).max().unwrap_or(0).max(corrected);
        Working { start, ..own }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Spec;
    use super::*;

    #[test]
    fn what_is_known_of_the_last_link_is_known_behind_gray() {
        let load = |_: &std::path::Path| unreachable!();
        let scene = Shape::new(3, 22, 31);
        let build = |spec: &str| Spec::parse(spec).unwrap().build(scene, &load).unwrap();
        for spec in ["gray:601+sr:2:bicubic", "gray+hadamard:0.5"] {
            let a = build(spec);
            assert!(!a.is_iterative() && a.truncation() == 0.0, "{spec}");
            assert_eq!(a.rank(), a.measurement().len(), "{spec}");
            let field = NoiseField { seed: 2, frame: 0, draw: 0 };
            let y: Vec<f32> = (0..a.measurement().len()).map(|i| field.at(0, 0, i)).collect();
            let whole = Region::whole(scene);
            for eta in [0.0, 0.3] {
                let (mut x, mut r) = (vec![0.0; scene.len()], vec![0.0; y.len()]);
                a.pinv(whole, &y, &|s| s * s / (s * s + eta), &mut x);
                // (A A^T + eta) z = y with x = A^T z: then A x + eta z = y, and A^T (y - A x) = eta x.
                a.apply(whole, &x, &mut r);
                r.iter_mut().zip(&y).for_each(|(r, y)| *r = y - *r);
                let mut back = vec![0.0; x.len()];
                a.adjoint(whole, &r, &mut back);
                back.iter_mut().zip(&x).for_each(|(b, x)| *b -= eta * x);
                let left = (krylov::dot(&back, &back) / krylov::dot(&y, &y)).sqrt();
                assert!(left < if eta == 0.0 { 1e-5 } else { 1e-2 }, "{spec}, {eta}: {left:.1e}");
            }
        }
        // What leaves directions to the prior does so as a chain.
        assert!(build("gray+blur:gauss:1.6").is_iterative());
        assert!(build("sr:2:bicubic+gray").is_iterative());
    }
}
