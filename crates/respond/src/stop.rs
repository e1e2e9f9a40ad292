//! Asking a run to end in order: it begins nothing new, journals what it has begun, and lets go of
//! its incidents, due at once.

use tokio::sync::watch;

/// A wish that can be uttered once, from anywhere, and is heard by everybody who holds a clone.
#[derive(Debug, Clone)]
pub struct Stop {
    wish: watch::Sender<bool>,
    heard: watch::Receiver<bool>,
}

impl Default for Stop {
    fn default() -> Self {
        let (wish, heard) = watch::channel(false);
        Self { wish, heard }
    }
}

impl Stop {
    /// Asks to stop.
    pub fn ask(&self) {
        self.wish.send_replace(true);
    }

    /// Whether somebody has asked to.
    pub fn is_asked(&self) -> bool {
        *self.heard.borrow()
    }

    /// Waits until somebody asks to.
    pub async fn asked(&self) {
        let mut heard = self.heard.clone();
        // It fails only where no sender is left, and we are one.
        let _ = heard.wait_for(|asked| *asked).await;
    }

    /// What a future gives, or nothing where somebody asks to stop before it does. What it had
    /// begun is dropped: only for what changes nothing.
    pub async fn unless_asked<F: Future>(&self, future: F) -> Option<F::Output> {
        tokio::select! {
            biased;
            () = self.asked() => None,
            value = future => Some(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_asked_is_heard_by_those_who_wait_and_by_those_who_come_later() {
        let stop = Stop::default();
        let other = stop.clone();
        assert_eq!(stop.unless_asked(async { 1 }).await, Some(1));
        let ((), waited) = futures::join!(
            async { other.ask() },
            stop.unless_asked(std::future::pending::<()>())
        );
        assert_eq!(waited, None);
        assert!(stop.is_asked());
        assert_eq!(other.clone().unless_asked(async { 1 }).await, None);
    }
}
