//! Which APIs a provider has besides chat completions: as configured, or as it turned out.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::config::ApiSupport;

/// How long it is believed that a server lacks an API; then it is asked again, for it may have been updated.
const BELIEVED: Duration = Duration::from_secs(600);

/// An API that some servers have and others do not.
#[derive(Debug, Default)]
pub struct Support {
    declared: ApiSupport,
    lacking_until: Mutex<Option<Instant>>,
}

impl Support {
    /// As the configuration says.
    pub fn new(declared: ApiSupport) -> Self {
        Self { declared, lacking_until: Mutex::default() }
    }

    /// Whether a request is to be forwarded to the API as far as is known now.
    pub fn is_worth_trying(&self, now: Instant) -> bool {
        match self.declared {
            ApiSupport::Native => true,
            ApiSupport::Chat => false,
            ApiSupport::Auto => {
                self.lacking_until.lock().unwrap_or_else(PoisonError::into_inner).is_none_or(|until| now >= until)
            }
        }
    }

    /// Whether an answer with this status may mean that there is no such API. It then is to be called by [`Support::lacks`], unless
    /// the answer is about the model.
    pub fn may_lack(&self, status: u16) -> bool {
        self.declared == ApiSupport::Auto && matches!(status, 404 | 405 | 501)
    }

    /// Remembers that the API is not there.
    pub fn lacks(&self, now: Instant) {
        *self.lacking_until.lock().unwrap_or_else(PoisonError::into_inner) = now.checked_add(BELIEVED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_turned_out_is_believed_for_a_while() {
        let now = Instant::now();
        let auto = Support::default();
        assert!(auto.is_worth_trying(now) && auto.may_lack(404));
        assert!(!auto.may_lack(400) && !auto.may_lack(200));
        auto.lacks(now);
        assert!(!auto.is_worth_trying(now) && auto.is_worth_trying(now + BELIEVED));
        let native = Support::new(ApiSupport::Native);
        assert!(native.is_worth_trying(now) && !native.may_lack(404));
        assert!(!Support::new(ApiSupport::Chat).is_worth_trying(now));
    }
}
