//! All connections but one are cut, something happens, and all come back at once: how long until everybody knows everything.

use crate::{
    Result,
    args::Args,
    hall::{GENTLY, Hall},
    latency::Latencies,
    process::Used,
};
use std::time::{Duration, Instant};

/// Everybody notices that a connection is gone, and forgets it.
const GONE: Duration = Duration::from_secs(1);

pub fn resume(args: &Args) -> Result<()> {
    let (pid, members, events) = (
        args.number("pid")?,
        args.number("members")? as usize,
        args.number("events")?,
    );
    let mut hall = Hall::open(args)?;
    hall.room().remembers = true;
    // The first one stays, and witnesses that the events have happened.
    hall.enter(1..=members + 1, GENTLY)?;
    hall.send(1)?;
    hall.hear_all()?;

    hall.cut(2..=members + 1)?;
    hall.listen(GONE)?;
    hall.send(u64::from(events))?;
    hall.hear_all()?;

    hall.room().latencies = Some(Latencies::default());
    let (before, start, began) = (hall.room().delivered, Used::now(pid)?, Instant::now());
    hall.enter(2..=members + 1, members)?;
    let joined = began.elapsed();
    hall.hear_all()?;
    let (current, used) = (began.elapsed(), start.until_now()?);
    let replayed = hall.room().delivered - before;
    if replayed != u64::from(events) * members as u64 {
        return Err(format!("{replayed} events came, not {events} to each of {members}").into());
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
