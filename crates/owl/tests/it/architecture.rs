//! The shape of the code, held by tests: one way out, and which part may know which.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// HTTP clients, TLS stacks besides rustls, and decompressors besides those of [`DECOMPRESSORS`]. No crate of the workspace may bring one in, at any depth.
const NOWHERE: &[&str] = &[
    "ssrf-guard",
    "reqwest",
    "ureq",
    "isahc",
    "curl",
    "attohttpc",
    "minreq",
    "surf",
    "awc",
    "hyper-rustls",
    "hyper-tls",
    "native-tls",
    "openssl",
    "openssl-sys",
    "hyper-proxy",
    "trust-dns-resolver",
    "hickory-resolver",
    "brotli",
    "zstd",
    "zstd-safe",
    "async-compression",
    "libz-sys",
];

/// What decompresses, and the only packages that may depend on it. Bodies are for the bounded decoder,
/// `owl_egress::web::decode`; what stands in a body is for `owl-extract`: a PDF's streams up to its limits, and pixels by the
/// decoders of pictures, into a buffer whose size the header gave and that was judged.
const DECOMPRESSORS: &[(&str, &[&str])] = &[
    ("flate2", &["owl-egress", "owl-extract", "png", "tiff"]),
    ("miniz_oxide", &["flate2", "png"]),
    // Listed, because png has a feature for it; deny.toml sees to it that nobody turns it on.
    ("zlib-rs", &["flate2"]),
    ("fdeflate", &["png"]),
    ("weezl", &["gif", "owl-extract", "tiff"]),
    ("png", &["image"]),
    ("tiff", &["image"]),
    ("gif", &["image"]),
    ("image", &["owl-extract"]),
    ("brotli-decompressor", &["owl-egress"]),
    ("ruzstd", &["owl-egress"]),
];

/// What only `owl-egress` may depend on: what it takes to open a connection outwards.
const ONLY_EGRESS: &[&str] = &["webpki-roots", "rustls-native-certs", "hickory-proto"];

/// Each crate's sentence: what it must not depend on, at any depth.
const MUST_NOT: &[(&str, &[&str])] = &[
    ("owl-wire", &["tokio", "hyper", "axum", "socket2", "rustls", "owl-egress"]),
    ("owl-egress", &["axum", "clap", "owl-wire", "owl-gateway"]),
    ("owl-extract", &["tokio", "hyper", "axum", "socket2", "rustls", "owl-wire", "owl-egress", "owl-gateway"]),
    ("owl-testkit", &["owl-gateway", "owl-egress"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The packages that `package` depends on in the finished program, at any depth; dev-dependencies of others left out.
struct Dependencies {
    names: BTreeMap<String, String>,
    edges: BTreeMap<String, Vec<String>>,
    /// What the gateway's own manifest asks of `hyper` and `hyper-util`, without its tests.
    gateway_features: Vec<String>,
}

impl Dependencies {
    fn read() -> Self {
        let rustc = Command::new("rustc").arg("-vV").output().expect("rustc runs");
        let version = String::from_utf8(rustc.stdout).expect("text");
        let host = version.lines().find_map(|line| line.strip_prefix("host: ")).expect("the host's name");
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", host])
            .current_dir(root())
            .output()
            .expect("cargo runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let packages = metadata["packages"].as_array().expect("packages");
        let names = packages.iter().map(|package| (text(&package["id"]), text(&package["name"]))).collect();
        let gateway = packages.iter().find(|package| package["name"] == "owl-gateway").expect("the gateway");
        let gateway_features = gateway["dependencies"]
            .as_array()
            .expect("dependencies")
            .iter()
            .filter(|one| one["kind"].is_null() && (one["name"] == "hyper" || one["name"] == "hyper-util"))
            .flat_map(|one| one["features"].as_array().expect("features").iter().map(text))
            .collect();
        let is_normal = |dependency: &&Value| {
            dependency["dep_kinds"].as_array().expect("kinds").iter().any(|kind| kind["kind"].is_null())
        };
        let nodes = metadata["resolve"]["nodes"].as_array().expect("nodes");
        let edges = nodes
            .iter()
            .map(|node| {
                let dependencies = node["deps"].as_array().expect("deps");
                (text(&node["id"]), dependencies.iter().filter(is_normal).map(|one| text(&one["pkg"])).collect())
            })
            .collect();
        Self { names, edges, gateway_features }
    }

    fn id(&self, name: &str) -> &String {
        self.names.iter().find(|(_, known)| *known == name).map(|(id, _)| id).expect("a package of the workspace")
    }

    fn direct(&self, name: &str) -> BTreeSet<&str> {
        self.edges[self.id(name)].iter().map(|id| self.names[id].as_str()).collect()
    }

    fn all(&self, name: &str) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        let mut open = vec![self.id(name)];
        while let Some(id) = open.pop() {
            for next in &self.edges[id] {
                if found.insert(self.names[next].as_str()) {
                    open.push(next);
                }
            }
        }
        found
    }
}

#[test]
fn there_is_one_way_out() {
    let dependencies = Dependencies::read();
    for package in ["owl-gateway", "owl-egress", "owl-extract", "owl-wire"] {
        let all = dependencies.all(package);
        for banned in NOWHERE {
            assert!(
                !all.contains(banned),
                "{package} depends on {banned}: only owl-egress speaks outwards, over hyper"
            );
        }
    }
    for package in ["owl-gateway", "owl-extract", "owl-wire"] {
        let direct = dependencies.direct(package);
        for banned in ONLY_EGRESS {
            assert!(!direct.contains(banned), "{package} depends on {banned}, which belongs to owl-egress");
        }
    }
    let features = &dependencies.gateway_features;
    assert!(features.iter().any(|feature| feature == "server"), "the list of features is not read right");
    let client = features.iter().find(|feature| feature.starts_with("client"));
    assert_eq!(client, None, "owl-gateway asks for hyper's client half, which belongs to owl-egress");
    assert!(dependencies.direct("owl-egress").contains("tokio-rustls"), "the list of packages is not read right");
}

#[test]
fn only_bounded_decoders_decompress() {
    let dependencies = Dependencies::read();
    let in_product: BTreeSet<&str> = dependencies
        .all("owl-gateway")
        .into_iter()
        .chain(dependencies.all("owl-extract"))
        .chain(["owl-extract"])
        .collect();
    for (decompressor, owners) in DECOMPRESSORS {
        let users: BTreeSet<&str> = dependencies
            .edges
            .iter()
            .filter(|(_, next)| next.iter().any(|id| dependencies.names[id] == *decompressor))
            .map(|(id, _)| dependencies.names[id].as_str())
            .filter(|name| in_product.contains(name))
            .collect();
        assert_eq!(users, owners.iter().copied().collect(), "who depends on {decompressor}");
    }
}

#[test]
fn no_crate_depends_on_what_it_must_not() {
    let dependencies = Dependencies::read();
    for (package, banned) in MUST_NOT {
        let all = dependencies.all(package);
        for name in *banned {
            assert!(!all.contains(name), "{package} depends on {name}");
        }
    }
}

/// Which top-level modules of the product crate a module may name. `crate::x` in `folder` needs `x` in its row.
const MAY_USE: &[(&str, &[&str])] = &[
    ("config", &["config"]),
    ("context", &["context"]),
    ("media", &["media", "config", "context"]),
    ("provider", &["provider", "media", "config", "context"]),
    ("tools", &["tools", "config", "context"]),
    ("agent", &["agent", "provider", "tools", "config", "context"]),
    ("conversations", &["conversations", "store", "context"]),
    ("gateway", &["gateway", "agent", "conversations", "provider", "tools", "media", "config", "context"]),
    ("server", &["server", "gateway", "agent", "conversations", "provider", "tools", "media", "config", "context"]),
    ("mcp", &["mcp", "gateway", "tools", "context"]),
    ("store", &["store"]),
    ("audit", &["audit", "store", "config"]),
    (
        "cli",
        &[
            "cli",
            "server",
            "mcp",
            "gateway",
            "agent",
            "conversations",
            "provider",
            "tools",
            "media",
            "audit",
            "store",
            "config",
            "context",
        ],
    ),
];

/// Words that do not belong below a door: how a protocol is spoken is the door's business.
const DOORS_ONLY: &[&str] = &["axum::", "StatusCode::"];

#[test]
fn modules_know_only_what_lies_below_them() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for (module, allowed) in MAY_USE {
        for file in files_of(&source, module) {
            let text = fs::read_to_string(&file).expect("readable");
            assert!(!text.contains("use crate::{"), "{}: one `use crate::…` for each module", file.display());
            for (number, line) in text.lines().enumerate() {
                for named in line.split("crate::").skip(1) {
                    let name: String = named.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
                    let known = MAY_USE.iter().any(|(module, _)| *module == name);
                    assert!(
                        !known || allowed.contains(&name.as_str()),
                        "{}:{}: {module} must not know {name}",
                        file.display(),
                        number + 1
                    );
                }
            }
        }
    }
}

#[test]
fn below_the_doors_nobody_speaks_their_protocol() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    // What a provider answered is told apart by its status; which status a client sees is not decided here.
    let upstreams = ["provider/forward.rs", "provider/models.rs"];
    for module in ["provider", "media", "agent", "conversations", "gateway", "context", "config"] {
        for file in files_of(&source, module) {
            let text = fs::read_to_string(&file).expect("readable");
            let reads_answers = upstreams.iter().any(|name| file.ends_with(name));
            for word in DOORS_ONLY.iter().filter(|word| !(reads_answers && **word == "StatusCode::")) {
                assert!(!text.contains(word), "{} names {word}", file.display());
            }
        }
    }
}

fn files_of(source: &Path, module: &str) -> Vec<PathBuf> {
    let (single, folder) = (source.join(format!("{module}.rs")), source.join(module));
    let mut found: Vec<PathBuf> = Some(single).filter(|single| single.exists()).into_iter().collect();
    let mut open: Vec<PathBuf> = Some(folder).filter(|folder| folder.exists()).into_iter().collect();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found
}
