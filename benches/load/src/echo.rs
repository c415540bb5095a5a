//! The throughput of echoes, and the memory of idle connections.

use crate::{
    Result,
    args::Args,
    echo_client::EchoClient,
    latency::Latencies,
    process::{CpuUsage, settled_memory},
};
use mio::{Events, Interest, Poll, Token, unix::SourceFd};
use std::time::{Duration, Instant};

fn connect(args: &Args, connections: u32) -> Result<Vec<EchoClient>> {
    let (addr, path, size) = (args.addr()?, args.text("path")?, args.number("size")?);
    (0..connections)
        .map(|nth| EchoClient::connect(addr, path, size as usize, nth))
        .collect()
}

/// Keeps `in_flight` messages in flight on every connection: reads all available replies, then sends as many messages in one write.
/// The latency is that of a message if only one is in flight, otherwise from the last write to the replies that are read together.
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

    let mut latencies = Latencies::default();
    let mut run = |latencies: &mut Latencies, duration: Duration| -> Result<u64> {
        let (end, mut echoed) = (Instant::now() + duration, 0);
        while Instant::now() < end {
            poll.poll(&mut events, Some(Duration::from_millis(100)))?;
            for event in &events {
                let client = &mut clients[event.token().0];
                let replies = client.receive()?;
                if replies > 0 {
                    latencies.add(client.sent_at.elapsed());
                }
                client.send(replies)?;
                echoed += u64::from(replies);
            }
        }
        Ok(echoed)
    };

    run(&mut Latencies::default(), warmup)?;
    let start = CpuUsage::now(pid)?;
    let messages = run(&mut latencies, seconds)?;
    let used = start.since_start()?;
    if messages == 0 || used.server == 0.0 {
        return Err(format!(
            "{messages} messages came back, process {pid} used {} s of CPU",
            used.server
        )
        .into());
    }
    println!(
        r#"{{"messages":{messages},"seconds":{:.3},"rate":{:.0},"cpu_us":{:.4},{},{}}}"#,
        used.wall,
        messages as f64 / used.wall,
        used.server * 1e6 / messages as f64,
        latencies.json(),
        used.busy(),
    );
    Ok(())
}

/// The server's resident memory before, with `connections` that sent nothing, and after one message on each.
pub fn idle(args: &Args) -> Result<()> {
    let (pid, connections, collect) = (
        args.number("pid")?,
        args.number("connections")?,
        args.number("collect")? > 0,
    );
    // The first connections exclude one-time allocations of the server from the measurement.
    echo_once(&mut connect(args, 100)?)?;
    let before = settled_memory(pid, collect)?;
    let mut clients = connect(args, connections)?;
    let silent = settled_memory(pid, collect)?;
    echo_once(&mut clients)?;
    let spoken = settled_memory(pid, collect)?;
    let each = |now: u64| (now as f64 - before as f64) / f64::from(connections);
    println!(
        r#"{{"connections":{connections},"before":{before},"silent":{silent},"spoken":{spoken},"idle_bytes":{:.0},"spoken_bytes":{:.0}}}"#,
        each(silent),
        each(spoken)
    );
    Ok(())
}

fn echo_once(clients: &mut [EchoClient]) -> Result<()> {
    clients.iter_mut().try_for_each(|client| client.send(1))?;
    clients.iter_mut().try_for_each(EchoClient::receive_one)
}
