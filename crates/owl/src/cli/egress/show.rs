//! The reasoning as text and as JSON.

use std::fmt::Write as _;

use owl_egress::policy::Verdict;
use serde_json::{Value, json};

use super::basis::Basis;
use super::reasoning::Reasoning;
use super::remedy::Remedy;

/// A blank line, the URL, its steps, the verdict, and what to write.
pub(super) fn text(basis: &Basis, reasoning: &Reasoning) -> String {
    let mut text = format!("\n{}\n", reasoning.asked);
    let verdict = match reasoning.verdict {
        Verdict::Allow => "allowed",
        Verdict::Deny | Verdict::Invalid => "refused",
    };
    let steps = reasoning.steps.iter().map(|step| (step.name, if step.refused { "no: " } else { "" }, &step.text));
    for (name, mark, seen) in steps {
        // A text takes everything.
        let _ = writeln!(text, "  {name:<9}{mark}{seen}");
    }
    let _ = write!(text, "  {verdict}: {}", reasoning.message);
    for more in reasoning.remark.as_deref().into_iter().chain(reasoning.why) {
        let _ = write!(text, "\n           {more}");
    }
    if let Some(advice) = advice(basis, reasoning) {
        let _ = write!(text, "\n  {advice}");
    }
    text
}

/// What to do about a refusal.
fn advice(basis: &Basis, reasoning: &Reasoning) -> Option<String> {
    match &reasoning.remedy {
        Remedy::Write(keys) => Some(format!("to open just this, write {}", basis.place_of(keys))),
        Remedy::Remove(entry) => Some(format!("to open it, {entry}")),
        Remedy::Nothing => Some("nothing opens it".to_owned()),
        Remedy::NotThePolicy => None,
    }
}

/// One object, on one line.
pub(super) fn json(basis: &Basis, reasoning: &Reasoning) -> String {
    let steps: Vec<Value> = reasoning
        .steps
        .iter()
        .map(|step| json!({ "step": step.name, "ok": !step.refused, "text": step.text }))
        .collect();
    let write = match &reasoning.remedy {
        Remedy::Write(keys) => Some(basis.place_of(keys)),
        Remedy::Remove(entry) => Some(entry.clone()),
        Remedy::Nothing | Remedy::NotThePolicy => None,
    };
    json!({
        "url": reasoning.asked,
        "canonical": reasoning.canonical,
        "policy": basis.told(),
        "verdict": reasoning.verdict.name(),
        "stage": reasoning.stage.name(),
        "rule": reasoning.rule,
        "address": reasoning.address,
        "range": reasoning.range,
        "hint": reasoning.hint.as_ref().map(ToString::to_string),
        "message": reasoning.message,
        "why": reasoning.why,
        "remark": reasoning.remark,
        "write": write,
        "steps": steps,
    })
    .to_string()
}
