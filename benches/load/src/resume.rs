//! Reconnection: all members but one are disconnected, miss events, and reconnect at once. Measures the time until all are current.

use crate::{
    Result,
    args::Args,
    fanout_room::{CONNECT_CONCURRENCY, FanoutRoom},
    latency::Latencies,
    process::CpuUsage,
};
use std::time::{Duration, Instant};

/// How long the server takes to detect the disconnects.
const DISCONNECT_TIME: Duration = Duration::from_secs(1);

pub fn resume(args: &Args) -> Result<()> {
    let (pid, members, events) = (
        args.number("pid")?,
        args.number("members")? as usize,
        args.number("events")?,
    );
    let mut room = FanoutRoom::open(args)?;
    room.state().keeps_cursors = true;
    // The first member stays connected and confirms that the events were delivered.
    room.join(1..=members + 1, CONNECT_CONCURRENCY)?;
    room.send(1)?;
    room.wait_until_delivered()?;

    room.disconnect(2..=members + 1)?;
    room.run_for(DISCONNECT_TIME)?;
    room.send(u64::from(events))?;
    room.wait_until_delivered()?;

    room.state().latencies = Some(Latencies::default());
    let (before, start, began) = (room.state().delivered, CpuUsage::now(pid)?, Instant::now());
    room.join(2..=members + 1, members)?;
    let joined = began.elapsed();
    room.wait_until_delivered()?;
    let (current, used) = (began.elapsed(), start.since_start()?);
    let replayed = room.state().delivered - before;
    if replayed != u64::from(events) * members as u64 {
        return Err(format!("{replayed} events were replayed, not {events} to each of {members}").into());
    }
    println!(
        r#"{{"members":{members},"events":{events},"joined_ms":{:.1},"current_ms":{:.1},"cpu_us":{:.1},{}}}"#,
        joined.as_secs_f64() * 1e3,
        current.as_secs_f64() * 1e3,
        used.server * 1e6 / members as f64,
        used.busy(),
    );
    Ok(())
}
