//! Questions about pictures, answered by a model of a provider.

use futures_util::future::BoxFuture;

use super::Gateway;
use crate::context::RequestContext;
use crate::tools::{Question, Sight, ToolError, ToolFault, Vision};

impl Vision for Gateway {
    fn ask<'a>(&'a self, _ctx: &'a RequestContext, _question: Question) -> BoxFuture<'a, Result<Sight, ToolError>> {
        Box::pin(async { Err(ToolError::new(ToolFault::Owl, "internal", "to be built")) })
    }
}
