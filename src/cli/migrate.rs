//! `duplex migrate`: moves the topics between a data file and a PostgreSQL database.

use std::error::Error;

use duplex::server::data::Data;
use duplex_hub::log::transfer::{to_database, to_file};

use super::output::out;

#[derive(Debug, clap::Args)]
pub struct Migrate {
    /// Data file or database that has the topics; it is not changed. No server may use it
    #[arg(value_name = "FROM")]
    from: Data,

    /// Database without topics, or data file that does not exist yet
    #[arg(value_name = "TO")]
    to: Data,
}

impl Migrate {
    pub fn run(self) -> Result<(), Box<dyn Error>> {
        let report = match (&self.from, &self.to) {
            (Data::File(file), Data::Database(_)) => {
                let database = self.to.database().transpose()?.ok_or(BOTH_THE_SAME)?;
                super::block_on(async { Ok(to_database(file, database).await?) })?
            }
            (Data::Database(_), Data::File(file)) => {
                let database = self.from.database().transpose()?.ok_or(BOTH_THE_SAME)?;
                super::block_on(async { Ok(to_file(database, file).await?) })?
            }
            _ => return Err(BOTH_THE_SAME.into()),
        };
        out!(
            "{}: {} topics and {} events, each compared with {}",
            self.to,
            report.topics,
            report.events,
            self.from
        )?;
        Ok(())
    }
}

const BOTH_THE_SAME: &str = "one of FROM and TO is a data file, and the other one the URL of a database (postgres://…)";
