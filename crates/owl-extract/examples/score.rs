//! How well and how fast the main content of pages is found: `score FOLDER [--worst N] [--out FOLDER] [--rounds N]`.
//!
//! FOLDER has the format of scrapinghub's article-extraction-benchmark: `ground-truth.json` (page id → article text and
//! URL) and `html/ID.html`, unpacked (bench/extract does this). Scored as there: multisets of 4-word shingles, true and
//! false positives and false negatives normalised for each page and averaged. The time is that of extraction alone, on
//! one thread.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use owl_extract::{Mode, Options, Source, extract};

/// Words in a shingle.
const SHINGLE: usize = 4;

struct Page {
    id: String,
    url: String,
    truth: String,
    html: Vec<u8>,
}

/// Shares of a page's shingles, which add up to one.
#[derive(Clone, Copy, Default)]
struct Counts {
    right: f64,
    wrong: f64,
    missing: f64,
}

struct Arguments {
    folder: PathBuf,
    worst: usize,
    rounds: u32,
    out: Option<PathBuf>,
    fold: Option<(usize, usize)>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = arguments().ok_or("score FOLDER [--worst N] [--out FOLDER] [--rounds N] [--fold K/N]")?;
    let mut pages = read(&arguments.folder)?;
    if let Some((fold, of)) = arguments.fold {
        let mut index = 0;
        pages.retain(|_| {
            index += 1;
            (index - 1) % of == fold
        });
    }
    let mut scores = Vec::new();
    let mut total = Counts::default();
    for page in &pages {
        let text = text(page);
        if let Some(out) = &arguments.out {
            std::fs::write(out.join(format!("{}.txt", page.id)), &text)?;
        }
        let counts = compare(&page.truth, &text);
        total = Counts {
            right: total.right + counts.right,
            wrong: total.wrong + counts.wrong,
            missing: total.missing + counts.missing,
        };
        scores.push((f1(counts), counts, page));
    }
    scores.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (score, counts, page) in scores.iter().take(arguments.worst) {
        print(&format!(
            "{score:.3}  wrong {:.3}  missing {:.3}  {}  {}",
            counts.wrong,
            counts.missing,
            &page.id[..page.id.len().min(8)],
            page.url
        ));
    }
    let time = time(&pages, arguments.rounds);
    let (precision, recall) = (precision(total), recall(total));
    print(&format!(
        "{} pages: F1 {:.4}  precision {precision:.4}  recall {recall:.4}  {:.0} pages a second",
        pages.len(),
        f1(total),
        f64::from(arguments.rounds) * pages.len() as f64 / time.as_secs_f64(),
    ));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a program's output")]
fn print(line: &str) {
    println!("{line}");
}

fn arguments() -> Option<Arguments> {
    let mut found = Arguments { folder: PathBuf::new(), worst: 0, rounds: 5, out: None, fold: None };
    let mut given = std::env::args().skip(1);
    found.folder = PathBuf::from(given.next()?);
    while let Some(name) = given.next() {
        let value = given.next()?;
        match name.as_str() {
            "--worst" => found.worst = value.parse().ok()?,
            "--rounds" => found.rounds = value.parse().ok()?,
            "--out" => found.out = Some(PathBuf::from(value)),
            "--fold" => {
                let (fold, of) = value.split_once('/')?;
                found.fold = Some((fold.parse().ok()?, of.parse().ok().filter(|&of| of > 0)?));
            }
            _ => return None,
        }
    }
    Some(found)
}

fn read(folder: &Path) -> Result<Vec<Page>, Box<dyn std::error::Error>> {
    let truth: BTreeMap<String, serde_json::Value> =
        serde_json::from_slice(&std::fs::read(folder.join("ground-truth.json"))?)?;
    let mut pages = Vec::new();
    for (id, entry) in truth {
        let field = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        let html = std::fs::read(folder.join("html").join(format!("{id}.html")))?;
        pages.push(Page { url: field("url"), truth: field("articleBody"), html, id });
    }
    Ok(pages)
}

fn text(page: &Page) -> String {
    let source = Source { bytes: &page.html, content_type: Some("text/html"), url: &page.url };
    let options = Options { mode: Mode::Text, ..Options::default() };
    extract(source, &options).map(|document| document.text).unwrap_or_default()
}

fn time(pages: &[Page], rounds: u32) -> Duration {
    let begin = Instant::now();
    for _ in 0..rounds {
        for page in pages {
            std::hint::black_box(text(page));
        }
    }
    begin.elapsed()
}

fn shingles(text: &str) -> HashMap<Vec<&str>, u32> {
    let words: Vec<&str> =
        text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty()).collect();
    let mut counts = HashMap::new();
    if words.is_empty() {
        return counts;
    }
    for start in 0..words.len().saturating_sub(SHINGLE - 1).max(1) {
        let shingle = words[start..(start + SHINGLE).min(words.len())].to_vec();
        *counts.entry(shingle).or_insert(0) += 1;
    }
    counts
}

fn compare(truth: &str, found: &str) -> Counts {
    let (truth, found) = (shingles(truth), shingles(found));
    let mut counts = Counts::default();
    for (shingle, &wanted) in &truth {
        let got = found.get(shingle).copied().unwrap_or(0);
        counts.right += f64::from(wanted.min(got));
        counts.missing += f64::from(wanted.saturating_sub(got));
    }
    for (shingle, &got) in &found {
        counts.wrong += f64::from(got.saturating_sub(truth.get(shingle).copied().unwrap_or(0)));
    }
    let all = counts.right + counts.wrong + counts.missing;
    if all > 0.0 {
        counts = Counts { right: counts.right / all, wrong: counts.wrong / all, missing: counts.missing / all };
    }
    counts
}

fn precision(counts: Counts) -> f64 {
    if counts.right == 0.0 { 0.0 } else { counts.right / (counts.right + counts.wrong) }
}

fn recall(counts: Counts) -> f64 {
    if counts.right == 0.0 { 0.0 } else { counts.right / (counts.right + counts.missing) }
}

fn f1(counts: Counts) -> f64 {
    let (precision, recall) = (precision(counts), recall(counts));
    if precision + recall == 0.0 { 0.0 } else { 2.0 * precision * recall / (precision + recall) }
}
