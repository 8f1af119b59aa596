//! What Owl does on the wire, seen from both of its sides: a client's and an inference server's.
//!
//! One binary for all areas, because each costs a link of the whole stack. `support` starts Owl, in this process or as
//! the program that people run; the fakes are `owl-testkit`'s. Nothing here sleeps: a test waits for the event it is
//! about, and fails at a deadline when that does not come.

#[cfg(test)]
mod support;

#[cfg(test)]
mod command;

#[cfg(test)]
mod bytes;
#[cfg(test)]
mod headers;

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a client of Owl's")]
mod cancel;

#[cfg(test)]
mod errors;
#[cfg(test)]
mod pool;

#[cfg(test)]
mod credentials;
#[cfg(test)]
mod secrecy;

#[cfg(test)]
mod listing;
#[cfg(test)]
mod private_rule;

#[cfg(test)]
mod media;

#[cfg(test)]
mod mcp;
#[cfg(test)]
mod scripted;
#[cfg(test)]
mod tools_http;

#[cfg(test)]
mod limits;
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a client of Owl's")]
mod listener;
#[cfg(test)]
mod stopping;

#[cfg(test)]
mod agent;
#[cfg(test)]
mod approval;
#[cfg(test)]
mod architecture;
#[cfg(test)]
mod audit;
#[cfg(test)]
mod chat;
#[cfg(test)]
mod check;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod egress_check;
#[cfg(test)]
mod egress_invariants;
#[cfg(test)]
mod image;
#[cfg(test)]
mod init;
#[cfg(test)]
mod messages;
#[cfg(test)]
mod models;
#[cfg(test)]
mod pages;
#[cfg(test)]
mod responses;
#[cfg(test)]
mod tools_cli;
#[cfg(test)]
mod way_out;
#[cfg(test)]
mod web_fetch;
#[cfg(test)]
mod web_search;
