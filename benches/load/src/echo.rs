//! One message sent over and over and its echo expected; and what idle connections cost.

use crate::{
    Result,
    args::Args,
    client::Client,
    process::{Used, settled},
};
use mio::{Events, Interest, Poll, Token, unix::SourceFd};
use std::time::{Duration, Instant};

fn connect(args: &Args, connections: u32) -> Result<Vec<Client>> {
    let (addr, path, size) = (args.addr()?, args.text("path")?, args.number("size")?);
    (0..connections)
        .map(|nth| Client::connect(addr, path, size as usize, nth))
        .collect()
}

/// Keeps `in_flight` messages under way on every connection: all replies that are ready are read, then as many messages sent in one write.
pub fn echo(args: &Args) -> Result<()> {
    let (pid, in_flight) = (args.number("pid")?, args.number("in_flight")?);
    let (warmup, seconds) = (args.seconds("warmup")?, args.seconds("seconds")?);
    let mut clients = connect(args, args.number("connections")?)?;

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
    let start = Used::now(pid)?;
    let messages = run(seconds)?;
    let used = start.until_now()?;
    if messages == 0 || used.server == 0.0 {
        return Err(format!(
            "{messages} messages came back, process {pid} used {} s of CPU",
            used.server
        )
        .into());
    }
    println!(
        r#"{{"messages":{messages},"seconds":{:.3},"rate":{:.0},"cpu_us":{:.4},{}}}"#,
        used.wall,
        messages as f64 / used.wall,
        used.server * 1e6 / messages as f64,
        used.busy(),
    );
    Ok(())
}

/// The server's resident memory before, with `connections` that never spoke, and after one message on each.
pub fn idle(args: &Args) -> Result<()> {
    let (pid, connections, collect) = (
        args.number("pid")?,
        args.number("connections")?,
        args.number("collect")? > 0,
    );
    // What the server allocates once, on its first connections, is no cost of a connection.
    say_one_message(&mut connect(args, 100)?)?;
    let before = settled(pid, collect)?;
    let mut clients = connect(args, connections)?;
    let silent = settled(pid, collect)?;
    say_one_message(&mut clients)?;
    let spoken = settled(pid, collect)?;
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
