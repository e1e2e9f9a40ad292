//! Where those who read a log and those who take its rows meet.
//!
//! A reader that meets a full queue waits, unless somebody has nothing to take: that one may be
//! what the full queue's owner is waiting for, as in a join, so the rows go to disk and the reading
//! goes on.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use datafusion::arrow::array::RecordBatch;
use datafusion::error::DataFusionError;

use super::Wanted;
use super::queue::Queue;

/// What all queues of a log may hold in memory.
const QUEUED_BYTES: usize = 32 << 20;

/// What each of them may hold however many they are: about a batch.
const LEAST_QUEUED_BYTES: usize = 1 << 20;

#[derive(Default)]
pub(super) struct Hub {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    seats: Vec<Taker>,
    readers: usize,
    /// Whether the reading has begun: until then nothing has ended.
    is_open: bool,
}

/// One who takes rows.
struct Taker {
    wanted: Wanted,
    queue: Queue,
    /// Set where it waits for rows.
    waker: Option<Waker>,
    failure: Option<DataFusionError>,
    is_gone: bool,
}

/// A place at a hub. Given up when it is dropped.
pub(super) struct Seat {
    hub: Arc<Hub>,
    number: usize,
}

/// One who reads. That it has broken off is told unless it says that it is done.
pub(super) struct Reader<'a> {
    hub: &'a Hub,
    is_done: bool,
}

impl Hub {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn take_seat(self: &Arc<Self>, wanted: Wanted) -> Seat {
        let mut state = self.lock();
        state.seats.push(Taker {
            wanted,
            queue: Queue::default(),
            waker: None,
            failure: None,
            is_gone: false,
        });
        Seat {
            hub: Arc::clone(self),
            number: state.seats.len() - 1,
        }
    }

    /// What was asked for, by seat.
    pub fn wanted(&self) -> Vec<Wanted> {
        let state = self.lock();
        state.seats.iter().map(|seat| seat.wanted.clone()).collect()
    }

    /// Begins, with so many readers.
    pub fn open(&self, readers: usize) {
        let mut state = self.lock();
        state.readers = readers;
        state.is_open = true;
        state.wake_all();
    }

    /// A reader, counted by [`Self::open`].
    pub fn reader(&self) -> Reader<'_> {
        Reader {
            hub: self,
            is_done: false,
        }
    }

    /// Whether anybody still takes rows.
    pub fn is_wanted(&self) -> bool {
        self.lock().seats.iter().any(|seat| !seat.is_gone)
    }

    /// Puts rows into a queue, waiting for room where that is safe.
    pub fn push(&self, seat: usize, batch: RecordBatch) {
        let mut state = self.lock();
        let most = (QUEUED_BYTES / state.seats.len().max(1)).max(LEAST_QUEUED_BYTES);
        loop {
            let taker = &mut state.seats[seat];
            if taker.is_gone || taker.failure.is_some() {
                return;
            }
            let has_room = taker.queue.has_room(most);
            let somebody_starves = state.seats.iter().any(|seat| seat.waker.is_some());
            if !has_room && !somebody_starves {
                state = self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let taker = &mut state.seats[seat];
            let pushed = match has_room {
                true => {
                    taker.queue.push(batch);
                    Ok(())
                }
                false => taker.queue.spill(&batch),
            };
            if let Err(error) = pushed {
                taker.failure = Some(error);
            }
            taker.wake();
            return;
        }
    }

    /// Ends a queue with an error.
    pub fn fail(&self, seat: usize, error: DataFusionError) {
        let mut state = self.lock();
        let taker = &mut state.seats[seat];
        taker.failure.get_or_insert(error);
        taker.wake();
    }
}

impl State {
    fn wake_all(&mut self) {
        for seat in &mut self.seats {
            seat.wake();
        }
    }
}

impl Taker {
    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Seat {
    pub fn number(&self) -> usize {
        self.number
    }

    /// The next rows.
    pub fn poll(
        &self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<RecordBatch, DataFusionError>>> {
        let mut state = self.hub.lock();
        let has_ended = state.is_open && state.readers == 0;
        let taker = &mut state.seats[self.number];
        if taker.is_gone {
            return Poll::Ready(None);
        }
        let next = match taker.failure.take() {
            Some(error) => Some(Err(error)),
            None => taker.queue.pop().transpose(),
        };
        match next {
            Some(Err(error)) => {
                taker.is_gone = true;
                taker.queue = Queue::default();
                self.hub.changed.notify_all();
                Poll::Ready(Some(Err(error)))
            }
            Some(Ok(batch)) => {
                self.hub.changed.notify_all();
                Poll::Ready(Some(Ok(batch)))
            }
            None if has_ended => Poll::Ready(None),
            None => {
                taker.waker = Some(context.waker().clone());
                self.hub.changed.notify_all();
                Poll::Pending
            }
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.hub.lock();
        let taker = &mut state.seats[self.number];
        taker.is_gone = true;
        taker.queue = Queue::default();
        taker.waker = None;
        self.hub.changed.notify_all();
    }
}

impl Reader<'_> {
    pub fn done(mut self) {
        self.is_done = true;
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        let mut state = self.hub.lock();
        state.readers = state.readers.saturating_sub(1);
        if !self.is_done {
            for seat in &mut state.seats {
                let why = "a reader of the log has panicked, which is a bug".to_owned();
                seat.failure.get_or_insert(DataFusionError::Internal(why));
            }
        }
        state.wake_all();
        self.hub.changed.notify_all();
    }
}
