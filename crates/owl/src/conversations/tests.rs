use serde_json::json;

use super::*;

fn key_of(name: &str) -> Principal {
    Principal::Key(name.into())
}

fn kept(id: &str, previous: Option<&str>, text: &str) -> Kept {
    Kept {
        id: id.to_owned(),
        previous: previous.map(str::to_owned),
        response: json!({ "id": id }),
        input: vec![json!({ "text": text })],
        messages: vec![json!({ "role": "user", "content": text })],
    }
}

fn texts(messages: Option<Vec<Value>>) -> Option<Vec<String>> {
    let text = |message: Value| message["content"].as_str().unwrap_or_default().to_owned();
    messages.map(|messages| messages.into_iter().map(text).collect())
}

async fn check_life(conversations: &Conversations) {
    let (own, other) = (key_of("a"), key_of("b"));
    conversations.put(&own, kept("r1", None, "one")).await.expect("kept");
    conversations.put(&own, kept("r2", Some("r1"), "two")).await.expect("kept");
    let found = conversations.get(&own, "r2").await.expect("read").expect("there");
    assert_eq!((found.response, found.input), (json!({ "id": "r2" }), vec![json!({ "text": "two" })]));
    let history = async |owner: &Principal, id: &str| texts(conversations.history(owner, id).await.expect("read"));
    assert_eq!(history(&own, "r2").await, Some(vec!["one".to_owned(), "two".to_owned()]));
    // Another's, or nobody's, does not exist; nor can it be taken over.
    assert_eq!(conversations.get(&other, "r2").await.expect("read"), None);
    assert_eq!(history(&other, "r2").await, None);
    assert!(!conversations.delete(&other, "r2").await.expect("read"));
    conversations.put(&other, kept("r2", None, "mine")).await.expect("no error");
    assert_eq!(history(&own, "r2").await, Some(vec!["one".to_owned(), "two".to_owned()]));
    assert_eq!(history(&Principal::Local, "r2").await, None);
    // Half a conversation is none.
    assert!(conversations.delete(&own, "r1").await.expect("deleted"));
    assert_eq!(history(&own, "r2").await, None);
    assert!(conversations.get(&own, "r2").await.expect("read").is_some());

    let ids = vec!["c1".to_owned(), "c2".to_owned()];
    conversations.park(&own, ids.clone(), vec![json!({ "role": "assistant" })]).await.expect("kept");
    let found = conversations.resume(&own, vec!["c2".to_owned(), "c3".to_owned()]).await.expect("read");
    assert_eq!(found, [("c2".to_owned(), vec![json!({ "role": "assistant" })])]);
    assert_eq!(conversations.resume(&other, ids).await.expect("read"), []);
}

#[tokio::test]
async fn in_memory() {
    check_life(&Conversations::default()).await;
}

#[tokio::test]
async fn in_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("owl.db");
    let options = ConversationOptions { path: Some(path.clone()), ..ConversationOptions::default() };
    check_life(&Conversations::new(options.clone())).await;
    // Another process finds it.
    let again = Conversations::new(options.clone());
    assert!(again.get(&key_of("a"), "r2").await.expect("read").is_some());
    // A file that is taken away is begun anew; a folder in its place is an error that says so.
    std::fs::remove_file(&path).expect("removed");
    assert_eq!(again.get(&key_of("a"), "r2").await.expect("read"), None);
    let folder_instead = ConversationOptions { path: Some(folder.path().to_owned()), ..options };
    let error = Conversations::new(folder_instead).get(&key_of("a"), "r2").await.expect_err("a folder");
    assert!(error.to_string().starts_with("the store cannot be used now: "), "{error}");
}

#[tokio::test]
async fn what_is_old_or_too_much_goes() {
    let own = key_of("a");
    let old = Conversations::new(ConversationOptions { max_age: Duration::ZERO, ..ConversationOptions::default() });
    old.put(&own, kept("r1", None, "one")).await.expect("kept");
    assert_eq!(old.get(&own, "r1").await.expect("read"), None);
    let small = Conversations::new(ConversationOptions { max_size: 4_000, ..ConversationOptions::default() });
    let text = "x".repeat(400);
    for at in 0..5 {
        small.put(&own, kept(&format!("r{at}"), None, &text)).await.expect("kept");
    }
    assert_eq!(small.get(&own, "r0").await.expect("read"), None);
    assert!(small.get(&own, "r4").await.expect("read").is_some());
    for at in 0..5 {
        small.park(&own, vec![format!("c{at}")], vec![json!(text), json!(text)]).await.expect("kept");
    }
    let found = small.resume(&own, (0..5).map(|at| format!("c{at}")).collect()).await.expect("read");
    assert_eq!(found.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["c4"]);
}
