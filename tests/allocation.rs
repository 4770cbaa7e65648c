//! Evaluating a network allocates nothing once its thread is warm.

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use ddnm::network::Arithmetic;
use ddnm::prior::{self, Model, Prior};
use ddnm::weights::{Bytes, Format};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

// One test alone in its binary: another one would allocate meanwhile.
#[test]
fn nothing_is_allocated_after_the_first_evaluation() {
    let bundled = prior::bundled().unwrap();
    let level = bundled.diffusion().at_sigma(0.2);
    let narrow = bundled.pack_for(Format::Int8, Arithmetic::Int8).unwrap();
    let narrow = Model::packed(Bytes::copy(&narrow), Path::new("int8.ddnm"), true).unwrap();
    let cases = [(&bundled, 64), (&bundled, 96), (&narrow, 64), (&narrow, 96)];
    let mut evaluators = cases.map(|(prior, side)| prior.evaluator(side, side).unwrap());
    let pictures = cases.map(|(_, side)| side).map(|side| vec![0.1; 3 * side * side]);
    let mut results = pictures.clone();
    let mut evaluate = || {
        for (i, evaluator) in evaluators.iter_mut().enumerate() {
            evaluator.x0(&pictures[i], level, &mut results[i]).unwrap();
        }
    };
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    evaluate();
    let warm = ALLOCATIONS.load(Ordering::Relaxed);
    assert!(warm > before, "the allocator counts");
    (0..3).for_each(|_| evaluate());
    assert_eq!(ALLOCATIONS.load(Ordering::Relaxed), warm);
}
