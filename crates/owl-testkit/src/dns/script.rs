//! What a name answers, as a test or a row of cases writes it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::svcb::{IpHint, SvcParamKey, SvcParamValue};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, HTTPS, SVCB};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use serde_json::Value;

/// One lookup's answer: what its A and its AAAA query get.
#[derive(Clone, Debug, Default)]
pub struct DnsAnswer {
    /// IPv4 addresses.
    pub a: Vec<Ipv4Addr>,
    /// IPv6 addresses.
    pub aaaa: Vec<Ipv6Addr>,
    /// Seconds that a cache may keep it.
    pub ttl: u32,
    /// Aliases in their order: the name is the first, which is the second, …; the addresses are the last one's.
    pub cname: Vec<String>,
    /// How it ends.
    pub outcome: DnsOutcome,
    /// How the A query ends, where it differs.
    pub outcome_a: Option<DnsOutcome>,
    /// How the AAAA query ends, where it differs.
    pub outcome_aaaa: Option<DnsOutcome>,
    /// Records beside the answer, in the additional section.
    pub additional: Vec<(String, IpAddr)>,
    /// An HTTPS record (RFC 9460): its target and its address hints. Given to who asks, and beside every other answer.
    pub https: Option<(String, Vec<Ipv4Addr>)>,
}

/// How a query ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DnsOutcome {
    /// With what there is.
    #[default]
    NoError,
    /// There is no such name.
    NxDomain,
    /// The server failed.
    ServFail,
    /// The server does not want to.
    Refused,
    /// The server does not understand.
    FormErr,
    /// The server cannot do that.
    NotImp,
    /// With no reply at all.
    Silence,
}

impl DnsAnswer {
    /// These addresses, in the families that they have.
    #[must_use]
    pub fn addresses(addresses: &[IpAddr]) -> Self {
        let mut answer = Self::default();
        for address in addresses {
            match address {
                IpAddr::V4(ip) => answer.a.push(*ip),
                IpAddr::V6(ip) => answer.aaaa.push(*ip),
            }
        }
        answer
    }

    /// No addresses, but this.
    #[must_use]
    pub fn ends(outcome: DnsOutcome) -> Self {
        Self { outcome, ..Self::default() }
    }

    /// An answer as a row of cases writes it: `{"A": [], "AAAA": [], "ttl", "cname": [], "rcode", "rcode_A", "rcode_AAAA",
    /// "additional": {NAME: []}, "https_rr": {"target", "ipv4hint": []}}`.
    ///
    /// # Panics
    /// If it holds another key or a wrong value: a row that is not understood must not pass.
    #[must_use]
    pub fn from_row(row: &Value) -> Self {
        let mut answer = Self::default();
        for (key, value) in row.as_object().expect("an answer is an object") {
            match key.as_str() {
                "A" => answer.a = parsed(value),
                "AAAA" => answer.aaaa = parsed(value),
                "ttl" => answer.ttl = value.as_u64().and_then(|ttl| ttl.try_into().ok()).expect("seconds"),
                "cname" => answer.cname = parsed(value),
                "rcode" => answer.outcome = DnsOutcome::from_row(value),
                "rcode_A" => answer.outcome_a = Some(DnsOutcome::from_row(value)),
                "rcode_AAAA" => answer.outcome_aaaa = Some(DnsOutcome::from_row(value)),
                "additional" => answer.additional = named_addresses(value),
                "https_rr" => {
                    let target = value["target"].as_str().expect("a target").to_owned();
                    answer.https = Some((target, parsed(&value["ipv4hint"])));
                }
                _ => panic!("an answer has no key {key}"),
            }
        }
        answer
    }

    /// How a query of this type ends.
    pub(super) fn outcome_of(&self, kind: RecordType) -> DnsOutcome {
        let differs = match kind {
            RecordType::A => self.outcome_a,
            RecordType::AAAA => self.outcome_aaaa,
            _ => None,
        };
        differs.unwrap_or(self.outcome)
    }

    /// Puts the records into `message`.
    pub(super) fn fill(&self, message: &mut Message, asked: &Name, kind: RecordType) {
        let mut owner = asked.clone();
        for alias in &self.cname {
            let alias = name(alias);
            let record = Record::from_rdata(owner, self.ttl, RData::CNAME(CNAME(alias.clone())));
            message.add_answer(record);
            owner = alias;
        }
        let of_owner = |data| Record::from_rdata(owner.clone(), self.ttl, data);
        match kind {
            RecordType::A => message.add_answers(self.a.iter().map(|ip| of_owner(RData::A(A(*ip))))),
            RecordType::AAAA => message.add_answers(self.aaaa.iter().map(|ip| of_owner(RData::AAAA(AAAA(*ip))))),
            RecordType::HTTPS => message.add_answers(self.https_data().map(of_owner)),
            _ => message,
        };
        if kind != RecordType::HTTPS {
            message.add_additionals(self.https_data().map(of_owner));
        }
        let beside = |(owner, address): &(String, IpAddr)| Record::from_rdata(name(owner), self.ttl, data(*address));
        message.add_additionals(self.additional.iter().map(beside));
    }

    fn https_data(&self) -> Option<RData> {
        let (target, hints) = self.https.as_ref()?;
        let hints = SvcParamValue::Ipv4Hint(IpHint(hints.iter().copied().map(A).collect()));
        Some(RData::HTTPS(HTTPS(SVCB::new(1, name(target), vec![(SvcParamKey::Ipv4Hint, hints)]))))
    }
}

impl DnsOutcome {
    fn from_row(value: &Value) -> Self {
        match value.as_str() {
            Some("NOERROR") => Self::NoError,
            Some("NXDOMAIN") => Self::NxDomain,
            Some("SERVFAIL") => Self::ServFail,
            Some("REFUSED") => Self::Refused,
            Some("FORMERR") => Self::FormErr,
            Some("NOTIMP") => Self::NotImp,
            Some("TIMEOUT") => Self::Silence,
            _ => panic!("no query ends with {value}"),
        }
    }

    /// `None`: no reply.
    pub(super) fn code(self) -> Option<ResponseCode> {
        match self {
            Self::NoError => Some(ResponseCode::NoError),
            Self::NxDomain => Some(ResponseCode::NXDomain),
            Self::ServFail => Some(ResponseCode::ServFail),
            Self::Refused => Some(ResponseCode::Refused),
            Self::FormErr => Some(ResponseCode::FormErr),
            Self::NotImp => Some(ResponseCode::NotImp),
            Self::Silence => None,
        }
    }
}

/// A list of texts, each parsed.
pub(super) fn parsed<T: std::str::FromStr<Err: std::fmt::Debug>>(list: &Value) -> Vec<T> {
    let texts = list.as_array().expect("a list").iter().map(|text| text.as_str().expect("a text"));
    texts.map(|text| text.parse().expect("a value of its kind")).collect()
}

fn named_addresses(map: &Value) -> Vec<(String, IpAddr)> {
    let entries = map.as_object().expect("names with addresses").iter();
    entries.flat_map(|(name, list)| parsed(list).into_iter().map(|address| (name.clone(), address))).collect()
}

fn data(address: IpAddr) -> RData {
    match address {
        IpAddr::V4(ip) => RData::A(A(ip)),
        IpAddr::V6(ip) => RData::AAAA(AAAA(ip)),
    }
}

fn name(text: &str) -> Name {
    Name::from_labels(text.trim_end_matches('.').split('.').map(str::as_bytes)).expect("a name")
}
