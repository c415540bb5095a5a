//! Host names, origins and forwarded headers: each test is an attack on a running server.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use bytes::Bytes;
use duplex::apps::compare::wire::measure;
use duplex::server::state::Settings;
use duplex_axum::client_addr::TrustedProxies;
use duplex_axum::connection::RejectionReason;
use duplex_protocol::handshake::Handshake;
use duplex_protocol::session::{COMMAND_PATH, EVENTS_PATH, HISTORY_PATH, POLL_PATH, SESSION_PATH};
use h2::client::SendRequest;
use h2::ext::Protocol;
use tokio_tungstenite::tungstenite::Error;

use crate::harness::raw::RawConnection;
use crate::harness::{ECHO_PATH, Headers, ListeningNode, Node, Response, SOCKET_PATH, open, with_timeout};

const SITE: &str = "https://duplex.example";
const ATTACKER: &str = "attacker.example";
const LEPTOS_WS: &str = "/api/leptos_ws_websocket";
const SOCKETS: [&str; 5] = [SOCKET_PATH, ECHO_PATH, SESSION_PATH, LEPTOS_WS, "/api/arena"];

fn with_public_url(settings: &mut Settings) {
    settings.public_url = Some(SITE.parse().unwrap());
}

async fn request(node: &Node, method: &Method, path: &str, headers: Headers<'_>) -> Response {
    let builder = Request::builder().method(method).uri(path);
    let builder = headers
        .iter()
        .fold(builder, |builder, (name, value)| builder.header(*name, *value));
    node.page(builder.body(Body::empty()).unwrap()).await
}

async fn http2(node: &Node) -> SendRequest<Bytes> {
    let (requests, connection) = with_timeout(h2::client::handshake(node.connect())).await.unwrap();
    tokio::spawn(connection);
    requests.ready().await.unwrap()
}

/// Routes of every kind, and an unknown path: the host is checked before routing.
const PATHS: [(Method, &str); 18] = [
    (Method::GET, "/"),
    (Method::POST, "/"),
    (Method::GET, "/chat/lobby"),
    (Method::POST, "/chat/lobby"),
    (Method::GET, "/nothing"),
    (Method::GET, "/pkg/duplex.js"),
    (Method::GET, "/favicon.svg"),
    (Method::GET, EVENTS_PATH),
    (Method::GET, POLL_PATH),
    (Method::POST, COMMAND_PATH),
    (Method::GET, HISTORY_PATH),
    (Method::GET, "/api/vitals"),
    (Method::GET, "/api/notifications/waiting"),
    (Method::POST, "/api/notifications"),
    (Method::GET, "/metrics"),
    (Method::POST, "/api/operator/backup"),
    (Method::POST, measure::ECHO_PATH),
    (Method::OPTIONS, "/api/topics"),
];

/// DNS rebinding: `attacker.example` resolves to this server's address, so its page has the server's origin for the browser.
#[tokio::test]
async fn dns_rebinding_is_rejected() {
    for node in [Node::new(), Node::with_settings(with_public_url)] {
        for (method, path) in &PATHS {
            let own = [
                ("host", "attacker.example:3000"),
                ("origin", "http://attacker.example:3000"),
                ("sec-fetch-site", "same-origin"),
            ];
            let rejected = request(&node, method, path, &own).await;
            assert_eq!(rejected.status, StatusCode::MISDIRECTED_REQUEST, "{method} {path}");
            assert!(rejected.problem().contains("--public-url"));
            assert_eq!(rejected.header("set-cookie"), "");
            let bare = request(&node, method, path, &[("host", ATTACKER)]).await;
            assert_eq!(bare.status, StatusCode::MISDIRECTED_REQUEST, "{method} {path}");
        }
        for path in SOCKETS {
            let own = [("host", ATTACKER), ("origin", "http://attacker.example")];
            assert_eq!(node.handshake_status(path, &own).await, 421, "{path}");
        }
    }
}

#[tokio::test]
async fn dns_rebinding_is_rejected_over_http2() {
    let node = Node::new();
    let mut requests = http2(&node).await;
    for path in ["/", EVENTS_PATH, HISTORY_PATH, "/metrics"] {
        let request = Request::get(format!("http://{ATTACKER}{path}")).body(()).unwrap();
        let (response, _) = requests.send_request(request, true).unwrap();
        assert_eq!(with_timeout(response).await.unwrap().status(), 421, "{path}");
    }
    for path in SOCKETS {
        let request = Request::builder()
            .method(Method::CONNECT)
            .uri(format!("http://{ATTACKER}{path}"))
            .extension(Protocol::from_static("websocket"))
            .header("sec-websocket-version", "13")
            .header("origin", format!("http://{ATTACKER}"));
        let (response, _) = requests.send_request(request.body(()).unwrap(), false).unwrap();
        assert_eq!(with_timeout(response).await.unwrap().status(), 421, "{path}");
    }
    let two = Request::get("http://localhost/api/vitals").header("host", ATTACKER);
    let (response, _) = requests.send_request(two.body(()).unwrap(), true).unwrap();
    assert_eq!(with_timeout(response).await.unwrap().status(), 400);
}

#[tokio::test]
async fn a_request_has_exactly_one_host_and_health_checks_any_host() {
    let node = Node::new();
    for (head, status) in [
        ("GET /api/vitals HTTP/1.1\r\n", "400"),
        (
            "GET /api/vitals HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n",
            "400",
        ),
        (
            "GET /api/vitals HTTP/1.1\r\nHost: localhost\r\nhost: attacker.example\r\n",
            "400",
        ),
        ("GET /api/vitals HTTP/1.1\r\nHost:\r\n", "400"),
        ("GET /api/vitals HTTP/1.0\r\n", "400"),
        (
            "GET http://attacker.example/api/vitals HTTP/1.1\r\nHost: localhost\r\n",
            "400",
        ),
        ("GET http://localhost/api/vitals HTTP/1.1\r\nHost: localhost\r\n", "200"),
        ("GET /healthz HTTP/1.1\r\nHost: pod-7.internal\r\n", "200"),
        ("GET /readyz HTTP/1.0\r\n", "200"),
    ] {
        let mut raw = RawConnection(node.connect());
        raw.write(format!("{head}\r\n").as_bytes()).await;
        let answer = raw.read_head().await;
        assert_eq!(answer.split(' ').nth(1), Some(status), "{head}");
    }
    let counters = node.state.counters.snapshot();
    let rejections = (
        counters.rejected(RejectionReason::Host),
        counters.rejected(RejectionReason::Origin),
    );
    assert_eq!(rejections, (6, 0), "hosts and origins are counted separately");
}

#[tokio::test]
async fn with_a_public_url_browsers_use_only_its_host_and_programs_also_addresses() {
    let node = Node::with_settings(|settings| {
        with_public_url(settings);
        settings.origins = vec!["https://app.example".parse().unwrap()];
    });
    let status = async |headers: Headers<'_>| request(&node, &Method::GET, "/about", headers).await.status.as_u16();
    let browser = ("sec-fetch-site", "none");
    for host in ["duplex.example", "duplex.example:443", "app.example"] {
        assert_eq!(status(&[("host", host), browser]).await, 200, "{host}");
    }
    for host in ["127.0.0.1:3000", "localhost", "[::1]:3000", "192.168.1.7"] {
        assert_eq!(status(&[("host", host)]).await, 200, "{host}");
        assert_eq!(status(&[("host", host), browser]).await, 421, "{host}");
    }
    let local = request(&node, &Method::GET, "/", &[("host", "localhost"), browser]).await;
    assert!(local.problem().contains(SITE), "the problem names the public URL");
}

#[tokio::test]
async fn the_origin_check_includes_the_scheme() {
    let node = Node::with_settings(with_public_url);
    for path in SOCKETS {
        for (origin, expected) in [
            (SITE, 101),
            ("https://duplex.example:443", 101),
            ("http://duplex.example", 403),
            ("https://duplex.example:8443", 403),
            ("https://www.duplex.example", 403),
            ("null", 403),
        ] {
            let headers = [("host", "duplex.example"), ("origin", origin)];
            assert_eq!(node.handshake_status(path, &headers).await, expected, "{path} {origin}");
        }
    }
    let post = [("host", "duplex.example"), ("origin", "http://duplex.example")];
    assert_eq!(
        request(&node, &Method::POST, COMMAND_PATH, &post).await.status,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn sec_fetch_site_takes_precedence_over_origin() {
    let node = Node::new();
    for site in ["same-site", "cross-site"] {
        for origin in [None, Some(("origin", "http://localhost"))] {
            let headers: Vec<_> = [("sec-fetch-site", site)].into_iter().chain(origin).collect();
            for path in SOCKETS {
                assert_eq!(
                    node.handshake_status(path, &headers).await,
                    403,
                    "{path} {site} {origin:?}"
                );
            }
            for path in ["/", COMMAND_PATH, measure::ECHO_PATH, "/api/faults"] {
                let answer = request(&node, &Method::POST, path, &headers).await;
                assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path} {site}");
            }
        }
        for path in ["/api/vitals", EVENTS_PATH, POLL_PATH, HISTORY_PATH, "/chat/lobby"] {
            let embedded = [
                ("sec-fetch-site", site),
                ("sec-fetch-mode", "no-cors"),
                ("sec-fetch-dest", "image"),
            ];
            assert_eq!(
                request(&node, &Method::GET, path, &embedded).await.status,
                StatusCode::FORBIDDEN,
                "{path}"
            );
        }
        let link = [
            ("sec-fetch-site", site),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ];
        assert_eq!(
            request(&node, &Method::GET, "/about", &link).await.status,
            StatusCode::OK
        );
        assert_eq!(
            request(&node, &Method::POST, "/", &link).await.status,
            StatusCode::FORBIDDEN
        );
    }
    for site in ["same-origin", "none"] {
        let own = [("sec-fetch-site", site), ("origin", "http://localhost")];
        assert_eq!(node.handshake_status(SOCKET_PATH, &own).await, 101);
        let mismatched = [("sec-fetch-site", site), ("origin", "http://evil.example")];
        assert_eq!(node.handshake_status(SOCKET_PATH, &mismatched).await, 403);
    }
}

/// The client's address in the handshake record.
async fn recorded_peer(listening: &ListeningNode, headers: Headers<'_>) -> String {
    let trace = uuid::Uuid::new_v4().simple().to_string();
    let path = format!("{ECHO_PATH}?trace={trace}");
    let (_client, _) = open(listening.connect().await, &path, headers).await.unwrap();
    let mut raw = RawConnection(listening.connect().await);
    let get = format!("GET /api/handshake/{trace} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    raw.write(get.as_bytes()).await;
    raw.read_head().await;
    let mut body = Vec::new();
    with_timeout(tokio::io::AsyncReadExt::read_to_end(&mut raw.0, &mut body))
        .await
        .unwrap();
    serde_json::from_slice::<Handshake>(&body).unwrap().peer.unwrap()
}

#[tokio::test]
async fn only_a_trusted_proxy_sets_the_client_address() {
    let node = Node::new();
    let listening = node.listen().await;
    let spoofed = [
        ("x-forwarded-for", "9.9.9.9"),
        ("forwarded", "for=9.9.9.9"),
        ("x-real-ip", "9.9.9.9"),
    ];
    assert!(
        recorded_peer(&listening, &spoofed).await.starts_with("127.0.0.1:"),
        "loopback is a trusted proxy only if configured"
    );

    let node = Node::with_settings(|settings| {
        settings.trusted_proxies = TrustedProxies::new(["127.0.0.1", "10.0.0.0/8"]).unwrap()
    });
    let listening = node.listen().await;
    for (headers, expected) in [
        (&[("x-forwarded-for", "9.9.9.9")][..], "9.9.9.9"),
        (&[("x-forwarded-for", "1.1.1.1, 9.9.9.9, 10.1.2.3")], "9.9.9.9"),
        (
            &[("forwarded", "for=1.1.1.1, for=\"[2001:db8::7]:443\";proto=https")],
            "2001:db8::7",
        ),
        (&[("x-forwarded-for", "[::ffff:9.9.9.9]:80")], "9.9.9.9"),
    ] {
        assert_eq!(recorded_peer(&listening, headers).await, expected);
    }
    for hostile in ["1.1.1.1, _hidden", "unknown", "9.9.9.9\"", "-", "1.1.1.1, 9.9.9.9.9"] {
        assert!(
            recorded_peer(&listening, &[("x-forwarded-for", hostile)])
                .await
                .starts_with("127.0.0.1:"),
            "{hostile}"
        );
    }
    let long = vec!["1.1.1.1"; 2000].join(", ") + ", 9.9.9.9";
    assert_eq!(
        recorded_peer(&listening, &[("x-forwarded-for", &long)]).await,
        "9.9.9.9"
    );
    let contradicted = [("x-forwarded-for", "9.9.9.9"), ("forwarded", "for=1.1.1.1")];
    assert!(recorded_peer(&listening, &contradicted).await.starts_with("127.0.0.1:"));
}

/// Behind a proxy that terminates TLS, an https page has the server's origin; an untrusted client cannot claim that.
#[tokio::test]
async fn only_the_connection_or_a_trusted_proxy_sets_the_scheme() {
    let status = async |listening: &ListeningNode, headers: Headers<'_>| match open(
        listening.connect().await,
        SOCKET_PATH,
        headers,
    )
    .await
    {
        Ok(_) => 101,
        Err(error) => match *error {
            Error::Http(response) => response.status().as_u16(),
            other => panic!("{other}"),
        },
    };
    let [http, https] = ["http://localhost", "https://localhost"].map(|origin| ("origin", origin));
    let forwarded = ("x-forwarded-proto", "https");
    let node = Node::new();
    let listening = node.listen().await;
    assert_eq!(status(&listening, &[http]).await, 101);
    assert_eq!(status(&listening, &[https, forwarded]).await, 403);
    let node = Node::with_settings(|settings| settings.trusted_proxies = TrustedProxies::new(["127.0.0.1"]).unwrap());
    let listening = node.listen().await;
    assert_eq!(status(&listening, &[https, forwarded]).await, 101);
    assert_eq!(status(&listening, &[http, forwarded]).await, 403);
    assert_eq!(
        status(&listening, &[https, ("forwarded", "for=9.9.9.9;proto=https")]).await,
        101
    );
    assert_eq!(status(&listening, &[https]).await, 403);
}
