//! What members of a room cost in memory: when they have come in, and when each has heard one message.

use crate::{
    Result,
    args::Args,
    hall::{GENTLY, Hall},
    process::settled,
};
use std::time::Duration;

/// So long all that a server has to say of who is there is heard.
const QUIET: Duration = Duration::from_secs(2);

pub fn members(args: &Args) -> Result<()> {
    let (pid, members) = (args.number("pid")?, args.number("members")? as usize);
    let collect = args.number("collect")? > 0;
    let mut hall = Hall::open(args)?;
    // What the server allocates once, on its first members, is no cost of a member.
    hall.enter(1..=100, GENTLY)?;
    hall.send(1)?;
    hall.hear_all()?;
    hall.cut(1..=100)?;
    hall.listen(QUIET)?;
    let before = settled(pid, collect)?;
    let measure = |hall: &mut Hall| -> Result<(u64, f64)> {
        hall.listen(QUIET)?;
        let now = settled(pid, collect)?;
        Ok((now, (now as f64 - before as f64) / members as f64))
    };
    hall.enter(1..=members, GENTLY)?;
    let (silent, idle_bytes) = measure(&mut hall)?;
    hall.send(1)?;
    hall.hear_all()?;
    let (heard, heard_bytes) = measure(&mut hall)?;
    println!(
        r#"{{"members":{members},"before":{before},"silent":{silent},"heard":{heard},"idle_bytes":{idle_bytes:.0},"heard_bytes":{heard_bytes:.0}}}"#
    );
    Ok(())
}
