//! What the binary does beside serving: a command a file. Knows the server's library.

mod device_sim;
mod notify;
mod token;

use std::error::Error;

use duplex::server::config::Config;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Sends a notification to people who have a page of a server open, or will
    Notify(Box<notify::Notify>),
    /// Simulated devices that report to an MQTT broker, and answer commands
    DeviceSim(device_sim::DeviceSim),
    /// Prints the token that programs show to the server of this configuration
    Token,
}

impl Command {
    pub fn run(self, config: &Config) -> Result<(), Box<dyn Error>> {
        match self {
            Self::Notify(notify) => notify::run(&notify, config),
            Self::DeviceSim(options) => device_sim::run(options),
            Self::Token => token::run(config),
        }
    }
}
