//! Commands to Duplex, each of which makes one event that is kept before it is answered.

use crate::{
    Result,
    args::Args,
    crowd::Crowd,
    latency::Latencies,
    process::Used,
    server::{Heard, ROOM, Server, edit, post},
    socket::{News, Outbox},
};
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(30);

struct Flow {
    topics: Vec<String>,
    /// In each topic, the message that is edited.
    posts: Vec<u64>,
    /// And the newest event's seq.
    newest: Vec<u64>,
    sessions: Vec<Session>,
    in_flight: u64,
    accepted: u64,
    latencies: Option<Latencies>,
}

#[derive(Default)]
struct Session {
    sent: u64,
    under_way: HashMap<u64, Instant>,
}

pub fn commands(args: &Args) -> Result<()> {
    let (pid, sessions, topics) = (
        args.number("pid")?,
        args.number("sessions")? as usize,
        args.number("topics")?,
    );
    let mut crowd = Crowd::new(args.addr()?)?;
    let mut flow = Flow {
        topics: (0..topics).map(|nth| format!("{ROOM}-{nth}")).collect(),
        posts: Vec::new(),
        newest: vec![0; topics as usize],
        sessions: (0..sessions).map(|_| Session::default()).collect(),
        in_flight: args.number("in_flight")?.into(),
        accepted: 0,
        latencies: None,
    };
    let (door, deadline) = (Server::Json.door(true), Instant::now() + PATIENCE);
    crowd.connect(0, &door)?;
    while flow.posts.len() < flow.topics.len() {
        if Instant::now() > deadline {
            return Err(format!("{} of {topics} topics are there", flow.posts.len()).into());
        }
        crowd.turn(Duration::from_millis(100), |_, out, news| flow.prepare(out, news))?;
    }
    for who in 1..sessions {
        crowd.connect(who, &door)?;
    }
    crowd.say(0, |out| flow.fill(0, out))?;

    let mut run = |flow: &mut Flow, length: Duration| -> Result<u64> {
        let (before, end) = (flow.accepted, Instant::now() + length);
        while Instant::now() < end {
            crowd.turn(Duration::from_millis(100), |who, out, news| flow.hear(who, out, news))?;
        }
        Ok(flow.accepted - before)
    };
    run(&mut flow, args.seconds("warmup")?)?;
    flow.latencies = Some(Latencies::default());
    let start = Used::now(pid)?;
    let accepted = run(&mut flow, args.seconds("seconds")?)?;
    let used = start.until_now()?;
    let events: u64 = std::iter::zip(&flow.newest, &flow.posts)
        .map(|(newest, post)| newest.saturating_sub(*post))
        .sum();
    if accepted == 0 || events < flow.accepted {
        return Err(format!("{} commands were accepted and made {events} events", flow.accepted).into());
    }
    println!(
        r#"{{"commands":{accepted},"rate":{:.0},"cpu_us":{:.4},{},{}}}"#,
        accepted as f64 / used.wall,
        used.server * 1e6 / accepted as f64,
        flow.latencies.take().unwrap_or_default().json(),
        used.busy(),
    );
    Ok(())
}

impl Flow {
    /// A message in each topic, one after the other.
    fn prepare(&mut self, out: &mut Outbox, news: News) -> Result<()> {
        match news {
            News::Opened => Server::hello(out),
            News::Payload(payload) => match Server::Json.hear(payload, None, out)? {
                Heard::Reply { seq, .. } => self.posts.push(seq),
                // The welcome.
                _ if self.posts.is_empty() => {}
                _ => return Ok(()),
            },
        }
        if let (News::Payload(_), Some(topic)) = (news, self.topics.get(self.posts.len())) {
            let session = &mut self.sessions[0];
            session.sent += 1;
            out.text(post(topic, 0, session.sent).as_bytes());
        }
        Ok(())
    }

    fn hear(&mut self, who: usize, out: &mut Outbox, news: News) -> Result<()> {
        match news {
            News::Opened => Server::hello(out),
            News::Payload(payload) => match Server::Json.hear(payload, None, out)? {
                Heard::Reply { number, seq, .. } => self.answered(who, number, seq)?,
                _ => return Ok(()),
            },
        }
        self.fill(who, out);
        Ok(())
    }

    fn answered(&mut self, who: usize, number: u64, seq: u64) -> Result<()> {
        let sent = self.sessions[who].under_way.remove(&number);
        let sent = sent.ok_or_else(|| format!("command {number} was answered twice, or another's"))?;
        let newest = &mut self.newest[topic_of(who, number, self.topics.len())];
        *newest = seq.max(*newest);
        self.accepted += 1;
        if let Some(latencies) = &mut self.latencies {
            latencies.add(sent.elapsed());
        }
        Ok(())
    }

    fn fill(&mut self, who: usize, out: &mut Outbox) {
        let session = &mut self.sessions[who];
        while (session.under_way.len() as u64) < self.in_flight {
            session.sent += 1;
            let nth = topic_of(who, session.sent, self.topics.len());
            let command = edit(&self.topics[nth], who, session.sent, self.posts[nth]);
            out.text(command.as_bytes());
            session.under_way.insert(session.sent, Instant::now());
        }
    }
}

/// From one topic to the next, and each session from another one on.
fn topic_of(who: usize, number: u64, topics: usize) -> usize {
    (who + number as usize) % topics
}
