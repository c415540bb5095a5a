//! `duplex topics`: lists the active topics of a server.

use std::error::Error;

use duplex::server::config::Config;
use duplex::server::operator::TOPICS_PATH;
use duplex_hub::TopicStats;

use super::output::out;
use super::remote::Remote;

#[derive(Debug, clap::Args)]
pub struct Topics {
    #[command(flatten)]
    remote: Remote,

    /// Prints one JSON object per line
    #[arg(long)]
    json: bool,
}

impl Topics {
    pub fn run(self, config: &Config) -> Result<(), Box<dyn Error>> {
        let server = self.remote.server(config)?;
        let topics: Vec<TopicStats> = super::block_on(async { Ok(server.get(TOPICS_PATH).await?) })?;
        if self.json {
            for topic in topics {
                out!("{}", serde_json::to_string(&topic)?)?;
            }
            return Ok(());
        }
        out!("{:<40} {:>12} {:>12} {:>8}", "TOPIC", "SEQ", "SUBSCRIBERS", "WAITING")?;
        for TopicStats {
            topic,
            seq,
            subscribers,
            queued,
            ..
        } in topics
        {
            out!(
                "{topic:<40} {seq:>12} {subscribers:>12} {queued:>8}",
                topic = topic.as_str()
            )?;
        }
        Ok(())
    }
}
