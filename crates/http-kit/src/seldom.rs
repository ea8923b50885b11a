use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Lets a line through to the log now and then and counts the others: for what anybody can cause as often as
/// they like.
#[derive(Debug)]
pub struct Seldom {
    every: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    last: Option<Instant>,
    left_out: u64,
}

impl Seldom {
    /// One line in so long.
    pub const fn new(every: Duration) -> Self {
        Self { every, state: Mutex::new(State { last: None, left_out: 0 }) }
    }

    /// Whether this line may be written; if so, how many were not since the last one.
    pub fn pass(&self) -> Option<u64> {
        let now = Instant::now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.last.is_some_and(|last| now.duration_since(last) < self.every) {
            state.left_out += 1;
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_line_in_so_long_and_the_others_are_counted() {
        let seldom = Seldom::new(Duration::from_secs(10));
        let lines = |count| (0..count).filter_map(|_| seldom.pass()).collect::<Vec<_>>();
        assert_eq!(lines(100), [0]);
        tokio::time::advance(Duration::from_millis(9_999)).await;
        assert!(lines(1).is_empty());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(lines(3), [100]);
        tokio::time::advance(Duration::from_mins(1)).await;
        assert_eq!(lines(1), [2]);
    }
}
