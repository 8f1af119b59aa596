//! A tiny raw HTTP/1.1 client over plain TCP. It writes what it is given and shows the very bytes that come back.

use std::io;
use std::net::SocketAddr;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One connection. Dropping it closes the connection.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    unread: BytesMut,
}

/// A response, taken off the wire.
#[derive(Clone, Debug)]
pub struct RawResponse {
    /// 200, 404, …
    pub status: u16,
    /// The names in lower case, in order.
    pub headers: Vec<(String, String)>,
    /// The body's bytes, transfer coding removed. Empty after [`Client::head`].
    pub body: Bytes,
}

impl RawResponse {
    /// The first header of a name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as text, with replacements where it is not UTF-8.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body read as JSON; `Null` if it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// If nobody listens.
    #[expect(clippy::disallowed_methods, reason = "the tests' own side of a conversation, not the product's")]
    pub async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, unread: BytesMut::new() })
    }

    /// Writes bytes.
    ///
    /// # Errors
    /// If the connection is gone.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref()).await
    }

    /// Writes a request: method, path, headers (one `Name: value` each), body. `Host` and `Content-Length` are added.
    ///
    /// # Errors
    /// If the connection is gone.
    pub async fn request(&mut self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> io::Result<()> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.stream.peer_addr()?);
        for header in headers {
            head += header;
            head += "\r\n";
        }
        if !body.is_empty() {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        head += "\r\n";
        self.send([head.as_bytes(), body].concat()).await
    }

    /// POSTs JSON and reads the whole answer.
    ///
    /// # Errors
    /// If the connection breaks before the answer's end.
    pub async fn post(&mut self, path: &str, headers: &[&str], body: &str) -> io::Result<RawResponse> {
        let headers = [&["Content-Type: application/json"], headers].concat();
        self.request("POST", path, &headers, body.as_bytes()).await?;
        self.response().await
    }

    /// GETs a path and reads the whole answer.
    ///
    /// # Errors
    /// If the connection breaks before the answer's end.
    pub async fn get(&mut self, path: &str, headers: &[&str]) -> io::Result<RawResponse> {
        self.request("GET", path, headers, &[]).await?;
        self.response().await
    }

    /// Reads a response whole.
    ///
    /// # Errors
    /// If the connection breaks before its end.
    pub async fn response(&mut self) -> io::Result<RawResponse> {
        let mut response = self.head().await?;
        let mut body = BytesMut::new();
        if response.header("transfer-encoding") == Some("chunked") {
            while let Some(chunk) = self.chunk().await? {
                body.extend_from_slice(&chunk);
            }
        } else if let Some(length) = response.header("content-length").and_then(|text| text.parse().ok()) {
            body = self.exactly(length).await?;
        } else if !matches!(response.status, 204 | 304) {
            while self.fill().await? {}
            body = self.unread.split();
        }
        response.body = body.freeze();
        Ok(response)
    }

    /// Reads a response's head and leaves the body unread.
    ///
    /// # Errors
    /// If the connection breaks, or what comes is not HTTP.
    pub async fn head(&mut self) -> io::Result<RawResponse> {
        let head = self.until(b"\r\n\r\n").await?;
        let text = String::from_utf8_lossy(&head);
        let mut lines = text.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Ok(RawResponse { status: status.ok_or_else(|| broken("not an HTTP response"))?, headers, body: Bytes::new() })
    }

    /// Reads one chunk of a chunked body; `None` at its end.
    ///
    /// # Errors
    /// If the connection breaks, or what comes is not a chunk.
    pub async fn chunk(&mut self) -> io::Result<Option<Bytes>> {
        let line = self.until(b"\r\n").await?;
        let digits = String::from_utf8_lossy(&line[..line.len() - 2]).into_owned();
        let length = usize::from_str_radix(&digits, 16).map_err(|_| broken("not a chunk"))?;
        let mut chunk = self.exactly(length + 2).await?;
        chunk.truncate(length);
        Ok((length > 0).then(|| chunk.freeze()))
    }

    /// Reads up to and including `end`.
    ///
    /// # Errors
    /// If the connection breaks before.
    pub async fn until(&mut self, end: &[u8]) -> io::Result<Bytes> {
        loop {
            if let Some(at) = self.unread.windows(end.len()).position(|window| window == end) {
                return Ok(self.unread.split_to(at + end.len()).freeze());
            }
            self.more().await?;
        }
    }

    /// Reads what is left, until the other side closes. A reset is an error.
    ///
    /// # Errors
    /// If the connection is reset.
    pub async fn rest(&mut self) -> io::Result<Bytes> {
        while self.fill().await? {}
        Ok(self.unread.copy_to_bytes(self.unread.len()))
    }

    /// Says that nothing more will be sent; reading goes on.
    ///
    /// # Errors
    /// If the connection is gone.
    pub async fn half_close(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    /// Ends the connection with a reset instead of an orderly close.
    ///
    /// # Errors
    /// If the socket refuses the option.
    pub fn reset(self) -> io::Result<()> {
        socket2::SockRef::from(&self.stream).set_linger(Some(std::time::Duration::ZERO))
    }

    async fn exactly(&mut self, length: usize) -> io::Result<BytesMut> {
        while self.unread.len() < length {
            self.more().await?;
        }
        Ok(self.unread.split_to(length))
    }

    async fn more(&mut self) -> io::Result<()> {
        if self.fill().await? { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    async fn fill(&mut self) -> io::Result<bool> {
        Ok(self.stream.read_buf(&mut self.unread).await? > 0)
    }
}

fn broken(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
