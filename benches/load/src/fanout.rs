//! One writer, many members: as much as the server can, and then a modest rate, to see how long a delivery takes.

use crate::{
    Result,
    args::Args,
    hall::{GENTLY, Hall},
    latency::Latencies,
    process::Used,
};
use std::time::{Duration, Instant};

/// Keeps `window` messages under way that have not come to everybody; then sends `rate` a second.
pub fn fanout(args: &Args) -> Result<()> {
    let (pid, members) = (args.number("pid")?, u64::from(args.number("members")?));
    let (window, rate) = (u64::from(args.number("window")?), args.number("rate")?);
    let mut hall = Hall::open(args)?;
    hall.enter(1..=members as usize, GENTLY)?;

    let saturate = |hall: &mut Hall, length: Duration| -> Result<u64> {
        let (before, end) = (hall.room().delivered, Instant::now() + length);
        while Instant::now() < end {
            let room = hall.room();
            let wanted = (room.delivered / members + window).saturating_sub(room.sent);
            if wanted > 0 {
                hall.send(wanted)?;
            }
            hall.turn(Duration::from_millis(20))?;
        }
        Ok(hall.room().delivered - before)
    };
    saturate(&mut hall, args.seconds("warmup")?)?;
    let start = Used::now(pid)?;
    let deliveries = saturate(&mut hall, args.seconds("seconds")?)?;
    let used = start.until_now()?;
    hall.hear_all()?;

    let (count, before) = (
        u64::from(rate) * args.seconds("paced")?.as_secs(),
        hall.room().delivered,
    );
    hall.listen(Duration::from_millis(500))?;
    hall.room().latencies = Some(Latencies::default());
    let (calm, began) = (Used::now(pid)?, Instant::now());
    for nth in 0..count {
        let due = began + Duration::from_secs(1) * nth as u32 / rate;
        while let Some(wait) = due
            .checked_duration_since(Instant::now())
            .filter(|wait| !wait.is_zero())
        {
            hall.turn(wait)?;
        }
        hall.send(1)?;
    }
    hall.hear_all()?;
    let calm = calm.until_now()?;

    let room = hall.room();
    let (latencies, paced) = (room.latencies.take().unwrap_or_default(), room.delivered - before);
    if deliveries == 0 || latencies.len() as u64 != paced || paced != count * members {
        return Err(format!("{deliveries} deliveries, then {paced} of {}", count * members).into());
    }
    println!(
        r#"{{"members":{members},"rate":{:.0},"cpu_us":{:.4},"bytes":{:.1},{},"paced_rate":{rate},"paced_cpu_us":{:.4},{}}}"#,
        deliveries as f64 / used.wall,
        used.server * 1e6 / deliveries as f64,
        room.bytes as f64 / room.delivered as f64,
        used.busy(),
        calm.server * 1e6 / paced as f64,
        latencies.json(),
    );
    Ok(())
}
