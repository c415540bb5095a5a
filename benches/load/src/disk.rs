//! The latency of a synced page write on this disk: the lower bound of a durable commit.

use crate::{Result, args::Args, latency::Latencies};
use std::{
    fs::{File, remove_file},
    os::unix::fs::FileExt,
    time::Instant,
};

pub fn disk(args: &Args) -> Result<()> {
    let (path, end) = (args.text("path")?, Instant::now() + args.seconds("seconds")?);
    let (file, mut latencies) = (File::create(path)?, Latencies::default());
    while Instant::now() < end {
        let start = Instant::now();
        // At the same offset, like a reused journal: a growing file costs more.
        file.write_all_at(&[0x5a; 4096], 0)?;
        file.sync_data()?;
        latencies.add(start.elapsed());
    }
    remove_file(path)?;
    println!(r#"{{"syncs":{},{}}}"#, latencies.len(), latencies.json());
    Ok(())
}
