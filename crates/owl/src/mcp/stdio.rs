//! MCP on standard input and output: one client, the program that started Owl.

use std::sync::Arc;

use rmcp::service::{ServerInitializeError, serve_server_with_ct};
use rmcp::transport::stdio_pipes;
use tokio_util::sync::CancellationToken;

use super::handler::Handler;
use crate::gateway::Gateway;

/// Serves until the client closes standard input, or `stop` is ready. Nothing but the protocol goes to standard output.
///
/// # Errors
/// Why there was no conversation: what came first was not the protocol.
pub async fn serve(gateway: Arc<Gateway>, stop: impl Future<Output = ()>) -> Result<(), String> {
    let stopped = CancellationToken::new();
    let serving = async {
        let handler = Handler::for_parent(gateway);
        match serve_server_with_ct(handler, stdio_pipes(), stopped.clone()).await {
            Ok(running) => running.waiting().await.map(drop).map_err(|error| error.to_string()),
            Err(ServerInitializeError::ConnectionClosed(_) | ServerInitializeError::Cancelled) => Ok(()),
            Err(error) => Err(format!("the client does not begin with what MCP begins with: {}", kind(&error))),
        }
    };
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        ended = &mut serving => ended,
        () = stop => {
            stopped.cancel();
            serving.await
        }
    }
}

/// The SDK's own texts show the client's whole message.
fn kind(error: &ServerInitializeError) -> &'static str {
    match error {
        ServerInitializeError::ExpectedInitializeRequest(_) => "it sent something else than `initialize` first",
        ServerInitializeError::InitializeFailed(_) => "`initialize` failed",
        ServerInitializeError::TransportError { .. } => "its standard input cannot be written to",
        _ => "the handshake failed",
    }
}
