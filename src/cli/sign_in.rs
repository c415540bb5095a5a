//! `duplex sign-in`: a link that makes a browser the operator's, for a server that runs with this data file.

use std::error::Error;

use duplex::server::access::{SignInLinks, link};
use duplex::server::config::Config;

use super::remote::Remote;

#[derive(Debug, clap::Args)]
pub struct SignIn {
    #[command(flatten)]
    remote: Remote,
}

impl SignIn {
    pub fn run(self, config: &Config) -> Result<(), Box<dyn Error>> {
        let base = self.remote.base()?;
        let code = SignInLinks::new(Some(SignInLinks::path(&config.data))).create()?;
        println!("{}", link(&base, &code));
        eprintln!("duplex: it works once, and for ten minutes");
        Ok(())
    }
}
