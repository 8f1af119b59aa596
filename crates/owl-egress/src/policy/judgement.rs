//! A text judged from its first character to its addresses, for those who only ask and do not connect.

use std::net::IpAddr;

use super::Opened;
use super::decide::Reach;
use super::denied::{Denied, Refusal, Stage};
use super::hint::Hint;
use crate::address::AddressClass;
use crate::target::{Host, InvalidTarget, TargetUrl};

/// How a text was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It may be fetched.
    Allow,
    /// It may not.
    Deny,
    /// It is not a URL.
    Invalid,
}

/// The whole judgement of one text, as `judge_url` gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// The step that decided.
    pub stage: Stage,
    /// The rule that refused, or what opened the first address, in kebab case.
    pub rule: &'static str,
    /// The address that was refused, or the first that may be connected to.
    pub address: Option<IpAddr>,
    /// The block of that address and what it is in words.
    pub range: Option<String>,
    /// What would open it.
    pub hint: Option<Hint>,
    /// The refusal in a sentence; empty when allowed.
    pub message: String,
}

/// A judgement that has written nothing down yet: what it costs to make one is what it costs to judge.
#[derive(Clone, Debug)]
pub struct Ruling<'a> {
    target: &'a TargetUrl,
    reach: Reach,
    /// The first address that may be connected to.
    first: Option<Opened>,
    refusal: Option<Refusal<'a>>,
}

impl<'a> Ruling<'a> {
    pub(super) fn new(
        target: &'a TargetUrl,
        reach: Reach,
        first: Option<Opened>,
        refusal: Option<Refusal<'a>>,
    ) -> Self {
        Self { target, reach, first, refusal }
    }

    /// Allow or deny; what is no URL was never judged.
    pub fn verdict(&self) -> Verdict {
        if self.refusal.is_none() { Verdict::Allow } else { Verdict::Deny }
    }

    /// The step that decided.
    pub fn stage(&self) -> Stage {
        match &self.refusal {
            Some(refusal) => refusal.stage(self.target),
            None => Stage::of_addresses(self.target),
        }
    }

    /// The rule that refused, or what opened the first address, in kebab case.
    pub fn rule(&self) -> &'static str {
        match (&self.refusal, &self.first) {
            (Some(refusal), _) => refusal.rule.name(),
            (None, Some(opened)) => opened.by.name(),
            (None, None) => "public",
        }
    }

    /// The address that was refused, or the first that may be connected to.
    pub fn address(&self) -> Option<IpAddr> {
        match &self.refusal {
            Some(refusal) => refusal.subject.map(|subject| subject.address),
            None => self.first.map(|opened| opened.connect_to),
        }
    }

    /// What that address is; `Display` reads `10.0.0.0/8, private use`.
    pub fn class(&self) -> Option<AddressClass> {
        match &self.refusal {
            Some(refusal) => refusal.subject.map(|subject| subject.class),
            None => self.first.map(|opened| opened.class),
        }
    }

    /// What would open it.
    pub fn hint(&self) -> Option<Hint> {
        self.refusal.as_ref()?.hint(self.target, self.reach)
    }

    /// The refusal, told; `None` when allowed.
    pub fn denied(&self) -> Option<Denied> {
        self.refusal.map(|refusal| Denied::new(self.target, refusal, self.reach))
    }
}

impl From<&Ruling<'_>> for Judgement {
    fn from(ruling: &Ruling<'_>) -> Self {
        Self {
            verdict: ruling.verdict(),
            stage: ruling.stage(),
            rule: ruling.rule(),
            address: ruling.address(),
            range: ruling.class().map(|class| class.to_string()),
            hint: ruling.hint(),
            message: ruling.denied().map_or_else(String::new, |denied| denied.to_string()),
        }
    }
}

impl From<&InvalidTarget> for Judgement {
    fn from(error: &InvalidTarget) -> Self {
        let (verdict, stage, rule) = (error.verdict(), error.stage(), error.rule());
        Self { verdict, stage, rule, address: None, range: None, hint: None, message: error.to_string() }
    }
}

impl InvalidTarget {
    /// Whether the text is no URL at all, or one that is never fetched.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Parse(_) | Self::TooLong | Self::Query | Self::Fragment => Verdict::Invalid,
            Self::Scheme(_) | Self::UserInfo | Self::Host(_) => Verdict::Deny,
        }
    }

    /// The rule's stable name, in kebab case.
    pub fn rule(&self) -> &'static str {
        match self {
            Self::Parse(_) | Self::Query | Self::Fragment => "not-a-url",
            Self::Scheme(_) => "scheme",
            Self::UserInfo => "user-info",
            Self::TooLong => "too-long",
            Self::Host(_) => "not-a-host-name",
        }
    }
}

impl Verdict {
    /// `allow`, `deny` or `invalid`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Invalid => "invalid",
        }
    }
}

impl Stage {
    /// Where addresses are judged: those that the URL itself names, or those that DNS gave.
    pub(super) fn of_addresses(target: &TargetUrl) -> Self {
        let written = matches!(target.host(), Host::Address(_)) || target.is_localhost();
        if written { Self::Ip } else { Self::Dns }
    }
}
