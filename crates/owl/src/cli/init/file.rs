//! The file that the wizard writes: JSON5 with comments.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use owl_egress::Secret;

use super::answers::{Answers, Given, Login};

/// The provider's id.
pub(super) const PROVIDER: &str = "owl";

/// The whole text.
pub(super) fn render(answers: &Answers) -> String {
    let mut text = String::from(
        "// Owl's configuration, written by `owl config init`. Every key is explained in docs/configuration.md;\n\
         // `owl config check` looks for mistakes, `owl check` tries the server.\n{\n  gateway: {\n",
    );
    let mut line = |depth: usize, content: &str| {
        text.push_str(&"  ".repeat(depth));
        text.push_str(content);
        text.push('\n');
    };
    line(2, "// Where clients reach Owl. An address that other machines can reach needs `keys`.");
    line(2, &format!("listen: {},", quoted(&answers.listen.to_string())));
    if let Some(key) = &answers.gateway_key {
        line(2, "// Clients show a key as `Authorization: Bearer …`. The name is for the log.");
        line(2, &format!("keys: [{{ name: \"default\", key: {} }}],", literal(key)));
    }
    line(1, "},");
    line(1, "models: {");
    line(2, "providers: {");
    line(3, &format!("{PROVIDER}: {{"));
    line(4, "// Where the server's API begins; `/v1` is added where the path names no version.");
    line(4, &format!("baseUrl: {},", quoted(&answers.base_url.to_string())));
    for content in login(answers) {
        line(4, &content);
    }
    for content in tls(answers) {
        line(4, &content);
    }
    if answers.allow_private_network {
        line(
            4,
            "// The server is on this machine or on a private network. This opens private addresses for this server",
        );
        line(4, "// alone; metadata services of clouds stay shut.");
        line(4, "allowPrivateNetwork: true,");
    }
    line(4, "// The models that clients may use; \"*\" is whatever the server lists.");
    let models: Vec<String> = answers.models.iter().map(|model| quoted(model)).collect();
    line(4, &format!("models: [{}],", if models.is_empty() { "\"*\"".to_owned() } else { models.join(", ") }));
    line(3, "},");
    line(2, "},");
    line(1, "},");
    line(0, "}");
    text
}

fn login(answers: &Answers) -> Vec<String> {
    match &answers.login {
        Login::None => vec!["// The server asks for no credential.".to_owned(), "auth: \"none\",".to_owned()],
        Login::Bearer(key) => vec![
            "// Sent as `Authorization: Bearer …`.".to_owned(),
            "auth: \"bearer\",".to_owned(),
            format!("apiKey: {},", given(key)),
        ],
        Login::Basic { username, password } => vec![
            "// Sent as `Authorization: Basic …`.".to_owned(),
            format!("auth: {{ type: \"basic\", username: {}, password: {} }},", quoted(username), given(password)),
        ],
        Login::Header { name, value } => vec![
            "// Sent as a header of its own.".to_owned(),
            format!("auth: {{ type: \"header\", name: {} }},", quoted(name.as_str())),
            format!("apiKey: {},", given(value)),
        ],
        Login::OAuth2 { token_url, client_id, secret, scopes } => {
            let scopes: Vec<String> = scopes.iter().map(|scope| quoted(scope)).collect();
            let mut lines = vec![
                "// A token is fetched with these client credentials, and sent as `Authorization: Bearer …`."
                    .to_owned(),
                "auth: {".to_owned(),
                "  type: \"oauth2\",".to_owned(),
                format!("  tokenUrl: {},", quoted(&format!("{}{}", token_url.origin(), token_url.path_and_query()))),
                format!("  clientId: {},", quoted(client_id)),
                format!("  clientSecret: {},", given(secret)),
            ];
            if !scopes.is_empty() {
                lines.push(format!("  scopes: [{}],", scopes.join(", ")));
            }
            if answers.allow_private_token_url {
                lines.push("  allowPrivateNetwork: true,".to_owned());
            }
            lines.push("},".to_owned());
            lines
        }
    }
}

fn tls(answers: &Answers) -> Vec<String> {
    let keys =
        [("ca", &answers.tls.ca), ("clientCert", &answers.tls.client_cert), ("clientKey", &answers.tls.client_key)];
    let written: Vec<String> =
        keys.iter().filter_map(|(key, file)| file.as_ref().map(|file| format!("{key}: {}", path(file)))).collect();
    if written.is_empty() {
        return Vec::new();
    }
    vec!["// Certificates towards the server.".to_owned(), format!("tls: {{ {} }},", written.join(", "))]
}

fn given(given: &Given) -> String {
    match given {
        Given::Variable(name, _) => format!("\"${{{name}}}\""),
        Given::File(file) => format!("{{ file: {} }}", path(file)),
        Given::Literal(secret) => literal(secret),
    }
}

fn path(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

/// The line that writes a secret into the file is the one that exposes it.
fn literal(secret: &Secret) -> String {
    quoted(secret.expose())
}

/// A JSON5 string that means exactly `text`: a JSON string is one, and `${` must not become a variable.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text.replace("${", "$${")).to_string()
}

/// Writes the file; only its owner may read it when it holds a secret. An existing file is replaced whole, and only
/// with `force`.
pub(super) fn write(path: &Path, text: &str, is_secret: bool, force: bool) -> io::Result<()> {
    let mode = if is_secret { 0o600 } else { 0o644 };
    let create = |path: &Path| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    if !force {
        return create(path);
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".new-{}", std::process::id()));
    let beside = PathBuf::from(beside);
    create(&beside).and_then(|()| fs::rename(&beside, path)).inspect_err(|_| {
        let _ = fs::remove_file(&beside);
    })
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn strings_mean_what_they_say() {
        let check = |text: &str, expect: &str| assert_eq!(quoted(text), expect, "{text}");
        check("plain", "\"plain\"");
        check("a\"b\\c", r#""a\"b\\c""#);
        check("pa${ss}word", "\"pa$${ss}word\"");
        check("$${x}", "\"$$${x}\"");
        check("line\nbreak", "\"line\\nbreak\"");
        check("ü🦉", "\"ü🦉\"");
    }
}
