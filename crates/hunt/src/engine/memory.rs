//! The memory that sorting, grouping and joining share.
//!
//! DataFusion's fair pool gives each operator that can spill an equal part, also those that hold
//! nothing yet: of twenty hunts side by side each would have too little to spill with, and break off.
//! Here one operator may have a third, and all that are large three quarters: to spill, groups are
//! sorted, which needs as much again for a moment; and the last quarter is for those that hold little,
//! so that one that is large keeps no other from starting.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryLimit, MemoryPool, MemoryReservation};

/// Of so many parts of the pool, one is little.
const LITTLE: usize = 16;

/// A pool of so many bytes.
#[derive(Debug)]
pub(super) struct Pool {
    bytes: usize,
    held: Mutex<usize>,
}

impl Pool {
    pub(super) fn new(bytes: usize) -> Self {
        Self {
            bytes,
            held: Mutex::new(0),
        }
    }

    fn held(&self) -> MutexGuard<'_, usize> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much all may hold when one that can spill goes from so much to so much.
    fn limit(&self, before: usize, after: usize) -> usize {
        match after {
            // It has nothing that it could spill.
            _ if before == 0 => self.bytes,
            after if after <= self.bytes / LITTLE => self.bytes,
            after if after <= self.bytes / 3 => self.bytes / 4 * 3,
            _ => 0,
        }
    }
}

impl MemoryPool for Pool {
    fn name(&self) -> &str {
        "shared"
    }

    fn grow(&self, _: &MemoryReservation, additional: usize) {
        *self.held() += additional;
    }

    fn shrink(&self, _: &MemoryReservation, shrink: usize) {
        let mut held = self.held();
        *held = held.saturating_sub(shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let mut held = self.held();
        let consumer = reservation.consumer();
        let before = reservation.size();
        let limit = match consumer.can_spill() {
            true => self.limit(before, before.saturating_add(additional)),
            false => self.bytes,
        };
        let after = held.saturating_add(additional);
        if after > limit {
            return Err(DataFusionError::ResourcesExhausted(format!(
                "{} has {before} bytes and needs {additional} more; all have {held} of {}",
                consumer.name(),
                self.bytes
            )));
        }
        *held = after;
        Ok(())
    }

    fn reserved(&self) -> usize {
        *self.held()
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.bytes)
    }
}

impl fmt::Display for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "shared({} of {} bytes held)",
            self.reserved(),
            self.bytes
        )
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::execution::memory_pool::MemoryConsumer;

    use super::*;

    #[test]
    fn one_that_is_large_leaves_room_to_spill_and_for_those_that_are_small() {
        let pool: Arc<dyn MemoryPool> = Arc::new(Pool::new(4800));
        let consumer = |spills| {
            let consumer = MemoryConsumer::new("it").with_can_spill(spills);
            consumer.register(&pool)
        };
        let (large, other, small) = (consumer(true), consumer(true), consumer(true));
        large.try_grow(100).expect("little");
        large.try_grow(1500).expect("a third");
        assert!(large.try_grow(1).is_err());
        // What spills it holds nothing yet.
        let copy = consumer(true);
        copy.try_grow(2400)
            .expect("all that is left but for a sixth");
        other.try_grow(300).expect("little");
        assert!(other.try_grow(1).is_err());
        drop(copy);
        other.try_grow(1300).expect("a third");
        small.try_grow(200).expect("little");
        small.try_grow(200).expect("three quarters");
        assert!(small.try_grow(1).is_err());
        let fixed = consumer(false);
        fixed.try_grow(1200).expect("the rest");
        assert!(fixed.try_grow(1).is_err());
        assert_eq!(pool.reserved(), 4800);
        drop((large, other, small, fixed));
        assert_eq!(pool.reserved(), 0);
    }
}
