//! Threads that share a piece of work, round after round.
//!
//! Whoever leads posts a round of so many items and takes items too; the others wait for rounds.
//! All that is kept is allocated once, so that a round costs no more than waking them.

use std::any::Any;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};

use crate::error::{Error, Result};

/// What threads share to work together on rounds of work `W`.
pub struct Crew<W> {
    state: Mutex<State<W>>,
    /// A round has begun, or all may go home.
    begun: Condvar,
    /// An item or somebody's share is done.
    news: Condvar,
    /// Next item of the round.
    next: AtomicUsize,
    /// Whether the items that are left shall not be done.
    stop: AtomicBool,
}

struct State<W> {
    /// Number of the round, its work and its items.
    round: u64,
    work: Option<(W, usize)>,
    /// Threads besides the leader's, and those of them that have not ended the round.
    members: usize,
    busy: usize,
    /// Items of the round that are done.
    done: usize,
    failed: Option<Error>,
    panicked: Option<Box<dyn Any + Send>>,
    home: bool,
}

impl<W: Copy> Crew<W> {
    /// A crew of nobody but its leader.
    pub fn new() -> Crew<W> {
        let state = State {
            round: 0,
            work: None,
            members: 0,
            busy: 0,
            done: 0,
            failed: None,
            panicked: None,
            home: false,
        };
        Crew {
            state: Mutex::new(state),
            begun: Condvar::new(),
            news: Condvar::new(),
            next: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
        }
    }

    /// Counts one more thread, which will [`serve`](Crew::serve).
    pub fn join(&self) {
        self.lock().members += 1;
    }

    /// Does items of every round until all go home: `item(work, index)`.
    pub fn serve(&self, mut item: impl FnMut(W, usize) -> Result<()>) {
        let mut seen = 0;
        loop {
            let mut state = self.lock();
            while state.round == seen && !state.home {
                state = self.begun.wait(state).unwrap_or_else(|e| e.into_inner());
            }
            let Some((work, count)) = state.work.filter(|_| !state.home) else { return };
            seen = state.round;
            drop(state);
            let share = AssertUnwindSafe(|| self.share(work, count, &mut item, &mut || {}));
            let ended = catch_unwind(share);
            let mut state = self.lock();
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(e)) => state.fail(e),
                Err(panic) => state.panicked = Some(panic),
            }
            state.busy -= 1;
            self.news.notify_all();
        }
    }

    /// Sends all home, at once or when they have done their item.
    pub fn dismiss(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.lock().home = true;
        self.begun.notify_all();
    }

    /// Leads a round of `count` items. `news` is called for each item that is done, here; it may
    /// stop the round.
    ///
    /// # Errors
    /// What an item failed with, or [`Error::Interrupted`] if the round was stopped.
    pub fn round(
        &self,
        work: W,
        count: usize,
        mut item: impl FnMut(W, usize) -> Result<()>,
        news: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<()> {
        let mut state = self.lock();
        // After a panic that was caught, somebody may still be busy with the round before.
        while state.busy > 0 {
            state = self.news.wait(state).unwrap_or_else(|e| e.into_inner());
        }
        self.next.store(0, Ordering::Relaxed);
        self.stop.store(false, Ordering::Relaxed);
        (state.done, state.failed, state.panicked) = (0, None, None);
        if count > 1 && state.members > 0 {
            state.round += 1;
            state.work = Some((work, count));
            state.busy = state.members;
            self.begun.notify_all();
        }
        drop(state);

        let mut told = 0;
        let mut tell = |state: &State<W>| {
            while told < state.done && !self.stop.load(Ordering::Relaxed) {
                told += 1;
                if news().is_break() {
                    self.stop.store(true, Ordering::Relaxed);
                }
            }
        };
        let own = self.share(work, count, &mut item, &mut || tell(&self.lock()));
        let mut state = self.lock();
        if let Err(e) = own {
            state.fail(e);
        }
        loop {
            tell(&state);
            if state.busy == 0 {
                break;
            }
            state = self.news.wait(state).unwrap_or_else(|e| e.into_inner());
        }
        // A panic is a bug to show: let it.
        if let Some(panic) = state.panicked.take() {
            drop(state);
            resume_unwind(panic);
        }
        match state.failed.take() {
            Some(e) => Err(e),
            None if self.stop.load(Ordering::Relaxed) => Err(Error::Interrupted),
            None => Ok(()),
        }
    }

    /// One thread's share of a round.
    fn share(
        &self,
        work: W,
        count: usize,
        item: &mut impl FnMut(W, usize) -> Result<()>,
        after: &mut dyn FnMut(),
    ) -> Result<()> {
        /// Stops the others where an item fails or panics.
        struct Alarm<'a>(&'a AtomicBool);
        impl Drop for Alarm<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return Ok(());
            }
            if self.stop.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            let alarm = Alarm(&self.stop);
            item(work, index)?;
            std::mem::forget(alarm);
            self.lock().done += 1;
            self.news.notify_all();
            after();
        }
    }

    /// A lock poisoned by a panic is of no matter: the panic goes on up.
    fn lock(&self) -> MutexGuard<'_, State<W>> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl<W> State<W> {
    /// A thread that only stopped because another failed is not the reason.
    fn fail(&mut self, e: Error) {
        if self.failed.as_ref().is_none_or(|known| *known == Error::Interrupted) {
            self.failed = Some(e);
        }
    }
}

/// Sends a crew home at the end of a scope, also where that is left by a panic: its threads are
/// waited for.
pub struct Dismissed<'a, W: Copy>(pub &'a Crew<W>);

impl<W: Copy> Drop for Dismissed<'_, W> {
    fn drop(&mut self) {
        self.0.dismiss();
    }
}
