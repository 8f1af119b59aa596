//! What the guard tells of the web client's accesses.

use std::sync::Arc;

use super::{Kept, World, client_in, get, ok};
use crate::address::Tier;
use crate::audit::{AuditEvent, Caller};

#[tokio::test]
async fn a_private_access_is_told_with_its_end() {
    let world = Arc::new(World::answering(ok("", b"hello")));
    let kept = Arc::new(Kept::default());
    let client = client_in(&world, |options| {
        options.rules.allow_private_network = true;
        options.network.audit = Arc::<Kept>::clone(&kept);
    });
    let mut request = get("http://10.1.2.3/path?secret=1");
    request.caller = Caller { request_id: Some("req_1".into()), key: Some("ci".into()) };
    client.fetch(request).await.expect("an answer");

    let events = kept.take();
    let [AuditEvent::Opened(opened), AuditEvent::Ended(ended)] = events.as_slice() else {
        panic!("{events:?}");
    };
    assert_eq!((opened.url.as_str(), opened.rule), ("http://10.1.2.3/path?…(8 bytes)", "allow-private-network"));
    assert_eq!(opened.caller.request_id.as_deref(), Some("req_1"));
    assert_eq!(&*opened.policy, "allowPrivateNetwork: true");
    assert_eq!((ended.id, ended.status), (opened.id, Some(200)));
    assert!(ended.received > 5 && ended.sent > 5, "{ended:?}");
}

#[tokio::test]
async fn an_address_around_a_private_one_is_told_as_private() {
    let kept = Arc::new(Kept::default());
    let client = client_in(&Arc::new(World::answering(ok("", b""))), |options| {
        options.rules.nat64_prefixes = vec!["2a00:64::/96".parse().expect("a prefix")];
        options.network.audit = Arc::<Kept>::clone(&kept);
    });
    client.fetch(get("http://[2a00:64::a00:1]/")).await.expect_err("10.0.0.1 inside");
    let events = kept.take();
    let [AuditEvent::Refused(access)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((access.rule, access.tier), ("private-address", Some(Tier::Private)));
    assert_eq!(access.range.as_deref(), Some("10.0.0.0/8, private use"));
}

#[tokio::test]
async fn refusals_are_told_and_public_accesses_are_not() {
    let world = Arc::new(World::answering(ok("", b"hello")));
    let kept = Arc::new(Kept::default());
    let client = client_in(&world, |options| options.network.audit = Arc::<Kept>::clone(&kept));
    client.fetch(get("http://93.184.215.14/")).await.expect("an answer");
    assert!(kept.take().is_empty());

    let check = |events: Vec<AuditEvent>, rule: &str| match events.as_slice() {
        [AuditEvent::Refused(access)] => assert_eq!(access.rule, rule),
        other => panic!("{rule}: {other:?}"),
    };
    for (url, rule) in [
        ("http://169.254.169.254/latest/", "metadata-address"),
        ("http://metadata.google.internal/", "metadata-name"),
        ("http://user:pw@93.184.215.14/", "user-info"),
        ("file:///etc/passwd", "scheme"),
        ("http://93.184.215.14:25/", "bad-port"),
    ] {
        client.fetch(get(url)).await.expect_err(url);
        check(kept.take(), rule);
    }
    assert_eq!(world.dialled().len(), 1, "nothing that is refused is connected to");
}
