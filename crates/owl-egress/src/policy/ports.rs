//! Which ports are refused.
//!
//! Two lists: what browsers refuse, which nothing opens, and the ports of services that trust whoever reaches them, which
//! the operator may open one by one. Every other port is fine.

/// The bad ports of the WHATWG Fetch standard, section 2.9 (<https://fetch.spec.whatwg.org/#port-blocking>).
#[rustfmt::skip]
const BAD: [u16; 83] = [
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109,
    110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530,
    531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190,
    5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
];

/// Databases, queues, caches and control planes: one line of HTTP to some of them is a command.
#[rustfmt::skip]
const SERVICES: [u16; 27] = [
    873, 1433, 1521, 2181, 2375, 2376, 2379, 2380, 3306, 3389, 4369, 5432, 5672, 5900, 5984, 5985, 5986, 6379, 8500,
    9042, 9092, 9200, 9300, 10250, 10255, 11211, 27017,
];

/// What a port is by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Port {
    /// Nothing is known against it.
    Fine,
    /// Refused unless the operator names it.
    Service,
    /// Always refused.
    Bad,
}

pub(super) fn classify(port: u16) -> Port {
    if BAD.binary_search(&port).is_ok() {
        Port::Bad
    } else if SERVICES.binary_search(&port).is_ok() {
        Port::Service
    } else {
        Port::Fine
    }
}
