//! Taking up a conversation again in which functions of the client's were called beside Owl's tools.
//!
//! The client's next request holds its own calls and their results; the turns and results of Owl's that stood around them it never
//! saw. They are put back in their place, so that the model reads one conversation.

use serde_json::Value;

/// The ids of the calls in a message of the assistant's.
pub(crate) fn call_ids(message: &Value) -> impl Iterator<Item = &str> {
    let calls = (message["role"] == "assistant").then(|| message["tool_calls"].as_array()).flatten();
    calls.into_iter().flatten().filter_map(|call| call["id"].as_str())
}

/// Puts the messages `parked` in the place of the one at `at`, if they are the same turn: the last of the assistant's among them calls
/// what that one calls. Returns how many messages stand there now.
pub(crate) fn restore(messages: &mut Vec<Value>, at: usize, parked: Vec<Value>) -> usize {
    let same = messages.get(at).is_some_and(|shown| {
        let last = parked.iter().rfind(|message| message["role"] == "assistant");
        last.is_some_and(|whole| call_ids(shown).all(|id| call_ids(whole).any(|known| known == id)))
    });
    if !same {
        return 1;
    }
    let count = parked.len();
    messages.splice(at..=at, parked);
    count
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn calling(ids: &[&str]) -> Value {
        let calls: Vec<Value> = ids.iter().map(|id| json!({ "id": id })).collect();
        json!({ "role": "assistant", "tool_calls": calls })
    }

    #[test]
    fn what_was_hidden_comes_back() {
        let result = |id: &str| json!({ "role": "tool", "tool_call_id": id });
        let user = json!({ "role": "user", "content": "q" });
        let parked = vec![calling(&["a"]), result("a"), calling(&["b", "c"]), result("b")];
        let mut messages = vec![user.clone(), calling(&["c"]), result("c")];
        assert_eq!(restore(&mut messages, 1, parked.clone()), 4);
        let expect = vec![user, calling(&["a"]), result("a"), calling(&["b", "c"]), result("b"), result("c")];
        assert_eq!(messages, expect);
        let mut other = vec![calling(&["c", "x"])];
        assert_eq!((restore(&mut other, 0, parked), other.len()), (1, 1));
        assert_eq!(call_ids(&json!({ "role": "user", "tool_calls": [{ "id": "a" }] })).count(), 0);
    }
}
