//! Buffers that are used again.
//!
//! Operators and classical estimates need memory for a moment, many times per frame. Whoever
//! restores frame after frame lends a [`Scratch`] to the thread meanwhile: then [`zeros`] and its
//! like take from it and give back to it, and nothing is allocated once it holds enough. On a
//! thread without one they are ordinary vectors.
//!
//! A buffer takes the first place that is free. So the same work takes the same places each time,
//! whatever the sizes, and a place is as large as the largest buffer that it ever held.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

use rustfft::num_complex::Complex;

thread_local! {
    static LENT: RefCell<Option<Scratch>> = const { RefCell::new(None) };
}

/// Buffers of one thread.
#[derive(Default)]
pub struct Scratch {
    floats: Shelf<f32>,
    complex: Shelf<Complex<f32>>,
    indices: Shelf<usize>,
}

/// Places for buffers: empty where one is taken.
pub struct Shelf<T>(Vec<Option<Vec<T>>>);

impl<T> Default for Shelf<T> {
    fn default() -> Shelf<T> {
        Shelf(Vec::new())
    }
}

impl Scratch {
    /// Lends `scratch` to this thread while `work` runs; what was lent before waits.
    pub fn lend<T>(scratch: &mut Option<Scratch>, work: impl FnOnce() -> T) -> T {
        /// Exchanges them again, also where `work` panics.
        struct Back<'a>(&'a mut Option<Scratch>);
        impl Drop for Back<'_> {
            fn drop(&mut self) {
                LENT.with_borrow_mut(|lent| std::mem::swap(lent, self.0));
            }
        }
        LENT.with_borrow_mut(|lent| std::mem::swap(lent, scratch));
        let _back = Back(scratch);
        work()
    }

    /// Runs `work` with what is lent to this thread, or with a new one where nothing is.
    pub fn provide<T>(work: impl FnOnce() -> T) -> T {
        match LENT.with_borrow(Option::is_some) {
            true => work(),
            false => Scratch::lend(&mut Some(Scratch::default()), work),
        }
    }

    /// Makes each place as large as that of `other`.
    pub fn cover(&mut self, other: &Scratch) {
        self.floats.cover(&other.floats);
        self.complex.cover(&other.complex);
        self.indices.cover(&other.indices);
    }
}

impl<T> Shelf<T> {
    fn take(&mut self) -> (usize, Vec<T>) {
        match self.0.iter().position(Option::is_some) {
            Some(at) => (at, self.0[at].take().unwrap_or_default()),
            None => {
                self.0.push(None);
                (self.0.len() - 1, Vec::new())
            }
        }
    }

    fn give(&mut self, at: usize, buffer: Vec<T>) {
        if let Some(place) = self.0.get_mut(at) {
            *place = Some(buffer);
        }
    }

    fn cover(&mut self, other: &Shelf<T>) {
        if self.0.len() < other.0.len() {
            self.0.resize_with(other.0.len(), || Some(Vec::new()));
        }
        for (own, other) in self.0.iter_mut().flatten().zip(other.0.iter().flatten()) {
            own.clear();
            own.reserve_exact(other.capacity());
        }
    }
}

/// What buffers are made of.
pub trait Item: Copy + Default {
    fn shelf(scratch: &mut Scratch) -> &mut Shelf<Self>;
}

impl Item for f32 {
    fn shelf(scratch: &mut Scratch) -> &mut Shelf<f32> {
        &mut scratch.floats
    }
}

impl Item for Complex<f32> {
    fn shelf(scratch: &mut Scratch) -> &mut Shelf<Complex<f32>> {
        &mut scratch.complex
    }
}

impl Item for usize {
    fn shelf(scratch: &mut Scratch) -> &mut Shelf<usize> {
        &mut scratch.indices
    }
}

/// A vector that goes back to where it was taken from.
#[derive(Default)]
pub struct List<T: Item> {
    data: Vec<T>,
    /// Its place in the thread's scratch, if there is one.
    place: Option<usize>,
}

impl<T: Item> List<T> {
    /// An empty one.
    pub fn new() -> List<T> {
        let mut list = List::taken();
        list.data.clear();
        list
    }

    /// With what was in it last.
    fn taken() -> List<T> {
        let taken = LENT.with_borrow_mut(|lent| lent.as_mut().map(|s| T::shelf(s).take()));
        match taken {
            None => List::default(),
            Some((at, data)) => List { data, place: Some(at) },
        }
    }
}

impl<T: Item> Deref for List<T> {
    type Target = Vec<T>;

    fn deref(&self) -> &Vec<T> {
        &self.data
    }
}

impl<T: Item> DerefMut for List<T> {
    fn deref_mut(&mut self) -> &mut Vec<T> {
        &mut self.data
    }
}

impl<T: Item> Drop for List<T> {
    fn drop(&mut self) {
        let Some(at) = self.place else { return };
        let data = std::mem::take(&mut self.data);
        // A thread that ends has nothing to give back to.
        let _ = LENT.try_with(|lent| {
            if let Some(scratch) = lent.borrow_mut().as_mut() {
                T::shelf(scratch).give(at, data);
            }
        });
    }
}

/// A slice that goes back to where it was taken from.
#[derive(Default)]
pub struct Buffer<T: Item> {
    /// Longer where a larger buffer had the place before: what is there need not be cleared again.
    list: List<T>,
    len: usize,
}

impl<T: Item> Buffer<T> {
    /// One of `len` values, all 0.
    pub fn zeros(len: usize) -> Buffer<T> {
        let (mut buffer, new) = Buffer::sized(len);
        if !new {
            buffer.fill(T::default());
        }
        buffer
    }

    /// One of `len` values of any kind, for work that writes all of them before it reads any.
    pub fn any(len: usize) -> Buffer<T> {
        Buffer::sized(len).0
    }

    /// One of the first `len` of `values`, of which there must be as many: where they end sooner, what
    /// follows is of any kind.
    pub fn collect(len: usize, values: impl Iterator<Item = T>) -> Buffer<T> {
        let mut buffer = Buffer::any(len);
        buffer.iter_mut().zip(values).for_each(|(to, v)| *to = v);
        buffer
    }

    /// One of `len` values, and whether they are new, and 0.
    fn sized(len: usize) -> (Buffer<T>, bool) {
        let mut list = List::taken();
        let new = list.capacity() < len;
        if new {
            // Memory that the system clears need not be cleared again, nor what was there copied.
            list.data = Vec::new();
            list.data = vec![T::default(); len];
        } else if list.len() < len {
            list.resize(len, T::default());
        }
        (Buffer { list, len }, new)
    }
}

impl<T: Item> Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.list[..self.len]
    }
}

impl<T: Item> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.list[..self.len]
    }
}

impl<'a, T: Item> IntoIterator for &'a Buffer<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a, T: Item> IntoIterator for &'a mut Buffer<T> {
    type Item = &'a mut T;
    type IntoIter = std::slice::IterMut<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

/// `len` floats of any value, for work that writes all of them before it reads any.
pub fn any(len: usize) -> Buffer<f32> {
    Buffer::any(len)
}

/// `len` floats, all 0.
pub fn zeros(len: usize) -> Buffer<f32> {
    Buffer::zeros(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_come_back_to_their_places() {
        let mut scratch = Some(Scratch::default());
        let work = |large: usize| {
            let first = zeros(large);
            let at = first.as_ptr();
            let second = Buffer::<f32>::collect(3, [1.0, 2.0, 3.0].into_iter());
            assert_eq!(&second[..], [1.0, 2.0, 3.0]);
            drop(first);
            // The first place is free again, what it held is forgotten.
            let mut third = zeros(large / 2);
            assert!(third.as_ptr() == at && third.iter().all(|v| *v == 0.0));
            third.fill(7.0);
            drop(third);
            assert_eq!(any(large / 2 + 1)[..large / 2], vec![7.0; large / 2]);
            at
        };
        let large = Scratch::lend(&mut scratch, || work(100));
        assert_eq!(Scratch::lend(&mut scratch, || work(50)), large);
        let places = |s: &Scratch| s.floats.0.iter().flatten().map(Vec::capacity).sum::<usize>();
        let held = places(scratch.as_ref().unwrap());
        assert!((103..130).contains(&held), "{held}");
        let mut other = Scratch::default();
        other.cover(scratch.as_ref().unwrap());
        assert_eq!(places(&other), held);
    }

    #[test]
    fn without_a_scratch_they_are_vectors() {
        let buffer = zeros(3);
        assert_eq!(buffer.list.place, None);
        assert_eq!(&buffer[..], [0.0, 0.0, 0.0]);
        let mut list = List::new();
        list.push(1.0);
        assert_eq!(&list[..], [1.0]);
    }
}
