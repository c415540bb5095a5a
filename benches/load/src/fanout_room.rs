//! A fan-out room with one writer and many members: each member must receive every message once and in order.

use crate::{
    Result,
    args::Args,
    clients::Clients,
    latency::Latencies,
    server::{Cursor, ROOM, Server, ServerMessage, post, post_text},
    socket::{Outbox, SocketEvent},
};
use std::{
    ops::RangeInclusive,
    time::{Duration, Instant},
};

const WRITER: usize = 0;
const TIMEOUT: Duration = Duration::from_secs(30);
/// Connections that are opened concurrently, except where a reconnect storm is measured.
pub const CONNECT_CONCURRENCY: usize = 64;

#[derive(Default)]
struct Member {
    joined: bool,
    cursor: Option<Cursor>,
    /// The number of the member's last message.
    last: u64,
}

pub struct FanoutRoom {
    clients: Clients,
    state: RoomState,
}

/// The members, and counts of messages.
pub struct RoomState {
    server: Server,
    /// Whether the members, but not the writer, require compressed messages.
    deflate: bool,
    /// The first member is the writer.
    members: Vec<Member>,
    joined: usize,
    /// The message that the writer edits.
    post: u64,
    pub sent: u64,
    sent_at: Vec<Instant>,
    answered: u64,
    pub delivered: u64,
    /// Bytes of the frames of all delivered messages, as received.
    pub wire_bytes: u64,
    /// Bytes of the frame with which the last member joined: the room's state.
    pub joined_bytes: usize,
    /// Latencies of deliveries; `None` if they are not measured.
    pub latencies: Option<Latencies>,
    /// Whether members keep their cursors and resume from them.
    pub keeps_cursors: bool,
}

impl FanoutRoom {
    /// Opens a room that the writer has joined.
    pub fn open(args: &Args) -> Result<Self> {
        let server = Server::from_name(args.text("server")?)?;
        let mut room = Self {
            clients: Clients::new(args.addr()?)?,
            state: RoomState::new(server, args.flag("deflate")),
        };
        room.join(WRITER..=WRITER, 1)?;
        Ok(room)
    }

    pub fn state(&mut self) -> &mut RoomState {
        &mut self.state
    }

    /// Connects members by number, from 1, at most `concurrency` at a time, and waits until they have joined.
    pub fn join(&mut self, members: RangeInclusive<usize>, concurrency: usize) -> Result<()> {
        let (before, mut started) = (self.state.joined, 0);
        let count = members.clone().count();
        self.state
            .members
            .resize_with(self.state.members.len().max(members.end() + 1), Member::default);
        let deadline = Instant::now() + TIMEOUT;
        for member in members {
            let endpoint = match member {
                WRITER => self.state.server.for_writer().endpoint(true, false),
                _ => self.state.server.endpoint(false, self.state.deflate),
            };
            self.clients.connect(member, &endpoint)?;
            started += 1;
            while started - (self.state.joined - before) >= concurrency {
                self.step(deadline, "joined")?;
            }
        }
        while self.state.joined - before < count {
            self.step(deadline, "joined")?;
        }
        Ok(())
    }

    pub fn disconnect(&mut self, members: RangeInclusive<usize>) -> Result<()> {
        for member in members {
            self.clients.disconnect(member)?;
            self.state.joined -= usize::from(std::mem::take(&mut self.state.members[member].joined));
        }
        Ok(())
    }

    pub fn send(&mut self, messages: u64) -> Result<()> {
        let RoomState {
            server,
            post,
            sent,
            sent_at,
            ..
        } = &mut self.state;
        self.clients.send(WRITER, |out| {
            for _ in 0..messages {
                *sent += 1;
                sent_at.push(Instant::now());
                server.write_message(*sent, *post, out);
            }
        })
    }

    /// Posts these texts, each by another member, from 1, and waits until they are accepted.
    pub fn post(&mut self, texts: impl ExactSizeIterator<Item = String>) -> Result<()> {
        let count = self.state.answered + texts.len() as u64;
        for (member, text) in (1..).zip(texts) {
            let post = post_text(ROOM, member, 1, &text);
            self.clients.send(member, |out| out.text(post.as_bytes()))?;
        }
        let deadline = Instant::now() + TIMEOUT;
        while self.state.answered < count {
            self.step(deadline, "answered")?;
        }
        Ok(())
    }

    pub fn poll(&mut self, timeout: Duration) -> Result<()> {
        let state = &mut self.state;
        self.clients
            .poll(timeout, |member, out, event| state.on_event(member, out, event))
    }

    fn step(&mut self, deadline: Instant, goal: &str) -> Result<()> {
        if Instant::now() > deadline {
            let RoomState {
                joined,
                delivered,
                sent,
                answered,
                ..
            } = self.state;
            return Err(format!(
                "after {TIMEOUT:?} not all members are {goal}: {joined} joined, {sent} sent, {answered} answered, {delivered} delivered"
            )
            .into());
        }
        self.poll(Duration::from_millis(100))
    }

    pub fn run_for(&mut self, duration: Duration) -> Result<()> {
        let end = Instant::now() + duration;
        while Instant::now() < end {
            self.poll(Duration::from_millis(50))?;
        }
        Ok(())
    }

    /// Waits until every member has received every message.
    pub fn wait_until_delivered(&mut self) -> Result<()> {
        let deadline = Instant::now() + TIMEOUT;
        while !self.state.is_current() {
            self.step(deadline, "current")?;
        }
        Ok(())
    }
}

impl RoomState {
    fn new(server: Server, deflate: bool) -> Self {
        Self {
            server,
            deflate,
            members: vec![Member::default()],
            joined: 0,
            post: 0,
            sent: 0,
            sent_at: vec![Instant::now()],
            answered: 0,
            delivered: 0,
            wire_bytes: 0,
            joined_bytes: 0,
            latencies: None,
            keeps_cursors: false,
        }
    }

    fn is_current(&self) -> bool {
        let answers = !self.server.is_duplex() || self.answered == self.sent;
        let present = self.members.iter().skip(1).filter(|member| member.joined);
        answers && self.joined > 1 && present.clone().all(|member| member.last == self.sent)
    }

    fn on_event(&mut self, member_id: usize, out: &mut Outbox, event: SocketEvent) -> Result<()> {
        let server = if member_id == WRITER {
            self.server.for_writer()
        } else {
            self.server
        };
        let member = &mut self.members[member_id];
        let (payload, wire_bytes) = match event {
            SocketEvent::Opened if member_id == WRITER && server.is_duplex() => {
                Server::hello(out);
                out.text(post(ROOM, WRITER, 0).as_bytes());
                return Ok(());
            }
            SocketEvent::Opened => {
                if server.join(member.cursor.as_ref(), out) {
                    self.on_joined(member_id);
                }
                return Ok(());
            }
            SocketEvent::Payload { payload, wire_bytes } => (payload, wire_bytes),
        };
        match server.decode(payload, member.cursor.as_ref(), out)? {
            ServerMessage::Message(number) => {
                self.on_message(member_id, number, payload)?;
                self.wire_bytes += wire_bytes as u64;
            }
            ServerMessage::Joined(cursor) => {
                self.joined_bytes = wire_bytes;
                if self.keeps_cursors && member.cursor.is_none() {
                    member.cursor = Some(cursor);
                }
                self.on_joined(member_id);
            }
            ServerMessage::Reply { number: 0, seq, .. } => {
                self.post = seq;
                self.on_joined(member_id);
            }
            ServerMessage::Reply { .. } => self.answered += 1,
            ServerMessage::Other => {}
        }
        Ok(())
    }

    fn on_joined(&mut self, member_id: usize) {
        let member = &mut self.members[member_id];
        if !member.joined {
            // A member without a cursor receives the messages from now on.
            if member.cursor.as_ref().is_none_or(|cursor| cursor.position.is_empty()) || !self.keeps_cursors {
                member.last = self.sent;
            }
            member.joined = true;
            self.joined += 1;
        }
    }

    fn on_message(&mut self, member_id: usize, number: u64, payload: &[u8]) -> Result<()> {
        let member = &mut self.members[member_id];
        if number != member.last + 1 {
            return Err(format!("member {member_id} received message {number} after {}", member.last).into());
        }
        member.last = number;
        if let (true, Some(cursor)) = (self.keeps_cursors, &mut member.cursor) {
            self.server.advance(cursor, payload);
        }
        self.delivered += 1;
        if let Some(latencies) = &mut self.latencies {
            latencies.add(self.sent_at[number as usize].elapsed());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(message: &str) -> SocketEvent<'_> {
        SocketEvent::Payload {
            payload: message.as_bytes(),
            wire_bytes: 2 + message.len(),
        }
    }

    fn event(number: u64) -> String {
        format!(
            "{{\"event\":{{\"seq\":{},\"check\":77,\"text\":\"#{number:012}\"}}}}}}}}",
            number + 10
        )
    }

    #[test]
    fn a_repeated_or_missing_message_fails_the_measurement() {
        let out = &mut Outbox::default();
        let mut room = RoomState::new(Server::Ws, false);
        room.members.push(Member::default());
        room.sent = 4;
        room.on_event(1, out, SocketEvent::Opened).unwrap();
        room.joined += 1;
        assert!(room.is_current(), "a new member receives later messages only");
        room.sent = 6;
        room.on_event(1, out, payload(&event(5))).unwrap();
        assert!(!room.is_current());
        for wrong in [5, 4, 7] {
            assert!(room.on_event(1, out, payload(&event(wrong))).is_err(), "{wrong}");
        }
        room.on_event(1, out, payload(&event(6))).unwrap();
        assert!(room.is_current());
        assert_eq!(room.delivered, 2);
        assert_eq!(room.wire_bytes, 2 * (2 + event(5).len() as u64));
    }

    #[test]
    fn a_disconnected_member_resumes_from_its_cursor() {
        let out = &mut Outbox::default();
        let mut room = RoomState::new(Server::Json, false);
        room.keeps_cursors = true;
        room.members.push(Member::default());
        let verdict = |verdict: &str| {
            format!(
                "{{\"verdict\":{{\"topic\":\"chat/bench\",\"verdict\":{{\"{verdict}\":{{\"epoch\":5,\"seq\":10,\"check\":null}}}}}}}}"
            )
        };
        room.on_event(1, out, payload(&verdict("reset"))).unwrap();
        room.on_event(1, out, payload(&event(1))).unwrap();
        let cursor = room.members[1].cursor.clone().unwrap();
        assert_eq!(
            (&*cursor.log_id, &*cursor.position, &*cursor.checksum),
            ("5", "11", "77")
        );
        room.members[1].joined = false;
        room.sent = 2;
        assert!(room.on_event(1, out, payload(&verdict("reset"))).is_err());
        room.on_event(1, out, payload(&verdict("resumed"))).unwrap();
        room.on_event(1, out, payload(&event(2))).unwrap();
        assert_eq!(room.members[1].last, 2);
    }
}
