//! The arena's endpoint over WebSocket and its HTTP fallback.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use duplex::apps::arena::model::body::{Input, MAX_THRUST};
use duplex::apps::arena::model::recording::{Recording, Replay};
use duplex::apps::arena::wire::ARENA_PATH;
use duplex::apps::arena::wire::frame::{Frame, Role};
use duplex::apps::arena::wire::input::{InputMessage, RoleRequest};
use futures_util::SinkExt as _;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tower::ServiceExt as _;

use crate::harness::{Node, WebSocketClient, close_frame, open, wait_until, with_timeout};

const SECRETS: [&str; 2] = ["0123456789abcdef0123456789abcde0", "0123456789abcdef0123456789abcde1"];

/// A player who acknowledges each frame.
struct Player {
    socket: WebSocketClient<TcpStream>,
    frames: Vec<Frame>,
    message: InputMessage,
}

impl Player {
    async fn connect(addr: SocketAddr, secret: &str) -> Self {
        let cookie = format!("visitor={secret}");
        let stream = TcpStream::connect(addr).await.unwrap();
        let (socket, _) = open(stream, ARENA_PATH, &[("cookie", &cookie)]).await.unwrap();
        let message = InputMessage {
            first_input: 1,
            ..InputMessage::default()
        };
        Self {
            socket,
            frames: Vec::new(),
            message,
        }
    }

    async fn play(&mut self, name: &str) {
        let number = self.message.request.as_ref().map_or(1, |(number, _)| number + 1);
        self.message.request = Some((number, RoleRequest::Play(name.to_owned())));
        self.send_turn().await;
    }

    async fn send_turn(&mut self) {
        self.socket.send(Message::binary(self.message.encode())).await;
    }

    /// Receives the next frame and acknowledges it with the player's inputs.
    async fn next_frame(&mut self, inputs: &[Input]) -> Frame {
        let Message::Binary(bytes) = self.socket.receive().await else {
            panic!("no frame")
        };
        let frames = &self.frames;
        let frame = Frame::decode(&bytes, |tick| frames.iter().find(|frame| frame.tick == tick)).unwrap();
        self.frames.push(frame.clone());
        self.message.ack = frame.tick;
        self.message.inputs = inputs.to_vec();
        self.send_turn().await;
        self.message.first_input += inputs.len() as u32;
        frame
    }

    async fn next_frame_where(&mut self, inputs: &[Input], condition: impl Fn(&Frame) -> bool) -> Frame {
        loop {
            let frame = self.next_frame(inputs).await;
            if condition(&frame) {
                return frame;
            }
        }
    }

    async fn close(mut self) {
        self.socket.close(Some(close_frame(1000, ""))).await;
    }
}

fn is_playing(frame: &Frame) -> bool {
    matches!(frame.role, Role::Playing { .. })
}

const RIGHT: Input = Input {
    heading: 0,
    thrust: MAX_THRUST,
    boost: false,
};

#[tokio::test]
async fn two_players_share_a_world_and_each_moves_by_its_own_inputs() {
    let node = Node::new().listen().await;
    let [mut kim, mut lee] = [
        Player::connect(node.addr, SECRETS[0]).await,
        Player::connect(node.addr, SECRETS[1]).await,
    ];
    kim.play("Kim").await;
    lee.play("Lee").await;
    let before = kim
        .next_frame_where(&[], |frame| is_playing(frame) && frame.players == 2)
        .await;
    let me = before.body(before.focus).unwrap();
    assert_eq!(&*me.name, "Kim");
    let (id, x) = (me.id, me.x);
    let moved = |frame: &Frame| frame.body(id).is_some_and(|body| body.x != x) || !is_playing(frame);
    let after = kim.next_frame_where(&[RIGHT], moved).await;
    assert!(!is_playing(&after) || (after.acked_input > 0 && after.body(id).unwrap().x > x));
    let others = lee
        .next_frame_where(&[], |frame| frame.players == 2 && !frame.leaderboard.is_empty())
        .await;
    assert_ne!(others.focus, id);
    assert!(others.seed == after.seed && others.round == after.round);
}

#[tokio::test]
async fn a_reconnecting_player_gets_its_body_back_and_no_other_player_does() {
    let node = Node::new().listen().await;
    let mut kim = Player::connect(node.addr, SECRETS[0]).await;
    kim.play("Kim").await;
    let body = kim.next_frame_where(&[], is_playing).await.focus;
    let mut spectator = Player::connect(node.addr, SECRETS[1]).await;
    spectator.send_turn().await;
    kim.close().await;
    spectator
        .next_frame_where(&[], |frame| frame.watchers == 1 && frame.players == 1)
        .await;
    assert!(!is_playing(&spectator.next_frame(&[]).await));
    let mut back = Player::connect(node.addr, SECRETS[0]).await;
    back.send_turn().await;
    let first = back.next_frame(&[]).await;
    // A bot may have eaten the body before.
    assert!(first.focus == body && is_playing(&first) || matches!(first.role, Role::Watching));
    assert!(!is_playing(&first) || *first.body(body).unwrap().name == *"Kim");
}

#[tokio::test]
async fn a_second_window_takes_over_the_body() {
    let node = Node::new().listen().await;
    let mut first = Player::connect(node.addr, SECRETS[0]).await;
    first.play("Kim").await;
    let body = first.next_frame_where(&[], is_playing).await.focus;
    let mut second = Player::connect(node.addr, SECRETS[0]).await;
    second.play("Kim").await;
    let frame = second.next_frame_where(&[], is_playing).await;
    assert_eq!(frame.focus, body);
    first.next_frame_where(&[], |frame| frame.role == Role::Elsewhere).await;
}

#[tokio::test]
async fn frames_are_deltas_of_the_acknowledged_frame_and_stop_without_acknowledgements() {
    let node = Node::new().listen().await;
    let mut player = Player::connect(node.addr, SECRETS[0]).await;
    player.send_turn().await;
    let first = player.next_frame(&[]).await;
    assert!(!first.motes.is_empty());
    let (mut deltas, mut full) = (0, 0);
    for _ in 0..20 {
        let Message::Binary(bytes) = player.socket.receive().await else {
            panic!("no frame")
        };
        let frame = Frame::decode(&bytes, |tick| player.frames.iter().find(|frame| frame.tick == tick)).unwrap();
        deltas += bytes.len();
        full += frame.encode(None).len();
        player.message.ack = frame.tick;
        player.frames.push(frame);
        player.send_turn().await;
    }
    // In total: when the watched player dies, the next frame shows another part of the world.
    assert!(deltas < full / 2, "{deltas} of {full}");
    // Without acknowledgements, the server sends up to 45 frames after the last acknowledged one and then pauses.
    for _ in 1..45 {
        assert!(matches!(player.socket.receive().await, Message::Binary(_)));
    }
    let more = tokio::time::timeout(Duration::from_millis(700), player.socket.receive()).await;
    assert!(more.is_err(), "{more:?}");
    player.message.ack = 0;
    player.send_turn().await;
    let Message::Binary(bytes) = player.socket.receive().await else {
        panic!("no frame")
    };
    assert!(Frame::decode(&bytes, |_| None).is_ok(), "a full frame");
}

#[tokio::test]
async fn a_malformed_or_too_fast_message_closes_the_connection() {
    let node = Node::new().listen().await;
    for malformed in [
        Message::text("hello"),
        Message::binary(vec![9, 9]),
        Message::binary(vec![1; 400]),
    ] {
        let mut player = Player::connect(node.addr, SECRETS[0]).await;
        player.socket.send(malformed).await;
        let closed = close_frame_of(&mut player).await;
        assert_eq!(closed, Some((4500, "malformed message".to_owned())));
    }
    let mut player = Player::connect(node.addr, SECRETS[0]).await;
    for _ in 0..1000 {
        // Sending fails once the server has closed the connection.
        if player
            .socket
            .0
            .send(Message::binary(player.message.encode()))
            .await
            .is_err()
        {
            break;
        }
    }
    let closed = close_frame_of(&mut player).await;
    assert_eq!(closed.map(|(code, _)| code), Some(4001));
}

/// Reads up to the close frame.
async fn close_frame_of(player: &mut Player) -> Option<(u16, String)> {
    loop {
        match player.socket.receive().await {
            Message::Close(frame) => return frame.map(|frame| (frame.code.into(), frame.reason.to_string())),
            message => assert!(matches!(message, Message::Binary(_))),
        }
    }
}

async fn post(node: &Node, secret: &str, message: Vec<u8>) -> (StatusCode, Vec<u8>) {
    let request = Request::post(format!("{ARENA_PATH}/turn?seat=seat-1"))
        .header("host", "localhost")
        .header("cookie", format!("visitor={secret}"))
        .body(Body::from(message))
        .unwrap();
    let response = with_timeout(node.router.clone().oneshot(request)).await.unwrap();
    let status = response.status();
    (
        status,
        to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec(),
    )
}

#[tokio::test]
async fn the_game_works_over_posted_messages() {
    let node = Node::new();
    let listening = node.listen().await;
    let mut message = InputMessage {
        request: Some((1, RoleRequest::Play("Post".to_owned()))),
        first_input: 1,
        ..InputMessage::default()
    };
    let mut frames: Vec<Frame> = Vec::new();
    let mut start = None;
    loop {
        let (status, bytes) = post(&node, SECRETS[0], message.encode()).await;
        assert_eq!(status, StatusCode::OK);
        let frame = Frame::decode(&bytes, |tick| frames.iter().find(|frame| frame.tick == tick)).unwrap();
        message.ack = frame.tick;
        if is_playing(&frame) {
            let x = frame.body(frame.focus).unwrap().x;
            if x > *start.get_or_insert(x) {
                break;
            }
            message.first_input += message.inputs.len() as u32;
            message.inputs = vec![RIGHT; 3];
        }
        frames.push(frame);
    }
    // Another person with the same `seat` parameter is another participant and sees the player.
    let (_, bytes) = post(&node, SECRETS[1], InputMessage::default().encode()).await;
    let other = Frame::decode(&bytes, |_| None).unwrap();
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
    let mut player = Player::connect(listening.addr, SECRETS[0]).await;
    player.play("Kim").await;
    player.next_frame_where(&[RIGHT], |frame| frame.tick > 70).await;
    let request = Request::get("/api/arena/record")
        .header("host", "localhost")
        .body(Body::empty());
    let response = node.router.clone().oneshot(request.unwrap()).await.unwrap();
    let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let mut replay = Replay::new(Recording::decode(&bytes).unwrap());
    assert!(replay.recording.ticks >= 60 && replay.recording.names.values().any(|name| &**name == "Kim"));
    replay.seek(u32::MAX);
    assert!(replay.is_verified());
}
