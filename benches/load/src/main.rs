//! A WebSocket load generator on one thread: frames are made once, replies are compared byte by byte, nothing is parsed.
//! It knows no server: it is told an address and a process id, whose CPU and memory it reads from /proc. One JSON object on stdout.
//!
//!     load echo addr=127.0.0.1:3000 path=/api/echo pid=42 connections=64 in_flight=16 size=125 warmup=2 seconds=3
//!     load idle addr=127.0.0.1:3000 path=/api/echo pid=42 connections=5000 size=125 collect=0

mod client;
mod process;

use client::Client;
use mio::{Events, Interest, Poll, Token, unix::SourceFd};
use std::{
    collections::HashMap,
    error::Error,
    net::SocketAddr,
    thread::sleep,
    time::{Duration, Instant},
};

pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let mode = args.next().unwrap_or_default();
    let args = Args(
        args.filter_map(|arg| arg.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned())))
            .collect(),
    );
    match mode.as_str() {
        "echo" => echo(&args),
        "idle" => idle(&args),
        _ => Err("usage: load echo|idle key=value ... (see the head of main.rs)".into()),
    }
}

struct Args(HashMap<String, String>);

impl Args {
    fn text(&self, key: &str) -> Result<&str> {
        Ok(self.0.get(key).ok_or_else(|| format!("{key}= is missing"))?)
    }

    fn number(&self, key: &str) -> Result<u32> {
        Ok(self.text(key)?.parse().map_err(|_| format!("{key}= is not a number"))?)
    }

    fn seconds(&self, key: &str) -> Result<Duration> {
        Ok(Duration::from_secs(self.number(key)?.into()))
    }

    fn connect(&self, connections: u32) -> Result<Vec<Client>> {
        let (addr, path, size): (SocketAddr, _, _) =
            (self.text("addr")?.parse()?, self.text("path")?, self.number("size")?);
        (0..connections)
            .map(|nth| Client::connect(addr, path, size as usize, nth))
            .collect()
    }
}

/// Keeps `in_flight` messages under way on every connection: all replies that are ready are read, then as many messages sent in one write.
fn echo(args: &Args) -> Result<()> {
    let (pid, in_flight) = (args.number("pid")?, args.number("in_flight")?);
    let (warmup, seconds) = (args.seconds("warmup")?, args.seconds("seconds")?);
    let mut clients = args.connect(args.number("connections")?)?;

    let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(1024));
    for (nth, client) in clients.iter_mut().enumerate() {
        client.set_nonblocking()?;
        poll.registry().register(
            &mut SourceFd(&client.fd()),
            Token(nth),
            Interest::READABLE | Interest::WRITABLE,
        )?;
        client.send(in_flight)?;
    }

    let mut run = |length: Duration| -> Result<u64> {
        let (end, mut echoed) = (Instant::now() + length, 0);
        while Instant::now() < end {
            poll.poll(&mut events, Some(Duration::from_millis(100)))?;
            for event in &events {
                let client = &mut clients[event.token().0];
                let replies = client.receive()?;
                client.send(replies)?;
                echoed += u64::from(replies);
            }
        }
        Ok(echoed)
    };

    run(warmup)?;
    let used = || {
        Ok::<_, Box<dyn Error>>((
            process::cpu(pid)?,
            process::cpu(std::process::id())?,
            process::machine()?,
        ))
    };
    let (before, start) = (used()?, Instant::now());
    let messages = run(seconds)?;
    let (after, wall) = (used()?, start.elapsed().as_secs_f64());
    let (server, generator) = (after.0 - before.0, after.1 - before.1);
    let others = after.2 - before.2 - server - generator;
    if messages == 0 || server == 0.0 {
        return Err(format!("{messages} messages came back, process {pid} used {server} s of CPU").into());
    }
    println!(
        r#"{{"messages":{messages},"seconds":{wall:.3},"rate":{:.0},"cpu_us":{:.4},"server_busy":{:.3},"generator_busy":{:.3},"others_busy":{:.3}}}"#,
        messages as f64 / wall,
        server * 1e6 / messages as f64,
        server / wall,
        generator / wall,
        others / wall,
    );
    Ok(())
}

/// The server's resident memory before, with `connections` that never spoke, and after one message on each.
fn idle(args: &Args) -> Result<()> {
    let (pid, connections, collect) = (
        args.number("pid")?,
        args.number("connections")?,
        args.number("collect")? > 0,
    );
    let settled = || -> Result<u64> {
        for _ in 0..2 {
            if collect {
                process::collect_garbage(pid)?;
            }
            sleep(Duration::from_millis(500));
        }
        process::resident(pid)
    };

    // What the server allocates once, on its first connections, is no cost of a connection.
    say_one_message(&mut args.connect(100)?)?;
    let before = settled()?;
    let mut clients = args.connect(connections)?;
    let silent = settled()?;
    say_one_message(&mut clients)?;
    let spoken = settled()?;
    let each = |now: u64| (now as f64 - before as f64) / f64::from(connections);
    println!(
        r#"{{"connections":{connections},"before":{before},"silent":{silent},"spoken":{spoken},"idle_bytes":{:.0},"spoken_bytes":{:.0}}}"#,
        each(silent),
        each(spoken)
    );
    Ok(())
}

fn say_one_message(clients: &mut [Client]) -> Result<()> {
    clients.iter_mut().try_for_each(|client| client.send(1))?;
    clients.iter_mut().try_for_each(Client::receive_one)
}
