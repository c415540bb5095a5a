//! CPU time and memory of a process, from /proc.

use crate::Result;
use std::{fs::read_to_string, process::Command, thread::sleep, time::Duration, time::Instant};

/// User and system time of all threads of a process, in seconds. Linux counts it in hundredths (USER_HZ).
pub fn cpu(pid: u32) -> Result<f64> {
    let stat = read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, in parentheses, may contain spaces; utime and stime are the 12th and 13th fields after it.
    let fields = stat.rsplit_once(')').ok_or("no name in stat")?.1.split_whitespace();
    let ticks: Vec<u64> = fields
        .skip(11)
        .take(2)
        .map(str::parse)
        .collect::<std::result::Result<_, _>>()?;
    Ok(ticks.iter().sum::<u64>() as f64 / 100.0)
}

/// CPU time of all processes and time stolen by the host, in seconds: user, nice, system and steal.
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

/// Resident memory in bytes, without the kernel's socket buffers.
pub fn resident(pid: u32) -> Result<u64> {
    let status = read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .ok_or("no VmRSS in status")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

/// Sends SIGUSR2, on which the Node servers collect garbage.
pub fn collect_garbage(pid: u32) -> Result<()> {
    let sent = Command::new("sh").args(["-c", &format!("kill -USR2 {pid}")]).status()?;
    if sent.success() {
        Ok(())
    } else {
        Err("SIGUSR2 could not be sent".into())
    }
}

/// Resident memory after it has settled.
pub fn settled_memory(pid: u32, collect: bool) -> Result<u64> {
    for _ in 0..2 {
        if collect {
            collect_garbage(pid)?;
        }
        sleep(Duration::from_millis(500));
    }
    resident(pid)
}

/// CPU time in seconds: totals at a moment, or the difference since a start.
pub struct CpuUsage {
    pid: u32,
    at: Instant,
    pub wall: f64,
    pub server: f64,
    generator: f64,
    machine: f64,
}

impl CpuUsage {
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

    pub fn since_start(&self) -> Result<Self> {
        let now = Self::now(self.pid)?;
        Ok(Self {
            wall: self.at.elapsed().as_secs_f64(),
            server: now.server - self.server,
            generator: now.generator - self.generator,
            machine: now.machine - self.machine,
            ..now
        })
    }

    /// Used cores of the server, the generator and other processes, as members of a JSON object.
    pub fn busy(&self) -> String {
        format!(
            r#""server_busy":{:.3},"generator_busy":{:.3},"others_busy":{:.3}"#,
            self.server / self.wall,
            self.generator / self.wall,
            (self.machine - self.server - self.generator) / self.wall,
        )
    }
}
