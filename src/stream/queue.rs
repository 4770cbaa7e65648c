//! The frames that wait between the thread that reads them and the one that restores them.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// What a full queue does with one frame more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// The reader waits, and with it whatever writes into its pipe.
    Block,
    /// The frame that has waited longest is dropped.
    DropOldest,
}

/// A bounded queue of `T`; `is_frame` of one that may be dropped.
pub struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    capacity: usize,
    when_full: WhenFull,
    is_frame: fn(&T) -> bool,
}

struct State<T> {
    items: VecDeque<T>,
    dropped: u64,
    closed: bool,
}

impl<T> Queue<T> {
    /// A queue of at most `capacity` items, at least 1. Only those that `is_frame` says so of are
    /// ever dropped.
    pub fn new(capacity: usize, when_full: WhenFull, is_frame: fn(&T) -> bool) -> Queue<T> {
        let state = State { items: VecDeque::new(), dropped: 0, closed: false };
        let (state, changed) = (Mutex::new(state), Condvar::new());
        Queue { state, changed, capacity: capacity.max(1), when_full, is_frame }
    }

    /// Adds an item, or waits until it can; `false` once the queue is closed.
    pub fn push(&self, item: T) -> bool {
        let mut state = self.lock();
        while state.items.len() >= self.capacity && !state.closed {
            let oldest = state.items.iter().position(self.is_frame);
            match (self.when_full, oldest) {
                (WhenFull::DropOldest, Some(oldest)) => {
                    state.items.remove(oldest);
                    state.dropped += 1;
                }
                _ => state = self.changed.wait(state).unwrap_or_else(|e| e.into_inner()),
            }
        }
        if state.closed {
            return false;
        }
        state.items.push_back(item);
        self.changed.notify_all();
        true
    }

    /// Takes the oldest item; `None` where none came in time.
    pub fn pop(&self, patience: Duration) -> Option<T> {
        let mut state = self.lock();
        if state.items.is_empty() {
            let waited = self.changed.wait_timeout(state, patience);
            state = waited.unwrap_or_else(|e| e.into_inner()).0;
        }
        let item = state.items.pop_front();
        self.changed.notify_all();
        item
    }

    /// How many items wait, and how many have been dropped so far.
    pub fn counts(&self) -> (usize, u64) {
        let state = self.lock();
        (state.items.len(), state.dropped)
    }

    /// Lets go of everything; nothing can be added any more.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.items.clear();
        self.changed.notify_all();
    }

    /// A lock poisoned by a panic of the other thread is of no matter: that panic is reported.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }
}
