//! What judges, dials and tells the audit for one client: the policy, the network around it, and its name.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use tokio::sync::Semaphore;

use crate::address::Tier;
use crate::audit::{Access, AccessId, AuditEvent, Caller};
use crate::dial::{DialError, race};
use crate::network::Network;
use crate::policy::{Denied, EgressPolicy, Opened, Opening, may_be_nat64};
use crate::resolve::LOOKUPS;
use crate::stream::{Meter, OpenAccess, Socket};
use crate::target::{InvalidTarget, TargetUrl};

/// One client's guard. Cloning it is cheap.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    /// The part that asks, for the audit.
    pub(crate) component: Arc<str>,
    pub(crate) policy: EgressPolicy,
    /// The policy as its keys are written, for the audit.
    label: Arc<str>,
    pub(crate) network: Network,
    /// How many lookups may be under way.
    pub(crate) lookups: Arc<Semaphore>,
}

impl Guard {
    pub(crate) fn new(component: Arc<str>, policy: EgressPolicy, network: Network) -> Self {
        let label = policy.rules().to_string().into();
        Self { component, policy, label, network, lookups: Arc::new(Semaphore::new(LOOKUPS)) }
    }

    /// The same with another policy.
    pub(crate) fn with_policy(&self, policy: EgressPolicy) -> Self {
        let label = policy.rules().to_string().into();
        Self { policy, label, ..self.clone() }
    }

    /// Judges all addresses of `target`, and below the NAT64 prefixes that the network announces what is inside, too. Only
    /// where it could be below one is DNS asked for those, see [`Resolver::nat64_prefixes`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves the question to the next caller.
    ///
    /// [`Resolver::nat64_prefixes`]: crate::resolve::Resolver::nat64_prefixes
    pub(crate) async fn judge_addresses(
        &self,
        target: &TargetUrl,
        addresses: &[IpAddr],
    ) -> Result<Vec<Opened>, Denied> {
        let opened = self.policy.judge_addresses(target, addresses)?;
        if !opened.iter().any(|one| may_be_nat64(one.connect_to)) {
            return Ok(opened);
        }
        let prefixes = self.network.resolver.nat64_prefixes().await;
        self.policy.judge_discovered(target, opened, &prefixes)
    }

    /// Connects to one of the judged addresses.
    pub(crate) async fn dial(&self, opened: &[Opened], port: u16) -> Result<(Socket, Opened), DialError> {
        race(&self.network, &self.lookups, opened, port).await
    }

    /// Tells of a connection to an address that is not public, and of one that an exemption opened. What comes back
    /// tells of its end.
    pub(crate) fn tell_opened(
        &self,
        caller: &Caller,
        target: &TargetUrl,
        opened: &Opened,
        meter: &Arc<Meter>,
    ) -> Option<OpenAccess> {
        let exempt_port = self.policy.reopens_port(target);
        if opened.class.tier == Tier::Public && opened.by == Opening::Public && !exempt_port {
            return None;
        }
        let by = if opened.by == Opening::Public { "allow-ports" } else { opened.by.name() };
        let access = self.access(caller, target, vec![opened.connect_to], by);
        let id = access.id;
        let access = Access { tier: Some(opened.class.tier), range: Some(opened.class.to_string()), ..access };
        self.network.audit.record(AuditEvent::Opened(Box::new(access)));
        let audit = Arc::clone(&self.network.audit);
        Some(OpenAccess { id, begun: Instant::now(), audit, meter: Arc::clone(meter) })
    }

    /// Tells of a refusal.
    pub(crate) fn tell_denied(&self, caller: &Caller, target: &TargetUrl, denied: &Denied) {
        let access = self.access(caller, target, denied.address.into_iter().collect(), denied.rule);
        let tier = denied.class().map(|class| class.tier);
        let access = Access { tier, range: denied.range.clone(), reason: denied.to_string(), ..access };
        self.network.audit.record(AuditEvent::Refused(Box::new(access)));
    }

    /// Tells of a call that came too often.
    pub(crate) fn tell_limited(&self, caller: &Caller, target: &TargetUrl, reason: String) {
        let access = Access { reason, ..self.access(caller, target, Vec::new(), "rate-limit") };
        self.network.audit.record(AuditEvent::Refused(Box::new(access)));
    }

    /// Tells of a text that is no URL that is ever fetched. The text is not told: it may hold anything.
    pub(crate) fn tell_invalid(&self, caller: &Caller, error: &InvalidTarget) {
        self.network.audit.record(AuditEvent::Refused(Box::new(Access {
            id: AccessId::next(),
            at: SystemTime::now(),
            caller: caller.clone(),
            component: Arc::clone(&self.component),
            policy: Arc::clone(&self.label),
            url: String::new(),
            host: String::new(),
            port: 0,
            addresses: Vec::new(),
            tier: None,
            range: None,
            rule: error.rule(),
            reason: error.to_string(),
        })));
    }

    fn access(&self, caller: &Caller, target: &TargetUrl, addresses: Vec<IpAddr>, rule: &'static str) -> Access {
        Access {
            id: AccessId::next(),
            at: SystemTime::now(),
            caller: caller.clone(),
            component: Arc::clone(&self.component),
            policy: Arc::clone(&self.label),
            url: target.to_string(),
            host: target.host().to_string(),
            port: target.port(),
            addresses,
            tier: None,
            range: None,
            rule,
            reason: String::new(),
        }
    }
}
