//! The command-line arguments of a measurement.

use crate::Result;
use std::{collections::HashMap, net::SocketAddr, time::Duration};

/// Arguments of the form `key=value ...`.
pub struct Args(HashMap<String, String>);

impl Args {
    pub fn parse(args: impl Iterator<Item = String>) -> Self {
        let pair = |arg: String| {
            arg.split_once('=')
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
        };
        Self(args.filter_map(pair).collect())
    }

    pub fn addr(&self) -> Result<SocketAddr> {
        Ok(self.text("addr")?.parse()?)
    }

    pub fn text(&self, key: &str) -> Result<&str> {
        Ok(self.0.get(key).ok_or_else(|| format!("{key}= is missing"))?)
    }

    pub fn number(&self, key: &str) -> Result<u32> {
        Ok(self.text(key)?.parse().map_err(|_| format!("{key}= is not a number"))?)
    }

    /// False if the argument is missing or 0.
    pub fn flag(&self, key: &str) -> bool {
        self.0.get(key).is_some_and(|value| value != "0")
    }

    pub fn seconds(&self, key: &str) -> Result<Duration> {
        Ok(Duration::from_secs(self.number(key)?.into()))
    }
}
