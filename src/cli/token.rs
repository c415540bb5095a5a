//! `duplex token`: for scripts, as in `-H "Authorization: Bearer $(duplex token)"`.

use std::error::Error;

use duplex::server::config::Config;

pub fn run(config: &Config) -> Result<(), Box<dyn Error>> {
    println!("{}", config.token()?.as_str());
    Ok(())
}
