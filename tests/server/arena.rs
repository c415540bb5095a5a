//! The arena over its own line: WebSocket, and posts where that is blocked.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use duplex::apps::arena::model::body::{FULL, Intent};
use duplex::apps::arena::model::record::{Record, Replay};
use duplex::apps::arena::wire::ARENA_PATH;
use duplex::apps::arena::wire::frame::{Role, View};
use duplex::apps::arena::wire::turn::{Turn, Wish};
use futures_util::SinkExt as _;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tower::ServiceExt as _;

use crate::harness::{Client, Node, close_frame, open, wait_until, with_timeout};

const SECRETS: [&str; 2] = ["0123456789abcdef0123456789abcde0", "0123456789abcdef0123456789abcde1"];

/// A player who acknowledges each frame.
struct Player {
    line: Client<TcpStream>,
    views: Vec<View>,
    turn: Turn,
}

impl Player {
    async fn come(addr: SocketAddr, secret: &str) -> Self {
        let cookie = format!("visitor={secret}");
        let stream = TcpStream::connect(addr).await.unwrap();
        let (line, _) = open(stream, ARENA_PATH, &[("cookie", &cookie)]).await.unwrap();
        let turn = Turn {
            first: 1,
            ..Turn::default()
        };
        Self {
            line,
            views: Vec::new(),
            turn,
        }
    }

    async fn play(&mut self, name: &str) {
        let number = self.turn.wish.as_ref().map_or(1, |(number, _)| number + 1);
        self.turn.wish = Some((number, Wish::Play(name.to_owned())));
        self.send_turn().await;
    }

    async fn send_turn(&mut self) {
        self.line.send(Message::binary(self.turn.encode())).await;
    }

    /// The next frame, acknowledged with what the player wants now.
    async fn see(&mut self, intents: &[Intent]) -> View {
        let Message::Binary(bytes) = self.line.receive().await else {
            panic!("no frame")
        };
        let views = &self.views;
        let view = View::decode(&bytes, |tick| views.iter().find(|view| view.tick == tick)).unwrap();
        self.views.push(view.clone());
        self.turn.ack = view.tick;
        self.turn.intents = intents.to_vec();
        self.send_turn().await;
        self.turn.first += intents.len() as u32;
        view
    }

    async fn see_until(&mut self, intents: &[Intent], so: impl Fn(&View) -> bool) -> View {
        loop {
            let view = self.see(intents).await;
            if so(&view) {
                return view;
            }
        }
    }

    async fn go(mut self) {
        self.line.close(Some(close_frame(1000, ""))).await;
    }
}

fn plays(view: &View) -> bool {
    matches!(view.role, Role::Playing { .. })
}

const RIGHT: Intent = Intent {
    heading: 0,
    push: FULL,
    boost: false,
};

#[tokio::test]
async fn two_players_share_a_world_and_each_moves_by_its_own_inputs() {
    let node = Node::new().listen().await;
    let [mut kim, mut lee] = [
        Player::come(node.addr, SECRETS[0]).await,
        Player::come(node.addr, SECRETS[1]).await,
    ];
    kim.play("Kim").await;
    lee.play("Lee").await;
    let before = kim.see_until(&[], |view| plays(view) && view.players == 2).await;
    let me = before.body(before.focus).unwrap();
    assert_eq!(me.name, "Kim");
    let (id, x) = (me.id, me.x);
    let moved = |view: &View| view.body(id).is_some_and(|body| body.x != x) || !plays(view);
    let after = kim.see_until(&[RIGHT], moved).await;
    assert!(!plays(&after) || (after.acked > 0 && after.body(id).unwrap().x > x));
    let others = lee
        .see_until(&[], |view| view.players == 2 && !view.board.is_empty())
        .await;
    assert_ne!(others.focus, id);
    assert!(others.seed == after.seed && others.round == after.round);
}

#[tokio::test]
async fn a_reconnecting_player_gets_its_body_back_and_no_other_player_does() {
    let node = Node::new().listen().await;
    let mut kim = Player::come(node.addr, SECRETS[0]).await;
    kim.play("Kim").await;
    let body = kim.see_until(&[], plays).await.focus;
    let mut watcher = Player::come(node.addr, SECRETS[1]).await;
    watcher.send_turn().await;
    kim.go().await;
    watcher
        .see_until(&[], |view| view.watchers == 1 && view.players == 1)
        .await;
    assert!(!plays(&watcher.see(&[]).await));
    let mut back = Player::come(node.addr, SECRETS[0]).await;
    back.send_turn().await;
    let first = back.see(&[]).await;
    // A bot may have been quicker.
    assert!(first.focus == body && plays(&first) || matches!(first.role, Role::Watching));
    assert!(!plays(&first) || first.body(body).unwrap().name == "Kim");
}

#[tokio::test]
async fn a_second_window_takes_over_the_body() {
    let node = Node::new().listen().await;
    let mut first = Player::come(node.addr, SECRETS[0]).await;
    first.play("Kim").await;
    let body = first.see_until(&[], plays).await.focus;
    let mut second = Player::come(node.addr, SECRETS[0]).await;
    second.play("Kim").await;
    let taken = second.see_until(&[], plays).await;
    assert_eq!(taken.focus, body);
    first.see_until(&[], |view| view.role == Role::Elsewhere).await;
}

#[tokio::test]
async fn frames_are_deltas_of_the_acknowledged_frame_and_stop_without_acknowledgements() {
    let node = Node::new().listen().await;
    let mut player = Player::come(node.addr, SECRETS[0]).await;
    player.send_turn().await;
    let first = player.see(&[]).await;
    assert!(!first.motes.is_empty());
    let (mut built, mut whole) = (0, 0);
    for _ in 0..20 {
        let Message::Binary(bytes) = player.line.receive().await else {
            panic!("no frame")
        };
        let view = View::decode(&bytes, |tick| player.views.iter().find(|view| view.tick == tick)).unwrap();
        built += bytes.len();
        whole += view.encode(None).len();
        player.turn.ack = view.tick;
        player.views.push(view);
        player.send_turn().await;
    }
    // All together: where the one that is watched ends, the next frame is of another place.
    assert!(built < whole / 2, "{built} of {whole}");
    // Now nothing is acknowledged: 45 frames may be on their way with the last acknowledged, and then no more come.
    for _ in 1..45 {
        assert!(matches!(player.line.receive().await, Message::Binary(_)));
    }
    let more = tokio::time::timeout(Duration::from_millis(700), player.line.receive()).await;
    assert!(more.is_err(), "{more:?}");
    player.turn.ack = 0;
    player.send_turn().await;
    let Message::Binary(bytes) = player.line.receive().await else {
        panic!("no frame")
    };
    assert!(View::decode(&bytes, |_| None).is_ok(), "whole again");
}

#[tokio::test]
async fn a_malformed_or_too_fast_message_closes_the_connection() {
    let node = Node::new().listen().await;
    for wrong in [
        Message::text("hello"),
        Message::binary(vec![9, 9]),
        Message::binary(vec![1; 400]),
    ] {
        let mut player = Player::come(node.addr, SECRETS[0]).await;
        player.line.send(wrong).await;
        let closed = ended(&mut player).await;
        assert_eq!(closed, Some((4500, "a message was not understood".to_owned())));
    }
    let mut player = Player::come(node.addr, SECRETS[0]).await;
    for _ in 0..1000 {
        // Once it is closed, nothing more is taken.
        if player.line.0.send(Message::binary(player.turn.encode())).await.is_err() {
            break;
        }
    }
    let closed = ended(&mut player).await;
    assert_eq!(closed.map(|(code, _)| code), Some(4001));
}

/// The close frame, after whatever frames were on their way.
async fn ended(player: &mut Player) -> Option<(u16, String)> {
    loop {
        match player.line.receive().await {
            Message::Close(frame) => return frame.map(|frame| (frame.code.into(), frame.reason.to_string())),
            message => assert!(matches!(message, Message::Binary(_))),
        }
    }
}

async fn post(node: &Node, secret: &str, turn: Vec<u8>) -> (StatusCode, Vec<u8>) {
    let request = Request::post(format!("{ARENA_PATH}/turn?seat=seat-1"))
        .header("host", "localhost")
        .header("cookie", format!("visitor={secret}"))
        .body(Body::from(turn))
        .unwrap();
    let response = with_timeout(node.router.clone().oneshot(request)).await.unwrap();
    let status = response.status();
    (
        status,
        to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec(),
    )
}

#[tokio::test]
async fn the_game_works_over_posted_turns() {
    let node = Node::new();
    let listening = node.listen().await;
    let mut turn = Turn {
        wish: Some((1, Wish::Play("Post".to_owned()))),
        first: 1,
        ..Turn::default()
    };
    let mut views: Vec<View> = Vec::new();
    let mut start = None;
    loop {
        let (status, bytes) = post(&node, SECRETS[0], turn.encode()).await;
        assert_eq!(status, StatusCode::OK);
        let view = View::decode(&bytes, |tick| views.iter().find(|view| view.tick == tick)).unwrap();
        turn.ack = view.tick;
        if plays(&view) {
            let x = view.body(view.focus).unwrap().x;
            if x > *start.get_or_insert(x) {
                break;
            }
            turn.first += turn.intents.len() as u32;
            turn.intents = vec![RIGHT; 3];
        }
        views.push(view);
    }
    // Another person with the same seat's name sits elsewhere, and sees the player.
    let (_, bytes) = post(&node, SECRETS[1], Turn::default().encode()).await;
    let other = View::decode(&bytes, |_| None).unwrap();
    assert_eq!((other.players, other.role), (1, Role::Watching));
    assert_eq!(
        post(&node, SECRETS[1], vec![7]).await.0,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    assert_eq!(
        post(&node, SECRETS[1], vec![1; 300]).await.0,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    wait_until(async || node.vitals().await.vitals.connections == 1).await;
    drop(listening);
}

#[tokio::test]
async fn a_recorded_round_replays_exactly() {
    let node = Node::new();
    let listening = node.listen().await;
    assert_eq!(node.get("/api/arena/record").await.status, StatusCode::NOT_FOUND);
    let mut player = Player::come(listening.addr, SECRETS[0]).await;
    player.play("Kim").await;
    player.see_until(&[RIGHT], |view| view.tick > 70).await;
    let request = Request::get("/api/arena/record")
        .header("host", "localhost")
        .body(Body::empty());
    let response = node.router.clone().oneshot(request.unwrap()).await.unwrap();
    let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let mut replay = Replay::new(Record::read(&bytes).unwrap());
    assert!(replay.record.ticks >= 60 && replay.record.names.values().any(|name| name == "Kim"));
    replay.seek(u32::MAX);
    assert!(replay.is_true());
}
