//! Commands to Duplex, each of which appends one durable event before it is answered.

use crate::{
    Result,
    args::Args,
    clients::Clients,
    latency::Latencies,
    process::CpuUsage,
    server::{ROOM, Server, ServerMessage, edit, post},
    socket::{Outbox, SocketEvent},
};
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

const TIMEOUT: Duration = Duration::from_secs(30);

struct CommandLoad {
    topics: Vec<String>,
    /// The seq of the edited message in each topic.
    posts: Vec<u64>,
    /// The seq of the newest event in each topic.
    newest: Vec<u64>,
    sessions: Vec<Session>,
    in_flight: u64,
    accepted: u64,
    latencies: Option<Latencies>,
}

#[derive(Default)]
struct Session {
    sent: u64,
    pending: HashMap<u64, Instant>,
}

pub fn commands(args: &Args) -> Result<()> {
    let (pid, sessions, topics) = (
        args.number("pid")?,
        args.number("sessions")? as usize,
        args.number("topics")?,
    );
    let mut clients = Clients::new(args.addr()?)?;
    let mut load = CommandLoad {
        topics: (0..topics).map(|nth| format!("{ROOM}-{nth}")).collect(),
        posts: Vec::new(),
        newest: vec![0; topics as usize],
        sessions: (0..sessions).map(|_| Session::default()).collect(),
        in_flight: args.number("in_flight")?.into(),
        accepted: 0,
        latencies: None,
    };
    let (endpoint, deadline) = (Server::Json.endpoint(true, false), Instant::now() + TIMEOUT);
    clients.connect(0, &endpoint)?;
    while load.posts.len() < load.topics.len() {
        if Instant::now() > deadline {
            return Err(format!("only {} of {topics} topics are ready", load.posts.len()).into());
        }
        clients.poll(Duration::from_millis(100), |_, out, event| load.prepare(out, event))?;
    }
    for session_id in 1..sessions {
        clients.connect(session_id, &endpoint)?;
    }
    clients.send(0, |out| load.send_pending(0, out))?;

    let mut run = |load: &mut CommandLoad, duration: Duration| -> Result<u64> {
        let (before, end) = (load.accepted, Instant::now() + duration);
        while Instant::now() < end {
            clients.poll(Duration::from_millis(100), |session_id, out, event| {
                load.on_event(session_id, out, event)
            })?;
        }
        Ok(load.accepted - before)
    };
    run(&mut load, args.seconds("warmup")?)?;
    load.latencies = Some(Latencies::default());
    let start = CpuUsage::now(pid)?;
    let accepted = run(&mut load, args.seconds("seconds")?)?;
    let used = start.since_start()?;
    let events: u64 = std::iter::zip(&load.newest, &load.posts)
        .map(|(newest, post)| newest.saturating_sub(*post))
        .sum();
    if accepted == 0 || events < load.accepted {
        return Err(format!("{} commands were accepted but appended {events} events", load.accepted).into());
    }
    println!(
        r#"{{"commands":{accepted},"rate":{:.0},"cpu_us":{:.4},{},{}}}"#,
        accepted as f64 / used.wall,
        used.server * 1e6 / accepted as f64,
        load.latencies.take().unwrap_or_default().json(),
        used.busy(),
    );
    Ok(())
}

impl CommandLoad {
    /// Posts a message to each topic, one after the other.
    fn prepare(&mut self, out: &mut Outbox, event: SocketEvent) -> Result<()> {
        match event {
            SocketEvent::Opened => Server::hello(out),
            SocketEvent::Payload { payload, .. } => match Server::Json.decode(payload, None, out)? {
                ServerMessage::Reply { seq, .. } => self.posts.push(seq),
                // The welcome.
                _ if self.posts.is_empty() => {}
                _ => return Ok(()),
            },
        }
        if let (SocketEvent::Payload { .. }, Some(topic)) = (event, self.topics.get(self.posts.len())) {
            let session = &mut self.sessions[0];
            session.sent += 1;
            out.text(post(topic, 0, session.sent).as_bytes());
        }
        Ok(())
    }

    fn on_event(&mut self, session_id: usize, out: &mut Outbox, event: SocketEvent) -> Result<()> {
        match event {
            SocketEvent::Opened => Server::hello(out),
            SocketEvent::Payload { payload, .. } => match Server::Json.decode(payload, None, out)? {
                ServerMessage::Reply { number, seq, .. } => self.on_reply(session_id, number, seq)?,
                _ => return Ok(()),
            },
        }
        self.send_pending(session_id, out);
        Ok(())
    }

    fn on_reply(&mut self, session_id: usize, number: u64, seq: u64) -> Result<()> {
        let sent = self.sessions[session_id].pending.remove(&number);
        let sent = sent.ok_or_else(|| format!("command {number} was answered twice or not sent by this session"))?;
        let newest = &mut self.newest[topic_of(session_id, number, self.topics.len())];
        *newest = seq.max(*newest);
        self.accepted += 1;
        if let Some(latencies) = &mut self.latencies {
            latencies.add(sent.elapsed());
        }
        Ok(())
    }

    /// Sends commands until `in_flight` of them are pending.
    fn send_pending(&mut self, session_id: usize, out: &mut Outbox) {
        let session = &mut self.sessions[session_id];
        while (session.pending.len() as u64) < self.in_flight {
            session.sent += 1;
            let nth = topic_of(session_id, session.sent, self.topics.len());
            let command = edit(&self.topics[nth], session_id, session.sent, self.posts[nth]);
            out.text(command.as_bytes());
            session.pending.insert(session.sent, Instant::now());
        }
    }
}

/// Each session goes round the topics, starting at another one.
fn topic_of(session_id: usize, number: u64, topics: usize) -> usize {
    (session_id + number as usize) % topics
}
