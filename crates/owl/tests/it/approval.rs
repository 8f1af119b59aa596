//! `allowPrivateNetwork: "ask"`: a person is asked before a tool goes to a private address, and opens that host and nothing else.

use std::sync::Mutex;

use futures_util::future::BoxFuture;
use owl::config::{Config, Environment, Overrides};
use owl::context::RequestContext;
use owl::gateway::{Gateway, ToolRequest};
use owl::tools::{Approval, Asker, Silent, ToolError, ToolResult};
use owl_egress::Network;
use owl_egress::policy::HostPattern;
use owl_testkit::WebServer;
use owl_testkit::web::Answer;
use serde_json::{Value, json};

use crate::support::{run, write};

/// A person who opens what ends in one of these, and remembers what was asked.
struct Person {
    opens: Vec<String>,
    asked: Mutex<Vec<String>>,
}

impl Approval for Person {
    fn ask<'a>(&'a self, tool: &'a str, destination: &'a HostPattern) -> BoxFuture<'a, bool> {
        let asked = format!("{tool} {destination}");
        let says = self.opens.iter().any(|end| asked.ends_with(end));
        self.asked.lock().unwrap().push(asked);
        Box::pin(async move { says })
    }
}

fn gateway(fetch: &str) -> Gateway {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("{{ tools: {{ web: {{ fetch: {{ {fetch} }} }}, image: {{ allowPrivateNetwork: \"ask\" }} }} }}");
    let file = write(folder.path(), "owl.json5", &text);
    let overrides = Overrides { config: Some(file), ..Overrides::default() };
    let config =
        Config::load_for_tools(&overrides, &Environment::these([])).unwrap_or_else(|problems| panic!("{problems:?}"));
    Gateway::new(Vec::new(), &Network::default()).unwrap().with_tools(config.tools, &Network::default()).unwrap()
}

async fn call(
    gateway: &Gateway,
    name: &str,
    arguments: Value,
    approval: Option<&dyn Approval>,
) -> Result<ToolResult, ToolError> {
    let arguments = arguments.as_object().unwrap();
    let (asker, progress) = (Asker::Model, &Silent);
    let asked = ToolRequest { name, arguments, asker, sees: true, progress, approval };
    gateway.call_tool(&RequestContext::local(), asked).await
}

fn person(opens: &[&str]) -> Person {
    Person { opens: opens.iter().map(|end| (*end).to_owned()).collect(), asked: Mutex::default() }
}

#[test]
fn a_person_opens_one_host() {
    run(async {
        let web = WebServer::start();
        let other = WebServer::start();
        let page = || Answer::ok("<title>P</title><p>Within the house.</p>").header("Content-Type", "text/html");
        web.on("/p", page());
        web.on("/away", Answer::redirect(302, format!("{}/p", other.origin())));
        other.on("/p", page());
        let gateway = gateway("allowPrivateNetwork: \"ask\"");
        let url = format!("{}/p", web.origin());
        let (yes, no) = (person(&[""]), person(&[]));
        let read = call(&gateway, "web_fetch", json!({ "url": url }), Some(&yes)).await.expect("opened");
        assert!(read.details.to_string().contains("Within the house"));
        assert_eq!(*yes.asked.lock().unwrap(), [format!("web_fetch {}", web.address())]);
        // Once is once: it was kept for nobody, and the next call asks again.
        let refused = call(&gateway, "web_fetch", json!({ "url": url }), Some(&no)).await.expect_err("refused");
        assert_eq!((refused.code, no.asked.lock().unwrap().len()), ("url_refused", 1));
        // What that host redirects to is another host: it is asked about, too.
        let (from, to) = (web.address().to_string(), other.address().to_string());
        let away = json!({ "url": format!("{}/away", web.origin()) });
        let half = person(&[&from]);
        let refused = call(&gateway, "web_fetch", away.clone(), Some(&half)).await.expect_err("refused");
        assert_eq!((refused.code, half.asked.lock().unwrap().len()), ("url_refused", 2));
        assert!(other.requests().is_empty());
        let both = person(&[&from, &to]);
        call(&gateway, "web_fetch", away, Some(&both)).await.expect("opened");
        assert_eq!(*both.asked.lock().unwrap(), [format!("web_fetch {from}"), format!("web_fetch {to}")]);
        // Whoever has nobody to ask is told that somebody could be.
        let refused = call(&gateway, "web_fetch", json!({ "url": url }), None).await.expect_err("refused");
        assert!(refused.hint.as_deref().is_some_and(|hint| hint.contains("owl chat")), "{refused:?}");
        assert_eq!(web.requests().len(), 4);
        // The other tool asks as well.
        let picture = json!({ "image": format!("{}/none.png", web.origin()) });
        let failed = call(&gateway, "image", picture, Some(&yes)).await.expect_err("there is none");
        assert_eq!(failed.code, "image_unavailable");
    });
}

#[test]
fn some_doors_no_person_opens() {
    run(async {
        let yes = person(&[""]);
        let asking = gateway("allowPrivateNetwork: \"ask\", blockHosts: [\"10.9.9.9\"]");
        for url in [
            "http://169.254.169.254/",
            "http://[fe80::1]/",
            "http://10.9.9.9/",
            "http://127.0.0.1:6379/",
            "http://0.0.0.0/",
        ] {
            let refused = call(&asking, "web_fetch", json!({ "url": url }), Some(&yes)).await.expect_err(url);
            assert_eq!(refused.code, "url_refused", "{url}");
        }
        assert!(yes.asked.lock().unwrap().is_empty(), "{:?}", yes.asked.lock().unwrap());
        // Who wants nothing private is not asked for it.
        let partly = gateway("allowPrivateNetwork: \"ask\", allowHosts: [\"10.8.8.8\"]");
        let narrow = json!({ "url": "http://10.0.0.1/", "allowPrivateNetwork": false });
        let refused = call(&partly, "web_fetch", narrow, Some(&yes)).await.expect_err("narrowed");
        assert_eq!((refused.code, yes.asked.lock().unwrap().len()), ("url_refused", 0));
        // Where the operator has not left it to a person, nobody is asked.
        let closed = gateway("allowPrivateNetwork: false");
        let refused =
            call(&closed, "web_fetch", json!({ "url": "http://10.0.0.1/" }), Some(&yes)).await.expect_err("closed");
        assert_eq!((refused.code, yes.asked.lock().unwrap().len()), ("url_refused", 0));
    });
}
