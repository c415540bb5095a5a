//! The memory of a room's members: after they have joined, and after each has received one message.

use crate::{
    Result,
    args::Args,
    fanout_room::{CONNECT_CONCURRENCY, FanoutRoom},
    process::settled_memory,
};
use std::time::Duration;

/// How long to wait for the server's presence messages.
const SETTLE_TIME: Duration = Duration::from_secs(2);

pub fn members(args: &Args) -> Result<()> {
    let (pid, members) = (args.number("pid")?, args.number("members")? as usize);
    let collect = args.number("collect")? > 0;
    let mut room = FanoutRoom::open(args)?;
    // The first members exclude one-time allocations of the server from the measurement.
    room.join(1..=100, CONNECT_CONCURRENCY)?;
    room.send(1)?;
    room.wait_until_delivered()?;
    room.disconnect(1..=100)?;
    room.run_for(SETTLE_TIME)?;
    let before = settled_memory(pid, collect)?;
    let measure = |room: &mut FanoutRoom| -> Result<(u64, f64)> {
        room.run_for(SETTLE_TIME)?;
        let now = settled_memory(pid, collect)?;
        Ok((now, (now as f64 - before as f64) / members as f64))
    };
    room.join(1..=members, CONNECT_CONCURRENCY)?;
    let (silent, idle_bytes) = measure(&mut room)?;
    room.send(1)?;
    room.wait_until_delivered()?;
    let (received, heard_bytes) = measure(&mut room)?;
    println!(
        r#"{{"members":{members},"before":{before},"silent":{silent},"heard":{received},"idle_bytes":{idle_bytes:.0},"heard_bytes":{heard_bytes:.0}}}"#
    );
    Ok(())
}
