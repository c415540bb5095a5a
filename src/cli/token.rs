//! `duplex token`: prints the legacy token, as in `-H "Authorization: Bearer $(duplex token)"`; creates, lists and revokes tokens with
//! a role. Works without a running server; a running server applies changes within a second.

use std::error::Error;
use std::fs;
use std::io;
use std::time::Duration;

use duplex::server::access::{LEGACY, TokenEnd, TokenRecord};
use duplex::server::config::Config;
use duplex::server::token;
use duplex_hub::{Role, now};

use super::output::{err, out};

#[derive(Debug, clap::Args)]
pub struct Token {
    #[command(subcommand)]
    command: Option<Subcommand>,
}

#[derive(Debug, clap::Subcommand)]
enum Subcommand {
    /// Creates a token and prints it once: only its hash is stored
    Create(Create),
    /// Lists the tokens, without their secrets
    List,
    /// Revokes a token at once, and closes connections that use it
    Revoke {
        /// Id of the token in the list; `legacy` is the token with all roles (from --token or the token file)
        id: String,
    },
}

#[derive(Debug, clap::Args)]
struct Create {
    /// Role: operator (everything), notify, read, device, or device:PATTERN such as device:oven-*
    #[arg(long)]
    role: Role,

    /// Lifetime, such as 90d, 12h, 30m or 45s [default: until it is revoked]
    #[arg(long, value_name = "TIME", value_parser = lifetime)]
    expires: Option<Duration>,

    /// Label shown by `duplex token list`
    #[arg(long, default_value = "", value_parser = name)]
    name: String,
}

/// Maximum name length in characters.
const MAX_NAME: usize = 60;

fn lifetime(text: &str) -> Result<Duration, String> {
    let invalid = || "a whole number and s, m, h or d, such as 90d".to_owned();
    let (number, unit) = text.split_at(text.len() - text.chars().last().map_or(0, char::len_utf8));
    let seconds: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(invalid()),
    };
    let number: u32 = number.parse().map_err(|_| invalid())?;
    Ok(Duration::from_secs(seconds * u64::from(number)))
}

fn name(text: &str) -> Result<String, String> {
    let fits = text.chars().count() <= MAX_NAME && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned())
        .ok_or_else(|| format!("at most {MAX_NAME} characters on one line"))
}

impl Token {
    pub fn run(self, config: &Config) -> Result<(), Box<dyn Error>> {
        match self.command {
            None => out!("{}", config.token()?.as_str())?,
            Some(Subcommand::Create(create)) => create.run(config)?,
            Some(Subcommand::List) => list(config)?,
            Some(Subcommand::Revoke { id }) if id == LEGACY => revoke_legacy(config)?,
            Some(Subcommand::Revoke { id }) => config.tokens().revoke(&id)?,
        }
        Ok(())
    }
}

impl Create {
    /// Prints only the token on standard output, for scripts.
    fn run(self, config: &Config) -> Result<(), Box<dyn Error>> {
        let (secret, record) = config.tokens().create(self.role, &self.name, self.expires)?;
        out!("{}", secret.as_str())?;
        err!(
            "duplex: token {} with the role {}; it is not shown again",
            record.id,
            record.role
        );
        Ok(())
    }
}

fn list(config: &Config) -> Result<(), Box<dyn Error>> {
    let (tokens, now) = (config.tokens(), now());
    out!("{:<8}  {:<24}  {:<26}  NAME", "ID", "ROLE", "STATE")?;
    if config.token.is_some() || (tokens.is_legacy_enabled()? && token::path(&config.credential_base_path()).exists()) {
        out!("{LEGACY:<8}  {:<24}  {:<26}", "all", "valid")?;
    }
    for record in tokens.list()? {
        let (role, state) = (record.role.to_string(), state(&record, now));
        out!("{:<8}  {role:<24}  {state:<26}  {}", record.id, record.name)?;
    }
    Ok(())
}

fn state(record: &TokenRecord, now: u64) -> String {
    match (record.end(now), record.expires) {
        (Some(TokenEnd::Revoked), _) => "revoked".to_owned(),
        (Some(TokenEnd::Expired), _) => "expired".to_owned(),
        (None, None) => "valid".to_owned(),
        (None, Some(expires)) => format!("valid for {}", format_duration(expires.saturating_sub(now) / 1_000)),
    }
}

fn format_duration(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Revokes the tokens of `--token` and next to the data file, so that no legacy token is left, regardless of how the server was
/// started.
fn revoke_legacy(config: &Config) -> Result<(), Box<dyn Error>> {
    let path = token::path(&config.credential_base_path());
    let stored = match fs::read_to_string(&path) {
        Ok(stored) => Some(stored.trim().to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(format!("{}: {error}", path.display()).into()),
    };
    let known = stored.as_deref().into_iter().chain(config.token.as_deref());
    config.tokens().revoke_legacy(known)?;
    if stored.is_some() {
        fs::remove_file(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_are_parsed() {
        assert_eq!(lifetime("90d"), Ok(Duration::from_secs(90 * 86_400)));
        assert_eq!(lifetime("45s"), Ok(Duration::from_secs(45)));
        for wrong in ["", "d", "90", "-1d", "1.5h", "5일", "99999999999d"] {
            assert!(lifetime(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_are_formatted_in_a_suitable_unit() {
        assert_eq!(
            [5, 600, 7_300, 90 * 86_400].map(format_duration),
            ["5 s", "10 min", "2 h", "90 days"]
        );
    }
}
