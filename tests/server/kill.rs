//! Accepted commands survive `kill -9`: the real binary and its data file, without a graceful shutdown.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use duplex_protocol::codec::{EncodedValue, Encoding};
use duplex_protocol::cursor::Seq;
use duplex_protocol::session::{Answer, ClientFrame, CommandId, HISTORY_PATH, HistoryPage, SESSION_PATH, ServerFrame};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use crate::harness::postgres::Cluster;
use crate::harness::process::{Server, duplex_with_data};
use crate::harness::{open, wait_until, with_timeout};

const ROUNDS: u32 = 6;
const WRITERS: u32 = 4;
/// Accepted commands of a round before the server is killed; further commands are in flight.
const ACCEPTED_BEFORE_KILL: usize = 120;

#[tokio::test]
async fn accepted_commands_survive_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    kill_and_restart(|| Server::start(dir.path())).await;
}

#[tokio::test]
async fn accepted_commands_in_a_database_survive_a_kill() {
    let (dir, database) = (tempfile::tempdir().unwrap(), Cluster::shared().database());
    let start = || {
        let mut command = duplex_with_data(Path::new(&database.url));
        command.current_dir(dir.path());
        Server::start_command(command, dir.path(), "127.0.0.1:0")
    };
    kill_and_restart(start).await;
}

async fn kill_and_restart(start: impl Fn() -> Server) {
    let mut sent = BTreeMap::new();
    for round in 0..ROUNDS {
        let mut server = start();
        resend_all(&server, &mut sent).await;
        write_until_killed(&mut server, round, &mut sent).await;
    }
    let server = start();
    resend_all(&server, &mut sent).await;
    assert!(sent.len() > (ROUNDS as usize) * ACCEPTED_BEFORE_KILL);
    check_rooms(&server, &sent).await;
}

/// Sent commands by id: the room, the text, and the seq of an accepted one.
type Sent = BTreeMap<CommandId, (String, String, Option<Seq>)>;

pub async fn open_socket(addr: SocketAddr) -> crate::harness::WebSocketClient<TcpStream> {
    let stream = TcpStream::connect(addr).await.unwrap();
    // The cookie identifies the sender, so a resent command is deduplicated.
    let headers = [
        ("sec-websocket-protocol", "duplex.v1.json"),
        ("cookie", "visitor=0123456789abcdef0123456789abcdef"),
    ];
    let (mut client, _) = open(stream, SESSION_PATH, &headers).await.unwrap();
    let hello = ClientFrame::Hello {
        build: String::new(),
        name: None,
    };
    client.send(message(&hello)).await;
    client
}

fn message(frame: &ClientFrame) -> Message {
    Message::text(String::from_utf8(Encoding::Json.encode(frame).unwrap()).unwrap())
}

fn post(id: &CommandId, room: &str, text: &str) -> Message {
    message(&ClientFrame::Command {
        topic: format!("chat/{room}").parse().unwrap(),
        id: id.clone(),
        command: EncodedValue(
            json!({ "post": { "text": text, "reply_to": null } })
                .to_string()
                .into_bytes(),
        ),
    })
}

/// Several writers send without waiting for answers until the server is killed; records the answers received before.
async fn write_until_killed(server: &mut Server, round: u32, sent: &mut Sent) {
    let mut sockets = Vec::new();
    for _ in 0..WRITERS {
        sockets.push(open_socket(server.addr).await);
    }
    let mut accepted = 0;
    for number in 0_u32.. {
        for (writer, socket) in sockets.iter_mut().enumerate() {
            let id = CommandId::from_bits(u128::from(round) << 64 | (writer as u128) << 32 | u128::from(number));
            // A new room for every nine posts, because of the rate limit of a person.
            let room = format!("r{round}-{writer}-{}", number / 9);
            let text = format!("{round}.{writer}.{number}");
            if socket.0.send(post(&id, &room, &text)).await.is_ok() {
                sent.insert(id, (room, text, None));
            }
            if number % 5 == 4 {
                accepted += read_answers(socket, sent, 5).await;
            }
        }
        if accepted >= ACCEPTED_BEFORE_KILL {
            break;
        }
    }
    // Further commands are in flight when the server is killed.
    for (writer, socket) in sockets.iter_mut().enumerate() {
        for number in 0..9_u32 {
            let id =
                CommandId::from_bits(1 << 127 | u128::from(round) << 64 | (writer as u128) << 32 | u128::from(number));
            let (room, text) = (
                format!("last{round}-{writer}"),
                format!("last.{round}.{writer}.{number}"),
            );
            socket.0.send(post(&id, &room, &text)).await.unwrap();
            sent.insert(id, (room, text, None));
        }
    }
    read_answers(&mut sockets[0], sent, 1).await;
    server.kill();
    for socket in &mut sockets {
        read_answers(socket, sent, usize::MAX).await;
    }
}

/// Reads up to `limit` answers, or all until the connection ends; returns the count.
async fn read_answers(socket: &mut crate::harness::WebSocketClient<TcpStream>, sent: &mut Sent, limit: usize) -> usize {
    let mut accepted = 0;
    while accepted < limit {
        let Some(Ok(message)) = with_timeout(socket.0.next()).await else {
            break;
        };
        let Ok(ServerFrame::Reply { id, answer, .. }) = Encoding::Json.decode(&message.into_data()) else {
            continue;
        };
        match answer {
            Answer::Accepted { seq } => {
                let (.., known) = sent.get_mut(&id).unwrap();
                assert!(
                    known.is_none_or(|known| known == seq),
                    "the answer differs from the first one"
                );
                *known = Some(seq);
                accepted += 1;
            }
            Answer::Rejected(rejection) => panic!("{rejection}"),
        }
    }
    accepted
}

/// Sends every command again with its id; each gets its first answer. A session may send a few hundred commands at once, so
/// several sessions are used.
async fn resend_all(server: &Server, sent: &mut Sent) {
    let commands: Vec<_> = sent.iter().map(|(id, (room, text, _))| post(id, room, text)).collect();
    for part in commands.chunks(200) {
        let mut socket = open_socket(server.addr).await;
        for message in part {
            socket.send(message.clone()).await;
            let (id, answer) = reply(&mut socket).await;
            let (_, text, known) = sent.get_mut(&id).unwrap();
            let Answer::Accepted { seq } = answer else {
                panic!("{text}: {answer:?}")
            };
            assert!(known.is_none_or(|known| known == seq), "{text}: {seq}, first {known:?}");
            *known = Some(seq);
        }
    }
}

async fn reply(socket: &mut crate::harness::WebSocketClient<TcpStream>) -> (CommandId, Answer) {
    loop {
        let frame = Encoding::Json.decode(&socket.receive().await.into_data()).unwrap();
        if let ServerFrame::Reply { id, answer, .. } = frame {
            return (id, answer);
        }
    }
}

/// Each room contains exactly the accepted texts, at the seqs of their answers.
async fn check_rooms(server: &Server, sent: &Sent) {
    let mut rooms: BTreeMap<&str, BTreeMap<Seq, &str>> = BTreeMap::new();
    for (room, text, seq) in sent.values() {
        let other = rooms.entry(room).or_default().insert(seq.unwrap(), text);
        assert_eq!(other, None, "two accepted commands share a seq");
    }
    for (room, expected) in rooms {
        let page: HistoryPage =
            serde_json::from_str(&body(server, &format!("{HISTORY_PATH}?topic=chat/{room}")).await).unwrap();
        let stored: Vec<(Seq, String)> = page.events.iter().map(|(seq, event)| (*seq, text_of(event))).collect();
        let expected: Vec<_> = expected.into_iter().map(|(seq, text)| (seq, text.to_owned())).collect();
        assert_eq!(stored, expected, "{room}");
    }
}

fn text_of(event: &EncodedValue) -> String {
    let event: Value = event.decode(Encoding::Json).unwrap();
    event["posted"]["text"].as_str().unwrap().to_owned()
}

async fn body(server: &Server, path: &str) -> String {
    let answer = get(server.addr, path).await;
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    body.to_owned()
}

pub async fn get(addr: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    with_timeout(stream.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8(answer).unwrap()
}

/// The device topic of the visitor's own browser.
pub async fn own_device(socket: &mut crate::harness::WebSocketClient<TcpStream>) -> String {
    let frame = Encoding::Json.decode(&socket.receive().await.into_data()).unwrap();
    match frame {
        ServerFrame::Welcome(welcome) => format!("device/browser-{}", welcome.person.id.0),
        other => panic!("{other:?}"),
    }
}

pub async fn send_command(
    socket: &mut crate::harness::WebSocketClient<TcpStream>,
    topic: &str,
    number: u128,
    command: &Value,
) -> Answer {
    let frame = ClientFrame::Command {
        topic: topic.parse().unwrap(),
        id: CommandId::from_bits(number),
        command: EncodedValue(command.to_string().into_bytes()),
    };
    socket.send(message(&frame)).await;
    reply(socket).await.1
}

/// Runs a counting query on the data file.
fn count(dir: &Path, query: &str) -> u64 {
    let file = rusqlite::Connection::open_with_flags(
        dir.join("duplex.db"),
        rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY | rusqlite::OpenFlags::SQLITE_OPEN_NO_MUTEX,
    );
    file.unwrap().query_row(query, [], |row| row.get(0)).unwrap()
}

fn events(dir: &Path, topic: &str, text: &str) -> u64 {
    let of_topic = format!("topic = (SELECT id FROM topics WHERE name = '{topic}')");
    count(
        dir,
        &format!("SELECT count(*) FROM events WHERE {of_topic} AND event LIKE '%{text}%'"),
    )
}

/// The server is killed right after it accepted an alarm or an order; no client subscribes to their topics afterwards.
#[tokio::test]
async fn forwards_of_accepted_commands_survive_a_kill() {
    const KILLS: u64 = 4;
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let mut inbox = String::new();
    for kill in 0..KILLS {
        let mut server = Server::start(dir);
        let mut socket = open_socket(server.addr).await;
        let device = own_device(&mut socket).await;
        inbox = device.replace("device/browser-", "inbox/");
        let metric = format!("m{}", kill / 2);
        let commands = match kill % 2 {
            0 => vec![
                json!({ "report": { "readings": [{ "metric": metric, "value": 1 }] } }),
                json!({ "set_threshold": { "metric": metric, "low": null, "high": 0.5, "hysteresis": 0.0 } }),
            ],
            _ => vec![json!({ "order": { "name": "reboot", "argument": "" } })],
        };
        for (number, command) in (1..).zip(commands) {
            let answer = send_command(&mut socket, &device, u128::from(kill) << 8 | number, &command).await;
            assert!(matches!(answer, Answer::Accepted { .. }), "{answer:?}");
        }
        server.kill();
    }
    for _ in 0..2 {
        let mut server = Server::start(dir);
        wait_until(async || count(dir, "SELECT count(*) FROM forwards") == 0).await;
        let notified = events(dir, &inbox, "danger");
        let ordered = events(dir, "orders/all", "added");
        assert_eq!((notified, ordered), (KILLS / 2, KILLS / 2), "each exactly once");
        server.kill();
    }
}
