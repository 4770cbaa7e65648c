//! Small dense matrices in float64: the independent way to the same numbers.

use crate::degrade::Degradation;
use crate::frame::Region;

#[derive(Clone, Debug)]
pub struct Mat {
    pub rows: usize,
    pub columns: usize,
    pub v: Vec<f64>,
}

impl Mat {
    pub fn new(rows: usize, columns: usize, f: impl Fn(usize, usize) -> f64) -> Mat {
        let v = (0..rows * columns).map(|i| f(i / columns, i % columns)).collect();
        Mat { rows, columns, v }
    }

    pub fn identity(n: usize) -> Mat {
        Mat::new(n, n, |i, j| f64::from(i == j))
    }

    pub fn column(v: &[f32]) -> Mat {
        Mat::new(v.len(), 1, |i, _| f64::from(v[i]))
    }

    pub fn at(&self, i: usize, j: usize) -> f64 {
        self.v[i * self.columns + j]
    }

    pub fn t(&self) -> Mat {
        Mat::new(self.columns, self.rows, |i, j| self.at(j, i))
    }

    pub fn times(&self, o: &Mat) -> Mat {
        assert_eq!(self.columns, o.rows);
        Mat::new(self.rows, o.columns, |i, j| {
            (0..self.columns).map(|k| self.at(i, k) * o.at(k, j)).sum()
        })
    }

    pub fn plus(&self, factor: f64, o: &Mat) -> Mat {
        assert_eq!((self.rows, self.columns), (o.rows, o.columns));
        Mat::new(self.rows, self.columns, |i, j| self.at(i, j) + factor * o.at(i, j))
    }

    pub fn scaled(&self, factor: f64) -> Mat {
        Mat::new(self.rows, self.columns, |i, j| factor * self.at(i, j))
    }

    /// `self X = b`, by Gaussian elimination.
    pub fn solve(&self, b: &Mat) -> Mat {
        let (mut m, mut x, n) = (self.clone(), b.clone(), self.rows);
        for k in 0..n {
            let p = (k..n).max_by(|&i, &j| m.at(i, k).abs().total_cmp(&m.at(j, k).abs())).unwrap();
            for t in [&mut m, &mut x] {
                for j in 0..t.columns {
                    t.v.swap(k * t.columns + j, p * t.columns + j);
                }
            }
            for i in 0..n {
                let f = m.at(i, k) / m.at(k, k);
                if i != k && f != 0.0 {
                    for t in [&mut m, &mut x] {
                        for j in 0..t.columns {
                            let d = f * t.at(k, j);
                            t.v[i * t.columns + j] -= d;
                        }
                    }
                }
            }
        }
        Mat::new(n, b.columns, |i, j| x.at(i, j) / m.at(i, i))
    }

    pub fn trace(&self) -> f64 {
        (0..self.rows).map(|i| self.at(i, i)).sum()
    }

    /// Frobenius norm.
    pub fn norm(&self) -> f64 {
        self.v.iter().map(|v| v * v).sum::<f64>().sqrt()
    }
}

/// The matrix of an operator, without the rows that measure nothing; and which rows those are.
pub fn matrix(a: &dyn Degradation) -> (Mat, Vec<usize>) {
    let whole = Region::whole(a.scene());
    let mut s = vec![0.0; a.measurement().len()];
    a.singular_values(whole, &mut s);
    let kept: Vec<usize> = (0..s.len()).filter(|&i| s[i] > 0.0).collect();
    let mut m = Mat::new(kept.len(), a.scene().len(), |_, _| 0.0);
    for j in 0..a.scene().len() {
        let mut unit = vec![0.0; a.scene().len()];
        unit[j] = 1.0;
        let mut y = vec![0.0; s.len()];
        a.apply(whole, &unit, &mut y);
        for (i, &row) in kept.iter().enumerate() {
            m.v[i * m.columns + j] = f64::from(y[row]);
        }
    }
    (m, kept)
}
