//! Which headers pass, and which belong to one connection or to Owl alone.

use owl_testkit::{FaultServer, Step};

use crate::support::{Owl, one_provider, run};

#[test]
fn a_clients_headers_pass_but_for_its_credential_and_those_of_its_connection() {
    run(async {
        let server = FaultServer::start([vec![Step::ReadRequest, Step::answer("{}")]]);
        let owl = Owl::start(&one_provider(&server.origin(), "")).await;
        let sent = [
            "Authorization: Bearer sk-client",
            "X-Api-Key: sk-client",
            "X-Owl-Provider: owl",
            "Connection: keep-alive, X-Of-This-Hop",
            "X-Of-This-Hop: 1",
            "Keep-Alive: timeout=5",
            "Proxy-Connection: keep-alive",
            "Proxy-Authorization: Basic sk-client",
            "TE: trailers",
            "Trailer: X-Checksum",
            "User-Agent: OpenAI/Python 1.0",
            "Accept: text/event-stream",
            "Accept-Encoding: gzip, br",
            "OpenAI-Organization: org-1",
            "X-Request-Id: headers-1",
            "X-Twice: one",
            "X-Twice: two",
            "X-Empty:",
            "Cookie: a=b; c=d",
            "traceparent: 00-1-2-01",
        ];
        let answer = owl.post("/v1/x", &sent, "{}").await;
        assert_eq!((answer.status, answer.header("x-request-id")), (200, Some("headers-1")));
        let request = server.next_request().await;
        let passed = [
            ("accept", "text/event-stream"),
            ("accept-encoding", "gzip, br"),
            ("content-length", "2"),
            ("content-type", "application/json"),
            ("cookie", "a=b; c=d"),
            ("host", &server.address().to_string()),
            ("openai-organization", "org-1"),
            ("traceparent", "00-1-2-01"),
            ("user-agent", "OpenAI/Python 1.0"),
            ("x-empty", ""),
            ("x-request-id", "headers-1"),
            ("x-twice", "one"),
            ("x-twice", "two"),
        ];
        let mut received: Vec<(&str, &str)> =
            request.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        received.sort_by_key(|(name, _)| *name);
        assert_eq!(received, passed);
    });
}

#[test]
fn a_client_that_waits_before_its_body_is_told_to_go_on() {
    run(async {
        let server = FaultServer::start([vec![Step::ReadRequest, Step::answer("{}")]]);
        let owl = Owl::start(&one_provider(&server.origin(), "")).await;
        let mut client = owl.client().await;
        let head = "POST /v1/x HTTP/1.1\r\nHost: owl\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
        client.send(head).await.unwrap();
        assert_eq!(client.head().await.unwrap().status, 100);
        client.send("{}").await.unwrap();
        assert_eq!(client.response().await.unwrap().status, 200);
        let request = server.next_request().await;
        assert_eq!((request.header("expect"), &request.body[..]), (None, &b"{}"[..]));
    });
}

#[test]
fn request_ids_are_made_where_the_client_gives_none_that_is_fit() {
    run(async {
        let server = FaultServer::start([vec![Step::ReadRequest, Step::answer("{}")]]);
        let owl = Owl::start(&one_provider(&server.origin(), "")).await;
        let too_long = format!("X-Request-Id: {}", "x".repeat(129));
        let cases = [
            (None, false),
            (Some("X-Request-Id: a-1:2/3"), true),
            (Some("X-Request-Id: a b"), false),
            (Some(&too_long), false),
        ];
        for (header, is_kept) in cases {
            let answer = owl.post("/v1/x", header.as_slice(), "{}").await;
            let id = answer.header("x-request-id").unwrap();
            assert_eq!(id.starts_with("req_"), !is_kept, "{header:?}: {id}");
            assert_eq!(server.next_request().await.header("x-request-id"), Some(id));
        }
    });
}

#[test]
fn an_answers_headers_pass_but_for_those_of_its_connection() {
    run(async {
        let head = "HTTP/1.1 200 OK\r\n\
            Content-Type: application/json; charset=utf-8\r\n\
            Content-Length: 2\r\n\
            Connection: keep-alive, X-Of-This-Hop\r\n\
            X-Of-This-Hop: 1\r\n\
            Keep-Alive: timeout=5\r\n\
            Proxy-Connection: keep-alive\r\n\
            Proxy-Authenticate: Basic\r\n\
            Trailer: X-Checksum\r\n\
            Upgrade: h2c\r\n\
            X-RateLimit-Remaining: 7\r\n\
            Set-Cookie: a=b\r\n\
            Set-Cookie: c=d\r\n\
            Server: uvicorn\r\n\
            Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n\
            X-Request-Id: of-the-upstream\r\n\r\n{}";
        let server = FaultServer::start([vec![Step::ReadRequest, Step::send(head)]]);
        let owl = Owl::start(&one_provider(&server.origin(), "")).await;
        let answer = owl.post("/v1/x", &["X-Request-Id: headers-2"], "{}").await;
        let mut received: Vec<(&str, &str)> =
            answer.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        received.sort_by_key(|(name, _)| *name);
        let passed = [
            ("content-length", "2"),
            ("content-type", "application/json; charset=utf-8"),
            ("date", "Thu, 01 Jan 1970 00:00:00 GMT"),
            ("server", "uvicorn"),
            ("set-cookie", "a=b"),
            ("set-cookie", "c=d"),
            ("x-ratelimit-remaining", "7"),
            ("x-request-id", "headers-2"),
        ];
        assert_eq!(received, passed);
    });
}

#[test]
fn answers_without_a_body_pass() {
    run(async {
        let check = async |method: &str, answer: &str, status: u16, length: Option<&str>| {
            let server = FaultServer::start([vec![Step::ReadRequest, Step::send(answer), Step::Hang]]);
            let owl = Owl::start(&one_provider(&server.origin(), "")).await;
            let mut client = owl.client().await;
            client.request(method, "/v1/files/1", &[], b"").await.unwrap();
            let head = client.head().await.unwrap();
            assert_eq!((head.status, head.header("content-length")), (status, length), "{method} {answer}");
            // Nothing but the next answer follows.
            client.request("GET", "/healthz", &[], b"").await.unwrap();
            assert_eq!(client.response().await.unwrap().text(), r#"{"status":"ok"}"#, "{method} {answer}");
        };
        check("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 123\r\n\r\n", 200, Some("123")).await;
        check(
            "HEAD",
            "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n",
            404,
            Some("9"),
        )
        .await;
        check("DELETE", "HTTP/1.1 204 No Content\r\n\r\n", 204, None).await;
        check("GET", "HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n", 304, None).await;
        check("POST", "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", 201, Some("0")).await;
        check(
            "GET",
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            200,
            Some("0"),
        )
        .await;
    });
}
