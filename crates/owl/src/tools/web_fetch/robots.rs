//! robots.txt (RFC 9309): what a site asks of programs that nobody sits in front of.

use std::sync::Arc;
use std::time::Duration;

use owl_egress::{Caller, TargetUrl, WebClient, WebError, WebRequest};
use tokio::time::Instant;

use crate::config::CacheConfig;
use crate::tools::cache::{Cache, Keep};
use crate::tools::{ToolError, ToolFault, web};

/// What is kept of all sites, in bytes.
const KEPT: u64 = 8 << 20;
/// How long a site's rules are kept; RFC 9309, section 2.4, has a day as the most.
const KEPT_FOR: Duration = Duration::from_secs(60 * 60);
/// How much of a file is read, in bytes: what RFC 9309, section 2.5, asks for.
const MOST_BYTES: usize = 500 * 1024;
/// How many rules of a file are obeyed: more than any site has, and little enough to be gone through.
const MOST_RULES: usize = 5_000;

/// The rules of sites.
#[derive(Debug)]
pub(super) struct Robots {
    /// By origin, and whether the policy was narrowed.
    sites: Arc<Cache<(String, bool), Site>>,
    /// By what name sites know this program, in lower case.
    name: Arc<str>,
}

impl Robots {
    /// `user_agent` is what is sent as `User-Agent`: its first word is the name that rules are for.
    pub(super) fn new(user_agent: &str) -> Self {
        let sites = Cache::new(CacheConfig { max_size: KEPT, max_age: KEPT_FOR });
        Self { sites, name: product(user_agent).into() }
    }

    /// Whether the site lets this program fetch `target`.
    ///
    /// # Cancel safety
    /// As [`Cache::get`].
    ///
    /// # Errors
    /// It does not, or its rules cannot be read.
    pub(super) async fn admit(
        &self,
        client: &WebClient,
        narrowed: bool,
        target: &TargetUrl,
        caller: &Caller,
    ) -> Result<(), ToolError> {
        let origin = target.origin();
        let make = || read(client.clone(), self.name.clone(), origin.clone(), caller.clone());
        let site = self.sites.get((origin.clone(), narrowed), make).await?;
        if site.allows(target.path_and_query()) {
            return Ok(());
        }
        let why = match &site.says {
            Says::Rules(_) => "does not allow it",
            Says::Nothing => "cannot be read, which means no",
        };
        let message = format!("robots.txt of {origin} {why}");
        let hint = "take another source; tools.web.fetch.respectRobots is how whoever runs Owl has it";
        Err(ToolError::new(ToolFault::Refused, "robots_refused", message).hint(hint))
    }
}

async fn read(client: WebClient, name: Arc<str>, origin: String, caller: Caller) -> Result<Site, ToolError> {
    let answer = client.fetch(WebRequest::get(format!("{origin}/robots.txt"), caller)).await;
    let says = match answer {
        Ok(answer) => match answer.status.as_u16() {
            200..=299 => Says::Rules(rules(&answer.body, &name)),
            500..=599 => Says::Nothing,
            _ => Says::Rules(Vec::new()),
        },
        // The page is judged by the same policy, and its refusal is the one to tell.
        Err(WebError::Denied(_) | WebError::Invalid(_) | WebError::TooManyRedirects(_) | WebError::RedirectLoop) => {
            Says::Rules(Vec::new())
        }
        Err(error) => {
            let failed = web::failed(&error, super::KEY);
            return Err(ToolError { message: format!("robots.txt of {origin}: {}", failed.message), ..failed });
        }
    };
    Ok(Site { says, since: Instant::now() })
}

/// What one site says.
#[derive(Debug)]
struct Site {
    says: Says,
    since: Instant,
}

#[derive(Debug)]
enum Says {
    /// The rules for this program.
    Rules(Vec<Rule>),
    /// The server failed: RFC 9309, section 2.3.1.4, takes that for a no to everything.
    Nothing,
}

#[derive(Debug, PartialEq, Eq)]
struct Rule {
    pattern: String,
    allows: bool,
}

impl Keep for Site {
    fn size(&self) -> usize {
        match &self.says {
            Says::Rules(rules) => rules.iter().map(|rule| size_of::<Rule>() + rule.pattern.len()).sum(),
            Says::Nothing => 0,
        }
    }

    fn since(&self) -> Instant {
        self.since
    }

    fn may_be_kept(&self) -> bool {
        matches!(self.says, Says::Rules(_))
    }
}

impl Site {
    /// The longest rule that fits decides, and among those of one length a friendly one (RFC 9309, section 2.2.2).
    fn allows(&self, path: &str) -> bool {
        let Says::Rules(rules) = &self.says else { return false };
        let path = normal(path);
        let fitting = rules.iter().filter(|rule| fits(&rule.pattern, &path));
        let longest = fitting.max_by_key(|rule| (rule.pattern.len(), rule.allows));
        path == "/robots.txt" || longest.is_none_or(|rule| rule.allows)
    }
}

/// The rules for `name`, or, if the file has none, those for everybody.
fn rules(file: &[u8], name: &str) -> Vec<Rule> {
    let file = String::from_utf8_lossy(&file[..file.len().min(MOST_BYTES)]);
    let (mut own, mut all) = (None::<Vec<Rule>>, Vec::new());
    // A group is some names, then rules; a name behind a rule begins the next.
    let (mut is_own, mut is_all, mut in_rules) = (false, false, false);
    for line in file.trim_start_matches('\u{feff}').split(['\n', '\r']).take(MOST_RULES * 20) {
        let line = line.split('#').next().unwrap_or_default();
        let Some((key, value)) = line.split_once(':') else { continue };
        let (key, value) = (key.trim().to_ascii_lowercase(), value.trim());
        let allows = match key.as_str() {
            "user-agent" => {
                if in_rules {
                    (is_own, is_all, in_rules) = (false, false, false);
                }
                is_all |= value.starts_with('*');
                if !name.is_empty() && product(value) == name {
                    is_own = true;
                    own.get_or_insert_default();
                }
                continue;
            }
            "allow" => true,
            "disallow" => false,
            _ => continue,
        };
        in_rules = true;
        if value.is_empty() {
            continue;
        }
        let rule = || Rule { pattern: normal(value), allows };
        if let (true, Some(own)) = (is_own, &mut own) {
            own.push(rule());
        }
        if is_all {
            all.push(rule());
        }
    }
    let mut rules = own.unwrap_or(all);
    rules.truncate(MOST_RULES);
    rules
}

/// The name that a `User-Agent` begins with, in lower case.
fn product(user_agent: &str) -> String {
    let is_of_name = |c: &char| c.is_ascii_alphabetic() || matches!(c, '-' | '_');
    user_agent.trim_start().chars().take_while(is_of_name).map(|c| c.to_ascii_lowercase()).collect()
}

/// A path in one spelling: what need not be encoded is not, and what is, is in upper case (RFC 9309, section 2.2.2).
fn normal(path: &str) -> String {
    let bytes = path.as_bytes();
    let mut normal = String::with_capacity(path.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let encoded = (*byte == b'%').then(|| bytes.get(at + 1..at + 3)).flatten();
        let encoded = encoded.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        let (byte, was_encoded) = encoded.map_or((*byte, false), |byte| (byte, true));
        at += if was_encoded { 3 } else { 1 };
        let is_unreserved = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        if is_unreserved || (!was_encoded && byte.is_ascii_graphic()) {
            normal.push(char::from(byte));
        } else {
            normal.push_str(&format!("%{byte:02X}"));
        }
    }
    normal
}

/// Whether a pattern with `*` for anything and `$` for the end fits the beginning of `path`. Every part is looked for behind
/// the one before, once: the time is that of going through both.
fn fits(pattern: &str, path: &str) -> bool {
    let (pattern, to_end) = match pattern.strip_suffix('$') {
        Some(pattern) => (pattern, true),
        None => (pattern, false),
    };
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = path.strip_prefix(first) else { return false };
    let mut last = None;
    for part in parts {
        if let Some(part) = last.replace(part) {
            let Some(at) = rest.find(part) else { return false };
            rest = &rest[at + part.len()..];
        }
    }
    match (last, to_end) {
        (None, true) => rest.is_empty(),
        (None, false) => true,
        (Some(part), true) => rest.ends_with(part),
        (Some(part), false) => rest.contains(part),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(file: &str, path: &str, expect: bool) {
        let site = Site { says: Says::Rules(rules(file.as_bytes(), "owl")), since: Instant::now() };
        assert_eq!(site.allows(path), expect, "{path} under {file:?}");
    }

    #[test]
    fn the_examples_of_the_standard() {
        let file = "User-Agent: *\nDisallow: *.gif$\nDisallow: /example/\nAllow: /publications/\n\n\
                    User-Agent: foobot\nDisallow:/\nAllow:/example/page.html\nAllow:/example/allowed.gif\n\n\
                    User-Agent: barbot\nUser-Agent: owl\nDisallow: /example/page.html\n\nUser-Agent: quxbot\n";
        check(file, "/example/page.html", false);
        check(file, "/example/", true);
        let file = file.replace("owl", "other");
        for (path, expect) in [("/example/", false), ("/a.gif", false), ("/a.gif?x", true), ("/publications/", true)] {
            check(&file, path, expect);
        }
        let longest = "User-Agent: owl\nAllow: /example/page/\nDisallow: /example/page/disallowed.gif\n";
        check(longest, "/example/page/disallowed.gif", false);
        check(longest, "/example/page/allowed.gif", true);
    }

    #[test]
    fn groups() {
        check("User-agent: OWL/2.0\nDisallow: /", "/a", false);
        check("User-agent: owlet\nDisallow: /", "/a", true);
        check("user-agent: *\ndisallow: /\nuser-agent: owl\ndisallow:", "/a", true);
        check("user-agent: owl\ndisallow: /a\nuser-agent: x\ndisallow: /b\nuser-agent: owl\ndisallow: /c", "/c", false);
        check("user-agent: owl\nuser-agent: *\nsitemap: x\ndisallow: /a # comment", "/a", false);
        check("\u{feff}user-agent: *\r\ndisallow: /a\r\n", "/a", false);
        check("disallow: /\nnonsense\n: :\n", "/a", true);
        check("user-agent: *\ndisallow: /", "/robots.txt", true);
        check("user-agent: *\ndisallow: /a\nallow: /a", "/a", true);
        check("", "/", true);
    }

    #[test]
    fn patterns() {
        for (pattern, path, expect) in [
            ("/", "/a", true),
            ("/a$", "/a", true),
            ("/a$", "/ab", false),
            ("/*/b", "/a/b/c", true),
            ("/*/b$", "/a/b/c/b", true),
            ("/*/b$", "/a/b/c", false),
            ("/a*b*c$", "/abc", true),
            ("/a*bc*c$", "/abc", false),
            ("*", "/", true),
            ("/a*", "/a", true),
            ("b", "/b", false),
            ("/%7ea", "/~a", true),
            ("/ä", "/%c3%a4", true),
            ("/a%2fb", "/a/b", false),
            ("/a%2fb", "/a%2Fb", true),
            ("/%zz%4", "/%zz%4", true),
        ] {
            assert_eq!(fits(&normal(pattern), &normal(path)), expect, "{pattern} {path}");
        }
    }

    #[test]
    fn a_hostile_file_costs_little() {
        let file = format!("user-agent: *\n{}", format!("disallow: /{}b$\n", "*a".repeat(40)).repeat(6_000));
        let rules = rules(file.as_bytes(), "owl");
        assert!(rules.len() <= MOST_RULES);
        let site = Site { says: Says::Rules(rules), since: Instant::now() };
        assert!(site.allows(&"/a".repeat(1000)));
    }
}
