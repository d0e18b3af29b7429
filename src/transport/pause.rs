//! A time limit that stands still while a person is asked something.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Time spent on asking, which no time limit counts.
#[derive(Debug, Default)]
pub(crate) struct Pause(Mutex<Spent>);

#[derive(Debug, Default, Clone, Copy)]
struct Spent {
    total: Duration,
    since: Option<Instant>,
}

impl Pause {
    /// Waits for something without the clock running.
    pub(crate) async fn while_waiting<T>(&self, work: impl Future<Output = T>) -> T {
        self.change(|spent| spent.since = Some(Instant::now()));
        let result = work.await;
        self.change(|spent| {
            if let Some(since) = spent.since.take() {
                spent.total += since.elapsed();
            }
        });
        result
    }

    fn change(&self, change: impl FnOnce(&mut Spent)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// All time spent so far.
    fn spent(&self) -> Duration {
        let spent = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        spent.total + spent.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Runs something within a time limit; `None` when the time is over.
    pub(crate) async fn within<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
        let mut work = Box::pin(work);
        let begin = Instant::now();
        loop {
            tokio::select! {
                result = &mut work => return Some(result),
                () = tokio::time::sleep_until(begin + limit + self.spent()) => {
                    // While someone is being asked, the deadline has moved on meanwhile.
                    if begin + limit + self.spent() <= Instant::now() {
                        return None;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn asking_takes_no_time() {
        let pause = Pause::default();
        let work = async {
            pause.while_waiting(tokio::time::sleep(Duration::from_millis(300))).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
            7
        };
        assert_eq!(pause.within(Duration::from_millis(150), work).await, Some(7));
    }

    #[tokio::test]
    async fn other_waiting_does() {
        let pause = Pause::default();
        let work = async {
            pause.while_waiting(tokio::time::sleep(Duration::from_millis(50))).await;
            tokio::time::sleep(Duration::from_secs(60)).await;
        };
        let begin = Instant::now();
        assert!(pause.within(Duration::from_millis(100), work).await.is_none());
        assert!(begin.elapsed() < Duration::from_secs(10));
    }
}
