//! What one answer may cost, and what is left of it.

use std::time::{Duration, Instant};

use crate::config::Budget;

/// What is left of a budget.
#[derive(Debug)]
pub(super) struct Purse {
    budget: Budget,
    end: Option<Instant>,
    steps: u32,
    calls: u32,
    bytes: u64,
}

impl Purse {
    pub(super) fn new(budget: Budget, now: Instant) -> Self {
        let end = now.checked_add(budget.timeout);
        Self { budget, end, steps: 0, calls: 0, bytes: 0 }
    }

    pub(super) fn parallel(&self) -> usize {
        self.budget.parallel.max(1)
    }

    /// When tools have to be done.
    pub(super) fn end(&self) -> Option<Instant> {
        self.end
    }

    pub(super) fn timeout(&self) -> Duration {
        self.budget.timeout
    }

    /// A turn has used tools.
    pub(super) fn step(&mut self) {
        self.steps = self.steps.saturating_add(1);
    }

    /// Pays for a call.
    ///
    /// # Errors
    /// There have been too many.
    pub(super) fn call(&mut self) -> Result<(), String> {
        if self.calls >= self.budget.calls {
            return Err(format!(
                "{} calls of tools were allowed for this answer, and all are used up",
                self.budget.calls
            ));
        }
        self.calls += 1;
        Ok(())
    }

    /// Pays for a result.
    ///
    /// # Errors
    /// It is larger than what is left.
    pub(super) fn result(&mut self, bytes: usize) -> Result<(), String> {
        let (bytes, left) = (bytes as u64, self.budget.result_bytes.saturating_sub(self.bytes));
        if bytes > left {
            return Err(format!(
                "the result has {bytes} bytes, and of the {} that this answer may read {left} are left",
                self.budget.result_bytes
            ));
        }
        self.bytes += bytes;
        Ok(())
    }

    /// Which bound was reached, if one was: no tool may be used any more.
    pub(super) fn is_spent(&self, now: Instant) -> Option<String> {
        let budget = &self.budget;
        if self.steps >= budget.steps {
            return Some(format!("all {} turns with tools are used up", budget.steps));
        }
        if self.calls >= budget.calls {
            return Some(format!("all {} calls of tools are used up", budget.calls));
        }
        if self.bytes >= budget.result_bytes {
            return Some(format!("all {} bytes of results are used up", budget.result_bytes));
        }
        self.end.is_some_and(|end| now >= end).then(|| format!("the {} s for tools are over", budget.timeout.as_secs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bound_ends_it() {
        let now = Instant::now();
        let budget = Budget { steps: 2, calls: 2, parallel: 0, timeout: Duration::from_secs(9), result_bytes: 10 };
        let mut purse = Purse::new(budget, now);
        assert_eq!((purse.parallel(), purse.is_spent(now)), (1, None));
        purse.step();
        assert_eq!(purse.is_spent(now), None);
        assert_eq!(purse.is_spent(now + Duration::from_secs(9)).as_deref(), Some("the 9 s for tools are over"));
        purse.step();
        assert_eq!(purse.is_spent(now).as_deref(), Some("all 2 turns with tools are used up"));
        let mut purse = Purse::new(budget, now);
        assert_eq!((purse.call(), purse.is_spent(now)), (Ok(()), None));
        assert_eq!(purse.call(), Ok(()));
        assert_eq!(purse.is_spent(now).as_deref(), Some("all 2 calls of tools are used up"));
        assert!(purse.call().is_err());
        let mut purse = Purse::new(budget, now);
        assert!(purse.result(11).is_err_and(|told| told.contains("11 bytes") && told.contains("10 are left")));
        assert_eq!((purse.result(10), purse.result(0)), (Ok(()), Ok(())));
        assert_eq!(purse.is_spent(now).as_deref(), Some("all 10 bytes of results are used up"));
    }
}
