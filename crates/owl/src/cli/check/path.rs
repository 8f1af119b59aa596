//! The way to the server: name, addresses, policy, connection, TLS.

use owl_egress::address::Tier;
use owl_egress::policy::{Opened, Opening};
use owl_egress::target::{Host, Scheme};
use owl_egress::{Authentication, ConnectionReport, UpstreamClient, UpstreamOptions};

use super::call::trouble_on_the_way;
use super::report::{Examination, Finding, Step};

/// How soon a certificate's end is worth a word, in days.
const EXPIRES_SOON: i64 = 14;

/// Walks to the server; `None` when it cannot be reached.
pub(super) async fn walk(exam: &mut Examination, client: &UpstreamClient, options: &UpstreamOptions) -> Option<()> {
    let failed = |error| trouble_on_the_way(options, error);
    exam.take(Step::Name, async {
        match client.judge_name() {
            Ok(()) => (Finding::ok(name(options)), ()),
            Err(error) => (failed(error), ()),
        }
    })
    .await?;
    exam.take(Step::Addresses, async {
        match client.resolve().await {
            Ok(addresses) => (Finding::ok(joined(&addresses)), ()),
            Err(error) => (failed(error), ()),
        }
    })
    .await?;
    let opened = exam
        .take(Step::Policy, async {
            match client.admit().await {
                Ok(opened) => (Finding::ok(opening(&opened)), opened),
                Err(error) => (failed(error), Vec::new()),
            }
        })
        .await?;
    exam.take(Step::Connect, async {
        match client.reach().await {
            Ok(peer) => (Finding::ok(peer.to_string()), ()),
            Err(error) => (failed(error), ()),
        }
    })
    .await?;
    match options.base_url.scheme() {
        Scheme::Http => {
            exam.note(Step::Tls, cleartext(options, &opened));
            Some(())
        }
        Scheme::Https => {
            exam.take(Step::Tls, async {
                match client.probe().await {
                    Ok(report) => (certificate(&report, client.tls_warnings()), ()),
                    Err(error) => (failed(error), ()),
                }
            })
            .await
        }
    }
}

fn name(options: &UpstreamOptions) -> String {
    let port = options.base_url.port();
    match options.base_url.host() {
        Host::Name(name) => format!("{name}, port {port}"),
        Host::Address(address) => format!("{address}, an address, port {port}"),
    }
}

fn joined(addresses: &[impl ToString]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// `public`, or `127.0.0.0/8, loopback; opened by allowPrivateNetwork`.
fn opening(opened: &[Opened]) -> String {
    let mut told: Vec<String> = Vec::new();
    for one in opened {
        let text = match one.class.tier {
            Tier::Public => "public".to_owned(),
            Tier::Private | Tier::Loopback | Tier::LinkLocal | Tier::Metadata | Tier::Special | Tier::Never => {
                format!("{}; opened by {}", one.class, key(one.by))
            }
        };
        if !told.contains(&text) {
            told.push(text);
        }
    }
    told.join("; ")
}

/// The configuration key that opened an address.
fn key(by: Opening) -> &'static str {
    match by {
        Opening::Public => "nothing: it is public",
        Opening::AllowPrivateNetwork => "allowPrivateNetwork",
        Opening::AllowHosts => "allowHosts",
        Opening::AllowCidrs => "allowCidrs",
        Opening::FakeIp => "fakeIpRanges",
    }
}

/// Without TLS a credential can be read on its way, unless it never leaves this machine.
fn cleartext(options: &UpstreamOptions, opened: &[Opened]) -> Finding {
    let stays_here = opened.iter().all(|one| one.class.tier == Tier::Loopback);
    match &options.authentication {
        Authentication::None => Finding::skipped("baseUrl is http://"),
        Authentication::Bearer(_)
        | Authentication::Basic(_)
        | Authentication::Header { .. }
        | Authentication::OAuth2(_) => {
            if stays_here {
                return Finding::skipped("baseUrl is http://, and the credential stays on this machine");
            }
            Finding::warn("baseUrl is http://: the credential can be read on its way")
                .advise("put TLS in front of the server, and write https:// in baseUrl")
        }
    }
}

fn certificate(report: &ConnectionReport, warnings: &[String]) -> Finding {
    let Some(tls) = &report.tls else {
        return Finding::ok("the handshake went well");
    };
    let version = tls.version.replacen("TLSv1_", "TLS 1.", 1);
    let (issuer, until, days) = (one_line(&tls.issuer), one_line(&tls.not_after), tls.days_left);
    let detail = format!("{version}; certificate from {issuer}; valid until {until} ({days} days left)");
    if let Some(warning) = warnings.first() {
        return Finding::warn(detail).advise(warning.clone());
    }
    if days < EXPIRES_SOON {
        return Finding::warn(detail).advise("the server's certificate ends soon: renew it");
    }
    Finding::ok(detail)
}

/// Text out of a certificate: in one line, whatever stands in it.
fn one_line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(100).collect()
}
