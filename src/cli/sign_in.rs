//! `duplex sign-in`: prints a link that signs an operator in, for a server that runs with this data file.

use std::error::Error;

use duplex::server::access::{SignInLinks, sign_in_url};
use duplex::server::config::Config;

use super::output::{err, out};
use super::remote::base_url;

#[derive(Debug, clap::Args)]
pub struct SignIn {
    /// Server URL for the browser [default: --public-url, or http:// with --addr]
    #[arg(long, env = "DUPLEX_URL", value_name = "URL")]
    url: Option<String>,
}

impl SignIn {
    pub fn run(self, config: &Config) -> Result<(), Box<dyn Error>> {
        let base = match self.url {
            Some(url) => base_url(&url)?,
            None => config.settings()?.base_url(config.addr(None)?.resolve_first()?),
        };
        let code = SignInLinks::new(Some(SignInLinks::path(&config.credential_base_path()))).create()?;
        out!("{}", sign_in_url(&base, &code))?;
        err!("duplex: the link works once, for ten minutes");
        Ok(())
    }
}
