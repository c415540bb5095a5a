//! Fan-out from one writer to many members: saturated, then at a modest rate to measure the latency of a delivery.

use crate::{
    Result,
    args::Args,
    fanout_room::{CONNECT_CONCURRENCY, FanoutRoom},
    latency::Latencies,
    process::CpuUsage,
};
use std::time::{Duration, Instant};

/// Keeps `window` undelivered messages in flight, then sends as many messages as cause `rate` deliveries a second, at equal intervals.
pub fn fanout(args: &Args) -> Result<()> {
    let (pid, members) = (args.number("pid")?, u64::from(args.number("members")?));
    let (window, rate) = (u64::from(args.number("window")?), u64::from(args.number("rate")?));
    let mut room = FanoutRoom::open(args)?;
    room.join(1..=members as usize, CONNECT_CONCURRENCY)?;

    let saturate = |room: &mut FanoutRoom, duration: Duration| -> Result<u64> {
        let (before, end) = (room.state().delivered, Instant::now() + duration);
        while Instant::now() < end {
            let state = room.state();
            let free = (state.delivered / members + window).saturating_sub(state.sent);
            if free > 0 {
                room.send(free)?;
            }
            room.poll(Duration::from_millis(20))?;
        }
        Ok(room.state().delivered - before)
    };
    saturate(&mut room, args.seconds("warmup")?)?;
    let start = CpuUsage::now(pid)?;
    let deliveries = saturate(&mut room, args.seconds("seconds")?)?;
    let used = start.since_start()?;
    room.wait_until_delivered()?;

    let (count, before) = (
        (rate * args.seconds("paced")?.as_secs()).div_ceil(members),
        room.state().delivered,
    );
    room.run_for(Duration::from_millis(500))?;
    room.state().latencies = Some(Latencies::default());
    let (paced_start, began) = (CpuUsage::now(pid)?, Instant::now());
    for nth in 0..count {
        let due = began + Duration::from_nanos(nth * members * 1_000_000_000 / rate);
        while let Some(wait) = due
            .checked_duration_since(Instant::now())
            .filter(|wait| !wait.is_zero())
        {
            room.poll(wait)?;
        }
        room.send(1)?;
    }
    room.wait_until_delivered()?;
    let paced_usage = paced_start.since_start()?;

    let state = room.state();
    let (latencies, paced) = (state.latencies.take().unwrap_or_default(), state.delivered - before);
    if deliveries == 0 || latencies.len() as u64 != paced || paced != count * members {
        return Err(format!("{deliveries} deliveries, then {paced} of {}", count * members).into());
    }
    println!(
        r#"{{"members":{members},"rate":{:.0},"cpu_us":{:.4},"wire_bytes":{:.1},{},"paced_rate":{rate},"paced_cpu_us":{:.4},{}}}"#,
        deliveries as f64 / used.wall,
        used.server * 1e6 / deliveries as f64,
        state.wire_bytes as f64 / state.delivered as f64,
        used.busy(),
        paced_usage.server * 1e6 / paced as f64,
        latencies.json(),
    );
    Ok(())
}
