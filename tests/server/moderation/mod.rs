//! Bans, names and deletions on a running node: an operator's rules apply to every endpoint, and only operators set them.

mod bans;
mod deletions;
mod names;

use std::path::Path;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use duplex::apps;
use duplex::apps::chat::wire::{Chat, ChatCommand, ChatEvent, RoomsCommand};
use duplex::server::moderation;
use duplex::server::token::Token;
use duplex::wire::moderation::{ModerationCommand, Rules, Target};
use duplex_protocol::code;
use duplex_protocol::codec::{EncodedValue, Encoding};
use duplex_protocol::person::{NAME_FIXED, NAME_RESERVED, Person, PersonId};
use duplex_protocol::session::{
    Answer, COMMAND_PATH, ClientFrame, CloseReason, CommandId, Denial, EVENTS_PATH, HISTORY_PATH, POLL_PATH, Rejection,
    SESSION_PATH, ServerFrame, Verdict,
};
use serde::Serialize;
use serde_json::json;
use tokio::net::TcpStream;

use crate::harness::process::{RunningCommand, Server, run, stdout};
use crate::harness::visitor::{Transport, Visitor};
use crate::harness::{Node, Response, open, wait_until, with_timeout};

const TOKEN: &str = "a-token-for-the-tests";
const RULES: &str = "moderation/all";
const LOBBY: &str = "chat/lobby";
/// A node with the applications' topics and its moderation rules loaded.
async fn node() -> Node {
    let node = Node::with_apps(|settings| {
        settings.token = Some(Token::new(TOKEN).unwrap());
        settings.node = "seoul-1".to_owned();
    });
    moderation::load_rules(&node.state).await;
    node
}

/// Sends a command with operator rights.
async fn send_as_operator<C: Serialize>(node: &Node, topic: &str, command: &C) -> Answer {
    let frame = ClientFrame::Command {
        topic: topic.parse().unwrap(),
        id: CommandId::from_bits(uuid::Uuid::new_v4().as_u128()),
        command: EncodedValue::encode(Encoding::Json, command).unwrap(),
    };
    let bearer = format!("Bearer {TOKEN}");
    let request = Request::post(format!("{COMMAND_PATH}?session=operator"))
        .header("host", "localhost")
        .header("authorization", bearer)
        .body(Body::from(Encoding::Json.encode(&frame).unwrap()))
        .unwrap();
    let response = with_timeout(node.request(request)).await;
    let frame = Encoding::Json.decode(response.body.as_bytes());
    let Ok(ServerFrame::Reply { answer, .. }) = frame else {
        panic!("{} {}", response.status, response.body)
    };
    answer
}

async fn ban(node: &Node, target: Target) {
    let command = ModerationCommand::Ban {
        target,
        until: None,
        reason: "spam <b>".to_owned(),
    };
    let answer = send_as_operator(node, RULES, &command).await;
    assert!(matches!(answer, Answer::Accepted { .. }), "{answer:?}");
}

/// The person that the server derives from this cookie.
async fn person(node: &Node, cookie: &str) -> Person {
    let response = request(node, "GET", &format!("{POLL_PATH}?session=s&wait=0"), cookie, "").await;
    let frames: Vec<ServerFrame> = Encoding::Json.decode(response.body.as_bytes()).unwrap();
    let person = frames.into_iter().find_map(|frame| match frame {
        ServerFrame::Welcome(welcome) => Some(welcome.person),
        _ => None,
    });
    person.unwrap()
}

async fn request(node: &Node, method: &str, path: &str, cookie: &str, body: &str) -> Response {
    let content_type = if body.starts_with('{') {
        "application/json"
    } else {
        "application/x-www-form-urlencoded"
    };
    let builder = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost")
        .header("accept", "text/html")
        .header("accept-language", "en")
        .header("content-type", content_type)
        .header("cookie", cookie);
    node.page(builder.body(Body::from(body.to_owned())).unwrap()).await
}

fn post(text: &str) -> ChatCommand {
    ChatCommand::Post {
        text: text.to_owned(),
        reply_to: None,
    }
}
