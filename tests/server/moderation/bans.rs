//! A ban applies to every endpoint and closes open connections; only operators can set rules.

use super::*;

const SOCKETS: [&str; 4] = [SESSION_PATH, "/api/echo", "/api/socket", "/api/arena"];

/// Requests every kind of endpoint; returns each with its status.
async fn request_all(node: &Node, cookie: &str) -> Vec<(String, StatusCode)> {
    let command = r#"{"command":{"topic":"chat/lobby","id":"00000000000000000000000000000001","command":{"post":{"text":"x","reply_to":null}}}}"#;
    let history = format!("{HISTORY_PATH}?topic={LOBBY}");
    let (events, poll) = (
        format!("{EVENTS_PATH}?session=s"),
        format!("{POLL_PATH}?session=s&wait=0"),
    );
    let posted = format!("{COMMAND_PATH}?session=s");
    let requests = [
        ("GET", "/chat", ""),
        ("GET", "/", ""),
        ("POST", "/chat", "message=x"),
        ("GET", &history, ""),
        ("GET", &poll, ""),
        ("POST", &posted, command),
        ("POST", "/api/arena/turn?seat=s", ""),
    ];
    let mut statuses = Vec::new();
    for (method, path, body) in requests {
        statuses.push((
            format!("{method} {path}"),
            request(node, method, path, cookie, body).await.status,
        ));
    }
    for path in [events.as_str(), apps::UNREAD_EVENTS_PATH] {
        // An endless response: only its head is read.
        let request = Request::get(path).header("host", "localhost").header("cookie", cookie);
        let request = request.body(Body::empty()).unwrap();
        let response = tower::ServiceExt::oneshot(node.router.clone(), request).await.unwrap();
        statuses.push((path.to_owned(), response.status()));
    }
    for path in SOCKETS {
        let headers = [("cookie", cookie), ("sec-websocket-protocol", "duplex.v1.json")];
        let status = StatusCode::from_u16(node.handshake_status(path, &headers).await).unwrap();
        statuses.push((path.to_owned(), status));
    }
    statuses
}

#[tokio::test]
async fn a_banned_person_is_rejected_by_every_endpoint() {
    let node = node().await;
    let (mine, other) = (
        Visitor::new(&node, Transport::Sse).await,
        Visitor::new(&node, Transport::Sse).await,
    );
    let me = person(&node, &mine.cookie()).await;
    for (endpoint, status) in request_all(&node, &mine.cookie()).await {
        assert_ne!(status, StatusCode::FORBIDDEN, "{endpoint}");
    }
    ban(&node, Target::Person(me.id.clone())).await;
    wait_until(async || request(&node, "GET", "/chat", &mine.cookie(), "").await.status == StatusCode::FORBIDDEN).await;
    for (endpoint, status) in request_all(&node, &mine.cookie()).await {
        assert_eq!(status, StatusCode::FORBIDDEN, "{endpoint}");
    }
    for (endpoint, status) in request_all(&node, &other.cookie()).await {
        assert_ne!(status, StatusCode::FORBIDDEN, "{endpoint}");
    }
    let page = request(&node, "GET", "/chat", &mine.cookie(), "").await;
    assert!(
        page.body.contains("has banned you") && page.body.contains("spam &lt;b&gt;"),
        "{}",
        page.body
    );
    let problem = request(&node, "GET", &format!("{POLL_PATH}?session=s"), &mine.cookie(), "").await;
    assert!(problem.problem().contains("banned"));
    for open in ["/healthz", "/status", "/api/operator/sign-in"] {
        let status = request(&node, "GET", open, &mine.cookie(), "").await.status;
        assert_ne!(status, StatusCode::FORBIDDEN, "{open}");
    }
    let unban = ModerationCommand::Unban {
        target: Target::Person(me.id),
    };
    send_as_operator(&node, RULES, &unban).await;
    wait_until(async || request(&node, "GET", "/chat", &mine.cookie(), "").await.status == StatusCode::OK).await;
}

#[tokio::test]
async fn a_ban_closes_open_sessions_with_a_code() {
    for transport in Transport::ALL {
        let node = node().await;
        let mut visitor = Visitor::new(&node, transport).await;
        let mut other = Visitor::new(&node, transport).await;
        visitor.subscribe(LOBBY, None).await;
        other.subscribe(LOBBY, None).await;
        let me = person(&node, &visitor.cookie()).await;
        // Between two polls no connection is open: the next poll is rejected.
        if transport == Transport::Poll {
            ban(&node, Target::Person(me.id)).await;
            wait_until(async || {
                request(&node, "GET", "/chat", &visitor.cookie(), "").await.status == StatusCode::FORBIDDEN
            })
            .await;
            continue;
        }
        let closed = async {
            loop {
                if let ServerFrame::Closing { reason, .. } = visitor.next_frame().await {
                    break reason;
                }
            }
        };
        let (reason, ()) = tokio::join!(closed, ban(&node, Target::Person(me.id.clone())));
        assert_eq!(reason, CloseReason::Banned, "{transport:?}");
        if let Transport::WebSocket(_) = transport {
            let (closed, _) = visitor.websocket().await.expect_close().await.unwrap();
            assert_eq!(closed, code::BANNED);
            assert!(!code::may_reconnect(closed));
        }
        let answer = other.command(LOBBY, &post("still here")).await;
        assert!(matches!(answer, Answer::Accepted { .. }), "{transport:?}");
        assert!(matches!(other.next_event::<Chat>().await.1, ChatEvent::Posted { .. }));
    }
}

#[tokio::test]
async fn a_ban_ends_a_waiting_poll_and_every_kind_of_websocket() {
    let node = node().await;
    let visitor = Visitor::new(&node, Transport::Poll).await;
    let (cookie, me) = (visitor.cookie(), person(&node, &visitor.cookie()).await);
    let mut sockets = Vec::new();
    for path in ["/api/echo", "/api/arena"] {
        let (client, _) = open(node.connect(), path, &[("cookie", &cookie)]).await.unwrap();
        sockets.push(client);
    }
    let path = format!("{POLL_PATH}?session=s&topics={LOBBY}");
    let first = request(&node, "GET", &format!("{path}&wait=0"), &cookie, "").await;
    let frames: Vec<ServerFrame> = Encoding::Json.decode(first.body.as_bytes()).unwrap();
    let cursor = frames.into_iter().find_map(|frame| match frame {
        ServerFrame::Verdict {
            verdict: Verdict::Reset { cursor, .. },
            ..
        } => Some(cursor),
        _ => None,
    });
    let waiting = format!("{path}@{}", cursor.unwrap());
    let (answer, ()) = tokio::join!(
        request(&node, "GET", &waiting, &cookie, ""),
        ban(&node, Target::Person(me.id))
    );
    assert!(
        answer.status == StatusCode::FORBIDDEN || answer.body.contains("banned"),
        "{}",
        answer.body
    );
    for mut socket in sockets {
        let code: u16 = loop {
            if let tokio_tungstenite::tungstenite::Message::Close(frame) = socket.receive().await {
                break frame.unwrap().code.into();
            }
        };
        assert_eq!(code, code::BANNED);
    }
}

#[tokio::test]
async fn a_banned_address_is_rejected_except_for_operators() {
    let node = node().await;
    let listening = node.listen().await;
    let get = async |path: &str, token: Option<&str>| {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut stream = TcpStream::connect(listening.addr).await.unwrap();
        let bearer = token.map(|token| format!("authorization: Bearer {token}\r\n"));
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: localhost\r\n{}connection: close\r\n\r\n",
            bearer.unwrap_or_default()
        );
        with_timeout(stream.write_all(head.as_bytes())).await.unwrap();
        let mut answer = String::new();
        with_timeout(stream.read_to_string(&mut answer)).await.unwrap();
        answer[9..12].parse::<u16>().unwrap()
    };
    let protocol = [("sec-websocket-protocol", "duplex.v1.json")];
    let (mut live, _) = open(listening.connect().await, SESSION_PATH, &protocol).await.unwrap();
    let bearer = format!("Bearer {TOKEN}");
    let operator = [protocol[0], ("authorization", bearer.as_str())];
    let (mut operators, _) = open(listening.connect().await, SESSION_PATH, &operator).await.unwrap();
    assert_eq!(get("/api/vitals", None).await, 200);
    ban(&node, Target::Address("127.0.0.0/8".to_owned())).await;
    assert!(live.receive().await.to_string().contains("banned"));
    assert_eq!(live.expect_close().await.unwrap().0, code::BANNED);
    assert_eq!(get("/api/vitals", None).await, 403);
    assert_eq!(get("/healthz", None).await, 200);
    assert_eq!(get("/api/vitals", Some(TOKEN)).await, 200);
    operators.send(r#"{"hello":{"build":"","name":null}}"#).await;
    assert!(operators.receive().await.to_string().contains("welcome"));
}

#[tokio::test]
async fn a_ban_applies_after_a_restart() {
    let node = node().await;
    let mine = Visitor::new(&node, Transport::Poll).await;
    let me = person(&node, &mine.cookie()).await;
    ban(&node, Target::Person(me.id)).await;
    let restarted = Node {
        state: duplex::server::state::ServerState::new(
            duplex::server::state::Settings::default(),
            node.state.options.clone(),
            node.state.hub.clone(),
            node.state.apps.clone(),
        ),
        router: node.router.clone(),
    };
    moderation::load_rules(&restarted.state).await;
    let subject = moderation::Subject {
        person: Some(person_id(&node, &mine.cookie())),
        ..moderation::Subject::default()
    };
    assert!(
        restarted.state.moderation.find(&subject).is_some(),
        "the ban applies before the first request"
    );
}

fn person_id(node: &Node, cookie: &str) -> PersonId {
    let headers = [(axum::http::header::COOKIE, cookie.parse().unwrap())]
        .into_iter()
        .collect();
    let extensions = axum::http::Extensions::new();
    let subject =
        moderation::Subject::from_request(&node.state, &headers, &extensions, moderation::FallbackIdentity::New);
    subject.person.unwrap()
}

#[tokio::test]
async fn only_operators_write_moderation_rules() {
    for transport in Transport::ALL {
        let node = node().await;
        let mut visitor = Visitor::new(&node, transport).await;
        let verdict = visitor.subscribe(RULES, None).await;
        let reason = Denial::Forbidden;
        assert_eq!(verdict, Verdict::Denied { reason }, "{transport:?}");
        let target = Target::Person(PersonId("0a".to_owned()));
        let ban = ModerationCommand::Ban {
            target,
            until: None,
            reason: String::new(),
        };
        let answer = visitor.command(RULES, &ban).await;
        assert_eq!(
            answer,
            Answer::Rejected(Rejection::Denied(Denial::Forbidden)),
            "{transport:?}"
        );
    }
}

/// The rules as an operator reads them.
async fn rules(node: &Node) -> Rules {
    let topic = RULES.parse().unwrap();
    let handle = node.state.hub.open(&topic).await.unwrap();
    handle
        .state(Encoding::Json)
        .await
        .unwrap()
        .1
        .decode(Encoding::Json)
        .unwrap()
}

#[tokio::test]
async fn an_invalid_rule_is_rejected() {
    let node = node().await;
    let ban = |target: Target| ModerationCommand::Ban {
        target,
        until: None,
        reason: String::new(),
    };
    let address = |text: &str| ban(Target::Address(text.to_owned()));
    for invalid in [
        "",
        "localhost",
        "1.2.3",
        "0.0.0.0/0",
        "::/0",
        "300.1.1.1",
        "192.0.2.1/33",
    ] {
        let answer = send_as_operator(&node, RULES, &address(invalid)).await;
        assert_eq!(answer, Answer::Rejected(Rejection::custom("bad_address")), "{invalid}");
    }
    for invalid in ["", "A b", "ffffffffffffffff", "0000000000000000"] {
        let answer = send_as_operator(&node, RULES, &ban(Target::Person(PersonId(invalid.to_owned())))).await;
        assert!(
            matches!(answer, Answer::Rejected(Rejection::Custom { .. })),
            "{invalid}"
        );
    }
    for text in [
        "192.0.2.7",
        "192.0.2.7/32",
        "::ffff:192.0.2.7",
        "2001:db8::7",
        "2001:db8::/64",
    ] {
        send_as_operator(&node, RULES, &address(text)).await;
    }
    let rules = rules(&node).await;
    let stored: Vec<_> = rules.bans.into_iter().map(|(target, _)| target).collect();
    assert_eq!(
        stored,
        ["192.0.2.7", "2001:db8::/64"].map(|text| Target::Address(text.to_owned()))
    );
}
