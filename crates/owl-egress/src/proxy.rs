//! The operator's egress proxy: HTTP CONNECT (RFC 9110, section 9.3.6) to the address that was judged.
//!
//! It is asked for addresses, never for names, so that it cannot resolve one to anything else. It is no way around the
//! policy: what is refused is refused before the proxy hears of it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Semaphore;

use crate::credential::{Secret, basic_header};
use crate::dial::DialError;
use crate::resolve::Resolver;
use crate::stream::Socket;
use crate::target::TargetUrl;

/// The most that a proxy may say before the tunnel begins, in bytes.
const ANSWER_LIMIT: usize = 8 * 1024;

/// The proxy, as the operator wrote it.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// Where it listens: an `http://` URL without a path. That the operator wrote it opens its own address.
    pub url: TargetUrl,
    /// User name and password, sent as `Proxy-Authorization: Basic …`.
    pub credentials: Option<(String, Secret)>,
    /// Addresses that are reached without it.
    pub except: Vec<IpNet>,
}

impl Proxy {
    /// Whether connections to `address` go through it.
    pub(crate) fn is_for(&self, address: IpAddr) -> bool {
        !self.except.iter().any(|net| net.contains(&address))
    }

    /// Where it is now. The lookup takes one of the `places` of the client that dials: a proxy whose DNS is dead must not
    /// take all threads.
    pub(crate) async fn addresses(
        &self,
        resolver: &Resolver,
        places: &Arc<Semaphore>,
    ) -> Result<Vec<IpAddr>, DialError> {
        let found = resolver.lookup_as_typed(&self.url, places).await;
        found.map_err(|error| DialError::Proxy(format!("cannot be resolved: {error}")))
    }

    /// Asks for a tunnel to `address` over `socket`.
    pub(crate) async fn ask(&self, mut socket: Socket, address: SocketAddr) -> Result<Socket, DialError> {
        let mut question = format!("CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n").into_bytes();
        if let Some((name, password)) = &self.credentials {
            let header = basic_header(name, password).map_err(|error| DialError::Proxy(error.to_string()))?;
            question.extend_from_slice(b"Proxy-Authorization: ");
            question.extend_from_slice(header.as_bytes());
            question.extend_from_slice(b"\r\n");
        }
        question.extend_from_slice(b"\r\n");
        let broke = |error: io::Error| DialError::Proxy(format!("broke the connection off: {error}"));
        socket.write_all(&question).await.map_err(broke)?;
        socket.flush().await.map_err(broke)?;
        let answer = read_head(&mut socket).await.map_err(broke)?;
        match status(&answer) {
            Some(200..=299) => Ok(socket),
            Some(status) => Err(DialError::Proxy(format!("answered {status}"))),
            None => Err(DialError::Proxy("does not speak HTTP".to_owned())),
        }
    }
}

/// Reads to the empty line and not one byte further: what follows is the tunnel's.
async fn read_head(socket: &mut Socket) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(128);
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == ANSWER_LIMIT {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "its answer has no end"));
        }
        head.push(socket.read_u8().await?);
    }
    Ok(head)
}

/// `HTTP/1.x NNN …`
fn status(head: &[u8]) -> Option<u16> {
    let line = head.split(|byte| *byte == b'\r').next()?;
    let mut words = std::str::from_utf8(line).ok()?.splitn(3, ' ');
    words.next().filter(|version| version.starts_with("HTTP/1."))?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn its_lookup_takes_a_place_of_the_client_s() {
        let (url, _) = TargetUrl::parse_operator("http://proxy.corp.example:3128").unwrap();
        let proxy = Proxy { url, credentials: None, except: Vec::new() };
        // Nobody is asked without a place, and there is none any more.
        let places = Arc::new(Semaphore::new(1));
        places.close();
        assert!(proxy.addresses(&Resolver::default(), &places).await.is_err());
    }

    #[test]
    fn the_status_of_an_answer() {
        let check = |head: &str, expect: Option<u16>| assert_eq!(status(head.as_bytes()), expect, "{head:?}");
        check("HTTP/1.1 200 Connection established\r\n\r\n", Some(200));
        check("HTTP/1.0 407\r\n\r\n", Some(407));
        check("SSH-2.0-OpenSSH_9.6\r\n", None);
        check("HTTP/2 200\r\n", None);
        check("", None);
    }
}
