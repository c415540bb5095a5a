//! What the kernel says of a process.

use crate::Result;
use std::{fs::read_to_string, process::Command, thread::sleep, time::Duration, time::Instant};

/// User and system time of all its threads, in seconds. /proc counts in hundredths on every Linux (USER_HZ).
pub fn cpu(pid: u32) -> Result<f64> {
    let stat = read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, in brackets, may hold blanks; utime and stime are the 12th and 13th fields after it.
    let fields = stat.rsplit_once(')').ok_or("no name in stat")?.1.split_whitespace();
    let ticks: Vec<u64> = fields
        .skip(11)
        .take(2)
        .map(str::parse)
        .collect::<std::result::Result<_, _>>()?;
    Ok(ticks.iter().sum::<u64>() as f64 / 100.0)
}

/// What all processes together used, and what the host took away, in seconds: user, nice, system and steal.
pub fn machine() -> Result<f64> {
    let stat = read_to_string("/proc/stat")?;
    let fields = stat
        .lines()
        .next()
        .ok_or("/proc/stat is empty")?
        .split_whitespace()
        .skip(1);
    let ticks: Vec<u64> = fields.map(str::parse).collect::<std::result::Result<_, _>>()?;
    Ok([0, 1, 2, 7].iter().filter_map(|at| ticks.get(*at)).sum::<u64>() as f64 / 100.0)
}

/// Resident memory in bytes. The kernel's own socket buffers are not part of it.
pub fn resident(pid: u32) -> Result<u64> {
    let status = read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .ok_or("no VmRSS in status")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

/// Asks a server that knows the signal to collect its garbage.
pub fn collect_garbage(pid: u32) -> Result<()> {
    let sent = Command::new("sh").args(["-c", &format!("kill -USR2 {pid}")]).status()?;
    if sent.success() {
        Ok(())
    } else {
        Err("SIGUSR2 could not be sent".into())
    }
}

/// Resident memory when it has come to rest.
pub fn settled(pid: u32, collect: bool) -> Result<u64> {
    for _ in 0..2 {
        if collect {
            collect_garbage(pid)?;
        }
        sleep(Duration::from_millis(500));
    }
    resident(pid)
}

/// CPU that was used, in seconds, by a moment or within a time.
pub struct Used {
    pid: u32,
    at: Instant,
    pub wall: f64,
    pub server: f64,
    generator: f64,
    machine: f64,
}

impl Used {
    pub fn now(pid: u32) -> Result<Self> {
        Ok(Self {
            pid,
            at: Instant::now(),
            wall: 0.0,
            server: cpu(pid)?,
            generator: cpu(std::process::id())?,
            machine: machine()?,
        })
    }

    pub fn until_now(&self) -> Result<Self> {
        let now = Self::now(self.pid)?;
        Ok(Self {
            wall: self.at.elapsed().as_secs_f64(),
            server: now.server - self.server,
            generator: now.generator - self.generator,
            machine: now.machine - self.machine,
            ..now
        })
    }

    /// How much of a core each took, as members of a JSON object.
    pub fn busy(&self) -> String {
        format!(
            r#""server_busy":{:.3},"generator_busy":{:.3},"others_busy":{:.3}"#,
            self.server / self.wall,
            self.generator / self.wall,
            (self.machine - self.server - self.generator) / self.wall,
        )
    }
}
