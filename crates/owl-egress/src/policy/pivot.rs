//! The no-pivot rule: an open web page never drives a request into the private network, whatever is open to it directly
//! (compare Chromium's Local Network Access).

use super::decide::Reach;
use super::denied::{Denied, Refusal, Rule, Subject};
use super::{Opened, Opening};
use crate::address::Tier;
use crate::target::TargetUrl;

impl Opened {
    /// Whether anyone may have written what comes from there: a public address, or one that a resolver made up for it.
    pub fn is_public(&self) -> bool {
        self.class.tier == Tier::Public || self.by == Opening::FakeIp
    }
}

/// Judges where a public page redirects to: every one of its addresses must be public.
///
/// # Errors
/// The refusal.
pub(crate) fn judge_pivot(target: &TargetUrl, opened: &[Opened]) -> Result<(), Denied> {
    let Some(inside) = opened.iter().find(|opened| !opened.is_public()) else {
        return Ok(());
    };
    let subject = Subject { address: inside.connect_to, class: inside.class, inner: None };
    let refusal = Refusal { rule: Rule::Pivot, subject: Some(subject), entry: None };
    Err(Denied::new(target, refusal, Reach::AnyUrl))
}
