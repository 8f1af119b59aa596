use super::*;

/// The slots of a body: path, kind, form, and the URL or, in brackets, the foreign scheme.
fn slots(body: &str) -> Vec<String> {
    let found = scan(body.as_bytes()).unwrap_or_else(|error| panic!("{error}: {body}"));
    let line = |slot: MediaSlot| {
        let url = match slot.url {
            MediaUrl::Web(url) => url,
            MediaUrl::Foreign(scheme) => format!("[{scheme}]"),
        };
        let form = if slot.form == MediaForm::Base64 { " bare" } else { "" };
        format!("{} {:?}{form} {url}", slot.path, slot.kind)
    };
    found.slots.into_iter().map(line).collect()
}

#[track_caller]
fn check(body: &str, expect: &[&str]) {
    assert_eq!(slots(body), expect, "{body}");
}

/// One part of a message's content.
#[track_caller]
fn part(part: &str, expect: &[&str]) {
    let expect: Vec<String> = expect.iter().map(|line| format!("messages[1].content[1].{line}")).collect();
    let expect: Vec<&str> = expect.iter().map(String::as_str).collect();
    let before = r#"{"role":"system","content":"http://text/"}"#;
    let body = format!(
        r#"{{"messages":[{before},{{"role":"user","content":[{{"type":"text","text":"http://text/"}},{part}]}}]}}"#
    );
    check(&body, &expect);
}

#[test]
fn parts_of_a_chat() {
    part(r#"{"type":"image_url","image_url":{"url":"http://h/a"}}"#, &["image_url.url Image http://h/a"]);
    part(r#"{"type":"image_url","image_url":"http://h/a"}"#, &["image_url Image http://h/a"]);
    part(r#"{"image_url":"http://h/a"}"#, &["image_url Image http://h/a"]);
    part(r#"{"image_url":{"url":"http://h/a","detail":"low"},"uuid":"1"}"#, &["image_url.url Image http://h/a"]);
    part(
        r#"{"type":"image_url","image_url":["http://h/a",{"url":"http://h/b"}]}"#,
        &["image_url[0] Image http://h/a", "image_url[1].url Image http://h/b"],
    );
    part(r#"{"type":"video_url","video_url":{"url":"http://h/a"}}"#, &["video_url.url Video http://h/a"]);
    part(r#"{"type":"audio_url","audio_url":{"url":"http://h/a"}}"#, &["audio_url.url Audio http://h/a"]);
    part(
        r#"{"type":"input_audio","input_audio":{"data":"http://h/a","format":"wav"}}"#,
        &["input_audio.data Audio bare http://h/a"],
    );
    part(r#"{"type":"input_audio","input_audio":{"url":"http://h/a"}}"#, &["input_audio.url Audio http://h/a"]);
    part(r#"{"type":"input_video","input_video":{"url":"http://h/a"}}"#, &["input_video.url Video http://h/a"]);
    for key in ["file_url", "url", "file_data", "data", "file_id"] {
        let body = format!(r#"{{"type":"file","file":{{"{key}":"http://h/a","filename":"a.pdf"}}}}"#);
        part(&body, &[&format!("file.{key} File http://h/a")]);
    }
    // As chat templates of transformers have them.
    part(r#"{"type":"image","image":"http://h/a"}"#, &["image Image http://h/a"]);
    part(r#"{"type":"image","url":"http://h/a"}"#, &["url Image http://h/a"]);
    part(r#"{"path":"http://h/a","type":"video"}"#, &["path Video http://h/a"]);
    part(
        r#"{"type":"video","video":["http://h/1","http://h/2"]}"#,
        &["video[0] Video http://h/1", "video[1] Video http://h/2"],
    );
}

#[test]
fn responses() {
    check(
        r#"{"input":[{"role":"user","content":[{"type":"input_image","image_url":"http://h/a"}]}]}"#,
        &["input[0].content[0].image_url Image http://h/a"],
    );
    check(
        r#"{"input":[{"content":[{"type":"input_file","file_url":"http://h/a"},{"type":"input_file","file_data":"http://h/b"}]}]}"#,
        &["input[0].content[0].file_url File http://h/a", "input[0].content[1].file_data File http://h/b"],
    );
    check(
        r#"{"input":[{"type":"function_call_output","call_id":"1","output":[{"type":"input_image","image_url":"http://h/a"}]}]}"#,
        &["input[0].output[0].image_url Image http://h/a"],
    );
    check(
        r#"{"input":[{"type":"computer_call_output","output":{"type":"computer_screenshot","image_url":"http://h/a"}}]}"#,
        &["input[0].output.image_url Image http://h/a"],
    );
    check(
        r#"{"prompt":{"id":"p","variables":{"x":{"type":"input_image","image_url":"http://h/a"}}}}"#,
        &["prompt.variables.x.image_url Image http://h/a"],
    );
    check(r#"{"input":"http://text/","text":{"image_url":"http://h/"}}"#, &[]);
    check(r#"{"input":[{"type":"web_search_call","action":{"type":"open_page","url":"http://h/"}}]}"#, &[]);
    check(
        r#"{"input":[{"content":[{"type":"output_text","text":"a","annotations":[{"type":"url_citation","url":"http://h/"}]}]}]}"#,
        &[],
    );
}

#[test]
fn anthropic_messages() {
    part(r#"{"type":"image","source":{"type":"url","url":"http://h/a"}}"#, &["source.url Image http://h/a"]);
    part(r#"{"source":{"url":"http://h/a","type":"url"},"type":"document"}"#, &["source.url File http://h/a"]);
    part(
        r#"{"type":"image","source":{"type":"base64","media_type":"image/png","data":"http://h/a"}}"#,
        &["source.data Image bare http://h/a"],
    );
    part(r#"{"type":"image","source":{"url":"http://h/a"}}"#, &["source.url Image http://h/a"]);
    part(r#"{"type":"image","source":{"type":"text","data":"http://h/a"}}"#, &["source.data Image bare http://h/a"]);
    part(r#"{"type":"document","source":{"type":"text","data":"http://text/"}}"#, &[]);
    part(
        r#"{"type":"tool_result","content":[{"type":"image","source":{"type":"url","url":"http://h/a"}}]}"#,
        &["content[0].source.url Image http://h/a"],
    );
    part(
        r#"{"type":"tool_use","name":"t","input":{"image_url":"http://text/","source":{"type":"url","url":"http://text/"}}}"#,
        &[],
    );
    part(r#"{"type":"search_result","source":"http://text/","content":[{"type":"text","text":"a"}]}"#, &[]);
    part(r#"{"type":"web_search_result","url":"http://text/","title":"a"}"#, &[]);
}

#[test]
fn rerank_score_and_embeddings() {
    check(r#"{"query":"http://text/","documents":["http://text/",{"text":"http://text/"}]}"#, &[]);
    check(
        r#"{"query":{"image":"http://h/q"},"documents":[{"image":"http://h/a"},{"image_url":{"url":"http://h/b"}}]}"#,
        &[
            "query.image Image http://h/q",
            "documents[0].image Image http://h/a",
            "documents[1].image_url.url Image http://h/b",
        ],
    );
    check(
        r#"{"text_1":{"content":[{"type":"image_url","image_url":{"url":"http://h/a"}}]},"data_2":[[{"image_url":"http://h/b"}]]}"#,
        &["text_1.content[0].image_url.url Image http://h/a", "data_2[0][0].image_url Image http://h/b"],
    );
    // What a document says of itself is not fetched.
    check(
        r#"{"documents":[{"url":"http://text/","source":{"url":"http://text/"},"data":{"url":"http://text/"},"metadata":{"image":"http://text/"}}]}"#,
        &[],
    );
    check(
        r#"{"input":[{"image":"http://h/a"},{"type":"image_url","image_url":{"url":"http://h/b"}},"http://text/"]}"#,
        &["input[0].image Image http://h/a", "input[1].image_url.url Image http://h/b"],
    );
    check(r#"{"input":["http://h/a","text"],"modality":"audio"}"#, &["input[0] Audio http://h/a"]);
    check(r#"{"modality":"text","input":["http://text/"]}"#, &[]);
    check(
        r#"{"inputs":[{"content":[{"type":"image_url","image_url":{"url":"http://h/a"}}]}],"images":["http://h/b"]}"#,
        &["inputs[0].content[0].image_url.url Image http://h/a", "images[0] Image http://h/b"],
    );
    check(
        r#"{"data":{"data":"http://h/a","data_format":"url","out_data_format":"b64_json"}}"#,
        &["data.data File http://h/a"],
    );
    check(r#"{"data":{"data":"http://text/"}}"#, &[]);
}

#[test]
fn other_endpoints() {
    check(
        r#"{"image_data":["http://h/a",["http://h/b"]],"multi_modal_data":{"audio":"http://h/c"}}"#,
        &[
            "image_data[0] Image http://h/a",
            "image_data[1][0] Image http://h/b",
            "multi_modal_data.audio Audio http://h/c",
        ],
    );
    check(
        r#"{"prompt":"http://text/","images":[{"image_url":"http://h/a"}],"mask":{"image_url":"http://h/b"}}"#,
        &["images[0].image_url Image http://h/a", "mask.image_url Image http://h/b"],
    );
    check(
        r#"{"input":"say this","ref_audio":"http://h/a","start_image":"http://h/b","input_reference":"http://h/c"}"#,
        &["ref_audio Audio http://h/a", "start_image Image http://h/b", "input_reference File http://h/c"],
    );
    check(
        r#"{"document":{"type":"document_url","document_url":"http://h/a"}}"#,
        &["document.document_url File http://h/a"],
    );
    check(
        r#"{"input":[{"pdf":"http://h/a"},{"type":"time_series_url","time_series_url":{"url":"http://h/b"}}]}"#,
        &["input[0].pdf File http://h/a", "input[1].time_series_url.url File http://h/b"],
    );
    check(r#"[{"image":"http://h/a"}]"#, &["[0].image Image http://h/a"]);
    check(r#""http://text/""#, &[]);
}

#[test]
fn what_is_never_touched() {
    for key in
        ["tools", "functions", "tool_calls", "arguments", "metadata", "response_format", "text", "structured_outputs"]
    {
        check(&format!(r#"{{"{key}":[{{"image_url":{{"url":"http://text/"}}}}]}}"#), &[]);
        check(&format!(r#"{{"messages":[{{"{key}":{{"image_url":"http://text/"}}}}]}}"#), &[]);
    }
    check(
        r#"{"messages":[{"role":"user","content":"http://text/","name":"http://text/"}],"user":"http://text/"}"#,
        &[],
    );
    check(r#"{"messages":[],"audio":{"voice":"alloy","format":"wav"},"modalities":["text","audio"]}"#, &[]);
}

#[test]
fn spellings_of_keys() {
    for key in [r"image\u005furl", r"\u0069mage_url", "IMAGE_URL", "Image_Url", "imageUrl", "image-url"] {
        let body = format!(r#"{{"{key}":{{"U\u0072l":"http://h/a"}}}}"#);
        assert_eq!(slots(&body).len(), 1, "{body}");
    }
    check(r#"{"ſource":{"type":"url","url":"http://h/a"}}"#, &["ſource.url File http://h/a"]);
    // All of several, and whatever order they stand in.
    check(
        r#"{"image_url":{"url":"data:,","url":"http://h/a","url":"http://h/b"},"image_url":"http://h/c"}"#,
        &["image_url.url Image http://h/a", "image_url.url Image http://h/b", "image_url Image http://h/c"],
    );
    check(r#"{"type":"text","type":"image","url":"http://h/a"}"#, &["url Image http://h/a"]);
    check(r#"{"type":"image","type":"text","url":"http://h/a"}"#, &["url Image http://h/a"]);
    // Only the very spelling hides something.
    check(r#"{"Tools":[{"image":"http://h/a"}]}"#, &["Tools[0].image Image http://h/a"]);
    check(r#"{"a b":[{"x.y":{"image":"http://h/a"}}]}"#, &[r#"["a b"][0]["x.y"].image Image http://h/a"#]);
}

#[test]
fn what_is_a_url() {
    let read = |text: &str| match scan(format!(r#"{{"image":"{text}"}}"#).as_bytes()).expect(text).slots.pop() {
        None => "-".to_owned(),
        Some(MediaSlot { url: MediaUrl::Web(url), .. }) => url,
        Some(MediaSlot { url: MediaUrl::Foreign(scheme), .. }) => format!("[{scheme}]"),
    };
    for (text, expect) in [
        ("http://h/a", "http://h/a"),
        ("HtTpS://h/a", "HtTpS://h/a"),
        (r"http:\/\/h\/a", "http://h/a"),
        (r"\u0068ttp://h/\ud83e\udd89", "http://h/🦉"),
        (r"http://h/\ud800", "http://h/\u{fffd}"),
        (r" \t\u0000\u00a0\ufeffhttp://h/a\n ", "http://h/a"),
        (r"ht\ntp://h/a", "ht\ntp://h/a"),
        (r"http:\\\\h\\a", r"http:\\h\a"),
        ("http:h", "http:h"),
        ("http:/h", "http:/h"),
        ("https:", "https:"),
        ("http://h/a b", "http://h/a b"),
        ("httpx://h", "[httpx]"),
        ("http.internal/a", "[http]"),
        ("HTTP.internal", "[http]"),
        ("httpAAAA/+=", "-"),
        ("file:///etc/passwd", "[file]"),
        ("file:/etc/passwd", "[file]"),
        ("FILE:x", "[file]"),
        (r"f\tile:x", "[file]"),
        ("ftp://h", "[ftp]"),
        ("s3://bucket/key", "[s3]"),
        ("gs:bucket", "[gs]"),
        ("anything://h", "[anything]"),
        (r"anything:\\\\h", "[anything]"),
        ("<http://h>", "[http]"),
        ("URL:http://h", "[url]"),
        ("simplecache::http://h", "[simplecache::http]"),
        ("//h.example/a", "[//]"),
        ("//[::1]/a", "[//]"),
        (r"\\\\host\\share", "[//]"),
        ("//uQxAAAAAA/+AAA=", "-"),
        ("data:image/png;base64,AA//BB", "-"),
        ("DATA:,x", "-"),
        (r" d\nata:,x", "-"),
        ("iVBORw0KGgo=", "-"),
        ("/9j/4AAQSkZJRg", "-"),
        ("file-abc123", "-"),
        ("cat.png", "-"),
        ("/srv/cat.png", "-"),
        (r"C:\\cats\\cat.png", "-"),
        ("12:30", "-"),
        ("see http://h/a", "-"),
        ("", "-"),
        (" ", "-"),
    ] {
        assert_eq!(read(text), expect, "{text}");
    }
}

#[test]
fn many() {
    let list = |count: usize| vec![r#""http://h/a""#; count].join(",");
    let found = scan(format!(r#"{{"images":[{}]}}"#, list(MOST_SLOTS + 1)).as_bytes()).expect("JSON");
    assert_eq!((found.slots.len(), found.more), (MOST_SLOTS, true));
    let found = scan(format!(r#"{{"images":[{}]}}"#, list(MOST_SLOTS)).as_bytes()).expect("JSON");
    assert_eq!((found.slots.len(), found.more), (MOST_SLOTS, false));
    // Texts that only happen to be URLs are not counted.
    let found = scan(format!(r#"{{"input":[{}]}}"#, list(MOST_SLOTS + 1)).as_bytes()).expect("JSON");
    assert_eq!((found.slots.len(), found.more), (0, false));
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| format!("{}{}1{}", r#"{"a":"#, "[".repeat(depth - 1), "]".repeat(depth - 1) + "}");
    assert_eq!(slots(&nested(MAX_DEPTH)), Vec::<String>::new());
    let error = scan(nested(MAX_DEPTH + 1).as_bytes()).expect_err("too deep");
    assert!(matches!(error, JsonError::TooDeep { .. }), "{error}");
    let deep = format!("{}{{\"image\":\"http://h/\"}}{}", "{\"aaaaaaaaaa\":[".repeat(200), "]}".repeat(200));
    let found = scan(deep.as_bytes()).expect("JSON").slots;
    assert!(found[0].path.len() < 2 * LONGEST_PATH, "{}", found[0].path);
}

#[test]
fn what_is_not_json() {
    for body in ["", "{", "[", r#"{"a"}"#, r#"{"image":"http://h"#, "{} x", "{\"a\":\u{0}}", "[1,]", "{\"a\":1]"] {
        assert!(scan(body.as_bytes()).is_err(), "{body}");
    }
    assert!(scan(b"{\"image\":\"\xff\"}").is_ok_and(|found| found.slots.is_empty()));
}

#[test]
fn only_the_spans_are_replaced() {
    let body = Bytes::from_static(br#"{ "a":1.0, "image" : "http://h/a" ,"images":[ "http://h/b"],"n":1e999 }"#);
    let found = scan(&body).expect("JSON").slots;
    let replaced: Vec<_> = found.iter().rev().map(|slot| (slot.span.clone(), Bytes::from_static(b"\"x\""))).collect();
    assert_eq!(splice_all(&body, replaced), &br#"{ "a":1.0, "image" : "x" ,"images":[ "x"],"n":1e999 }"#[..]);
    assert_eq!(splice_all(&body, Vec::new()).as_ptr(), body.as_ptr(), "not copied when nothing changes");
    let wrong = vec![(5..9, Bytes::from_static(b"?")), (6..7, Bytes::from_static(b"?")), (900..901, Bytes::new())];
    assert_eq!(splice_all(&body, wrong).len(), body.len() - 3);
}

#[test]
fn a_path_is_short_and_plain_whatever_the_keys_are() {
    check(
        "{\"a\u{9b}31m\u{202e}\":{\"image\":\"http://h/a\"}}",
        &["[\"a\u{fffd}31m\u{fffd}\"].image Image http://h/a"],
    );
    let long = "é".repeat(LONGEST_PATH + 1);
    let shown = &long[..2 * LONGEST_PATH];
    check(&format!(r#"{{"{long}":{{"image":"http://h/a"}}}}"#), &[&format!("{shown}… Image http://h/a")]);
}

/// Each slot would go over the whole key again: that took a minute, and takes less than a second.
#[test]
fn a_huge_key_is_not_read_again_for_each_url_below_it() {
    let slots = r#""http://h/a","#.repeat(MOST_SLOTS);
    let body = format!(r#"{{"image{}":[{slots}""]}}"#, "k".repeat(8 << 20));
    let begun = std::time::Instant::now();
    assert_eq!(scan(body.as_bytes()).expect("JSON").slots.len(), MOST_SLOTS);
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}
