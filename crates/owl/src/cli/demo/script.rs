//! What the demo's model says: a few sentences that follow the question.

use serde_json::Value;

/// How much of a question is said back, in characters.
const LONGEST_ECHO: usize = 200;

const GREETINGS: [&str; 6] = ["hello", "hi", "hey", "hallo", "bonjour", "hola"];

/// The answer to a chat request.
pub(super) fn reply(request: &Value) -> String {
    let messages = request["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let questions: Vec<&Value> = messages.iter().filter(|message| message["role"] == "user").collect();
    let question = questions.last().map(|message| text(&message["content"])).unwrap_or_default();
    let words: Vec<&str> = question.split_whitespace().collect();
    if words.is_empty() {
        return "You asked nothing, and I answer it gladly: nothing.".to_owned();
    }
    let echo: String = words.join(" ").chars().take(LONGEST_ECHO).collect();
    let opening = if is_greeting(&words) {
        "Hoo-hoo, good to hear from you.".to_owned()
    } else if echo.ends_with('?') {
        format!("You ask: \u{201c}{echo}\u{201d} A good question.")
    } else {
        format!("You say: \u{201c}{echo}\u{201d} So noted.")
    };
    let count = match (words.len(), questions.len()) {
        (1, 1) => "That was one word".to_owned(),
        (words, 1) => format!("Those were {words} words"),
        (_, questions) => format!("This is your question number {questions}"),
    };
    format!(
        "{opening} {count}, and I am only a script that pretends to be a model. But this answer came a long way: your \
         client showed no password, Owl showed mine, and each token went through as I said it."
    )
}

/// How many words all messages have: the demo's tokens.
pub(super) fn count_words(request: &Value) -> usize {
    let messages = request["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    messages.iter().map(|message| text(&message["content"]).split_whitespace().count()).sum()
}

fn is_greeting(words: &[&str]) -> bool {
    let first = words[0].trim_matches(|letter: char| !letter.is_alphabetic()).to_lowercase();
    words.len() <= 3 && GREETINGS.contains(&first.as_str())
}

/// A text, or the texts of a list of parts.
fn text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join(" "),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn answers_follow_the_question() {
        let check = |questions: &[&str], expect: &[&str]| {
            let messages: Vec<Value> =
                questions.iter().map(|question| json!({ "role": "user", "content": question })).collect();
            let said = reply(&json!({ "messages": messages }));
            for part in expect {
                assert!(said.contains(part), "{said:?} lacks {part:?}");
            }
        };
        check(&["Hello!"], &["good to hear", "one word"]);
        check(&["What is\na mutex?"], &["You ask: \u{201c}What is a mutex?\u{201d}", "4 words"]);
        check(&["a", "tell me more"], &["You say: \u{201c}tell me more\u{201d}", "question number 2"]);
        check(&[""], &["nothing"]);
        let parts = json!({ "messages": [{ "role": "user", "content": [{ "type": "text", "text": "Say hi" }] }] });
        assert!(reply(&parts).contains("Say hi"));
        assert!(reply(&Value::Null).contains("nothing"));
    }
}
