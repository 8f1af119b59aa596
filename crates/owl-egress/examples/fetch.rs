//! Fetches a URL that nobody vouches for, and says why when it may not be fetched.
//!
//! ```text
//! cargo run -p owl-egress --example fetch -- https://example.com/
//! cargo run -p owl-egress --example fetch -- http://169.254.169.254/latest/meta-data/
//! cargo run -p owl-egress --example fetch -- http://192.168.7.20:8080/ 192.168.7.20/32
//! ```
//!
//! The second argument, if there is one, is a range that the policy opens.

#![expect(clippy::print_stdout, reason = "an example speaks to people")]

use std::error::Error;
use std::process::ExitCode;

use owl_egress::{Caller, WebClient, WebOptions, WebRequest};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or("give a URL")?;
    let mut options = WebOptions::new("example");
    for range in arguments {
        options.rules.allow_cidrs.push(range.parse()?);
    }
    let client = WebClient::new(options)?;
    match client.fetch(WebRequest::get(url, Caller::default())).await {
        Ok(response) => {
            println!("{} from {}, {} bytes", response.status, response.url, response.body.len());
            Ok(ExitCode::SUCCESS)
        }
        // For whoever asked, a model perhaps: no resolved address. The operator's side is in the log.
        Err(error) => {
            println!("{}: {error}", error.code());
            Ok(ExitCode::FAILURE)
        }
    }
}
