//! One room with a writer and many members: every message must come to every member, each once and in order.

use crate::{
    Result,
    args::Args,
    crowd::Crowd,
    latency::Latencies,
    server::{Cursor, Heard, ROOM, Server, post},
    socket::{News, Outbox},
};
use std::{
    ops::RangeInclusive,
    time::{Duration, Instant},
};

const WRITER: usize = 0;
const PATIENCE: Duration = Duration::from_secs(30);
/// Connections that are being made at the same time, where it is not the storm that is measured.
pub const GENTLY: usize = 64;

#[derive(Default)]
struct Member {
    joined: bool,
    cursor: Option<Cursor>,
    /// The number of its last message.
    last: u64,
}

pub struct Hall {
    crowd: Crowd,
    room: Room,
}

/// What was heard.
pub struct Room {
    server: Server,
    /// The writer is the first of them.
    members: Vec<Member>,
    joined: usize,
    /// The message that the writer edits.
    post: u64,
    pub sent: u64,
    sent_at: Vec<Instant>,
    answered: u64,
    pub delivered: u64,
    /// Bytes of all messages that were delivered, without the frames around them.
    pub bytes: u64,
    /// Deliveries are timed if there is where to.
    pub latencies: Option<Latencies>,
    /// Members note where they stand, and go on from there when they come again.
    pub remembers: bool,
}

impl Hall {
    /// With the writer in it.
    pub fn open(args: &Args) -> Result<Self> {
        let server = Server::of(args.text("server")?)?;
        let mut hall = Self {
            crowd: Crowd::new(args.addr()?)?,
            room: Room::new(server),
        };
        hall.enter(WRITER..=WRITER, 1)?;
        Ok(hall)
    }

    pub fn room(&mut self) -> &mut Room {
        &mut self.room
    }

    /// Members by number, from 1, come in; so many at once.
    pub fn enter(&mut self, who: RangeInclusive<usize>, at_once: usize) -> Result<()> {
        let (before, mut begun) = (self.room.joined, 0);
        let wanted = who.clone().count();
        self.room
            .members
            .resize_with(self.room.members.len().max(who.end() + 1), Member::default);
        let deadline = Instant::now() + PATIENCE;
        for who in who {
            let (server, writer) = match who {
                WRITER => (self.room.server.of_writer(), true),
                _ => (self.room.server, false),
            };
            self.crowd.connect(who, &server.door(writer))?;
            begun += 1;
            while begun - (self.room.joined - before) >= at_once {
                self.step(deadline, "come in")?;
            }
        }
        while self.room.joined - before < wanted {
            self.step(deadline, "come in")?;
        }
        Ok(())
    }

    pub fn cut(&mut self, who: RangeInclusive<usize>) -> Result<()> {
        for who in who {
            self.crowd.cut(who)?;
            self.room.joined -= usize::from(std::mem::take(&mut self.room.members[who].joined));
        }
        Ok(())
    }

    pub fn send(&mut self, messages: u64) -> Result<()> {
        let Room {
            server,
            post,
            sent,
            sent_at,
            ..
        } = &mut self.room;
        self.crowd.say(WRITER, |out| {
            for _ in 0..messages {
                *sent += 1;
                sent_at.push(Instant::now());
                server.message(*sent, *post, out);
            }
        })
    }

    pub fn turn(&mut self, wait: Duration) -> Result<()> {
        let room = &mut self.room;
        self.crowd.turn(wait, |who, out, news| room.hear(who, out, news))
    }

    fn step(&mut self, deadline: Instant, what: &str) -> Result<()> {
        if Instant::now() > deadline {
            let Room {
                joined,
                delivered,
                sent,
                answered,
                ..
            } = self.room;
            return Err(format!(
                "in {PATIENCE:?} not all did {what}: {joined} joined, {sent} sent, {answered} answered, {delivered} delivered"
            )
            .into());
        }
        self.turn(Duration::from_millis(100))
    }

    pub fn listen(&mut self, length: Duration) -> Result<()> {
        let end = Instant::now() + length;
        while Instant::now() < end {
            self.turn(Duration::from_millis(50))?;
        }
        Ok(())
    }

    /// Until everybody has heard everything.
    pub fn hear_all(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !self.room.is_quiet() {
            self.step(deadline, "hear everything")?;
        }
        Ok(())
    }
}

impl Room {
    fn new(server: Server) -> Self {
        Self {
            server,
            members: vec![Member::default()],
            joined: 0,
            post: 0,
            sent: 0,
            sent_at: vec![Instant::now()],
            answered: 0,
            delivered: 0,
            bytes: 0,
            latencies: None,
            remembers: false,
        }
    }

    fn is_quiet(&self) -> bool {
        let answers = !self.server.is_duplex() || self.answered == self.sent;
        let present = self.members.iter().skip(1).filter(|member| member.joined);
        answers && self.joined > 1 && present.clone().all(|member| member.last == self.sent)
    }

    fn hear(&mut self, who: usize, out: &mut Outbox, news: News) -> Result<()> {
        let server = if who == WRITER {
            self.server.of_writer()
        } else {
            self.server
        };
        let member = &mut self.members[who];
        let payload = match news {
            News::Opened if who == WRITER && server.is_duplex() => {
                Server::hello(out);
                out.text(post(ROOM, WRITER, 0).as_bytes());
                return Ok(());
            }
            News::Opened => {
                if server.join(member.cursor.as_ref(), out) {
                    self.join(who);
                }
                return Ok(());
            }
            News::Payload(payload) => payload,
        };
        match server.hear(payload, member.cursor.as_ref(), out)? {
            Heard::Message(number) => self.message(who, number, payload)?,
            Heard::Joined(cursor) => {
                if self.remembers && member.cursor.is_none() {
                    member.cursor = Some(cursor);
                }
                self.join(who);
            }
            Heard::Reply { number: 0, seq, .. } => {
                self.post = seq;
                self.join(who);
            }
            Heard::Reply { .. } => self.answered += 1,
            Heard::Other => {}
        }
        Ok(())
    }

    fn join(&mut self, who: usize) {
        let member = &mut self.members[who];
        if !member.joined {
            // Who comes without a cursor hears what is said from now on.
            if member.cursor.as_ref().is_none_or(|cursor| cursor.place.is_empty()) || !self.remembers {
                member.last = self.sent;
            }
            member.joined = true;
            self.joined += 1;
        }
    }

    fn message(&mut self, who: usize, number: u64, payload: &[u8]) -> Result<()> {
        let member = &mut self.members[who];
        if number != member.last + 1 {
            return Err(format!("member {who} got message {number} after {}", member.last).into());
        }
        member.last = number;
        if let (true, Some(cursor)) = (self.remembers, &mut member.cursor) {
            cursor.place = self.server.place(payload);
        }
        self.delivered += 1;
        self.bytes += payload.len() as u64;
        if let Some(latencies) = &mut self.latencies {
            latencies.add(self.sent_at[number as usize].elapsed());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(number: u64) -> String {
        format!(
            "{{\"event\":{{\"seq\":{},\"text\":\"#{number:012}\"}}}}}}}}",
            number + 10
        )
    }

    #[test]
    fn every_message_comes_once_and_in_order_or_the_measurement_fails() {
        let out = &mut Outbox::default();
        let mut room = Room::new(Server::Ws);
        room.members.push(Member::default());
        room.sent = 4;
        room.hear(1, out, News::Opened).unwrap();
        room.joined += 1;
        assert!(room.is_quiet(), "who comes hears what is said from then on");
        room.sent = 6;
        room.hear(1, out, News::Payload(event(5).as_bytes())).unwrap();
        assert!(!room.is_quiet());
        for wrong in [5, 4, 7] {
            assert!(
                room.hear(1, out, News::Payload(event(wrong).as_bytes())).is_err(),
                "{wrong}"
            );
        }
        room.hear(1, out, News::Payload(event(6).as_bytes())).unwrap();
        assert!(room.is_quiet());
        assert_eq!(room.delivered, 2);
    }

    #[test]
    fn who_was_cut_off_goes_on_where_it_stood() {
        let out = &mut Outbox::default();
        let mut room = Room::new(Server::Json);
        room.remembers = true;
        room.members.push(Member::default());
        let verdict = |verdict: &str| {
            format!(
                "{{\"verdict\":{{\"topic\":\"chat/bench\",\"verdict\":{{\"{verdict}\":{{\"epoch\":5,\"seq\":10}}}}}}}}"
            )
        };
        room.hear(1, out, News::Payload(verdict("reset").as_bytes())).unwrap();
        room.hear(1, out, News::Payload(event(1).as_bytes())).unwrap();
        let cursor = room.members[1].cursor.clone().unwrap();
        assert_eq!((&*cursor.log, &*cursor.place), ("5", "11"));
        room.members[1].joined = false;
        room.sent = 2;
        assert!(room.hear(1, out, News::Payload(verdict("reset").as_bytes())).is_err());
        room.hear(1, out, News::Payload(verdict("resumed").as_bytes())).unwrap();
        room.hear(1, out, News::Payload(event(2).as_bytes())).unwrap();
        assert_eq!(room.members[1].last, 2);
    }
}
