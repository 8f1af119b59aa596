//! The doors of a running gateway: MCP behind the HTTP door's listener. Neither knows the other; they meet here.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};

use crate::gateway::Gateway;
use crate::mcp::http::HttpDoor;
use crate::server::Server;
use crate::server::annex::{Annex, AnnexBody};

/// The HTTP door, with `/mcp` behind it.
#[derive(Debug)]
pub struct Doors {
    server: Server,
    mcp: Arc<Mcp>,
}

#[derive(Debug)]
struct Mcp(HttpDoor);

impl Annex for Mcp {
    fn answer(&self, request: Request<Bytes>) -> BoxFuture<'_, Response<AnnexBody>> {
        Box::pin(self.0.answer(request))
    }
}

impl Doors {
    /// Puts the MCP door behind a bound server.
    pub fn new(server: Server, gateway: &Arc<Gateway>) -> Self {
        let mcp = Arc::new(Mcp(HttpDoor::new(Arc::clone(gateway))));
        Self { server: server.with_mcp(Arc::clone(&mcp) as Arc<dyn Annex>), mcp }
    }

    /// Serves until `stop` is ready; then lets the open requests and calls finish for at most `gateway.drainTimeout`, and ends
    /// every session.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let stop = async {
            stop.await;
            self.mcp.0.begin_closing();
        };
        self.server.run(stop).await;
        self.mcp.0.close().await;
    }
}
