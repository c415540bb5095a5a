//! The binary's subcommands, one per file.

mod backup;
mod device_sim;
mod doctor;
mod http;
mod migrate;
mod moderate;
mod notify;
pub mod output;
mod remote;
mod restore;
mod send;
mod sign_in;
mod tail;
mod token;
mod topics;

use std::error::Error;
use std::process::ExitCode;

use duplex::server::config::Config;

use self::output::{OutputClosed, OutputError};

#[derive(Debug, clap::Subcommand)]
pub enum Subcommand {
    /// Sends a notification to visitors of a server, now or on their next visit
    Notify(Box<notify::Notify>),
    /// Simulates devices that report to an MQTT broker and answer commands
    DeviceSim(device_sim::DeviceSim),
    /// Prints the token that has all roles; creates, lists and revokes tokens with one role
    Token(token::Token),
    /// Prints a link that signs an operator in with a browser, valid once and for ten minutes
    SignIn(sign_in::SignIn),
    /// Prints a topic's events as they arrive, each exactly once across reconnects
    Tail(tail::Tail),
    /// Sends a command to a topic and prints the answer; exit code 0: accepted, 1: rejected, 2: no answer
    Send(send::Send),
    /// Lists the active topics of a server
    Topics(topics::Topics),
    /// Bans a person or an address, and closes their connections; this and the following commands require an operator
    Ban(moderate::BanArgs),
    /// Lifts a ban
    Unban(moderate::UnbanArgs),
    /// Lists bans, assigned names and deleted rooms
    Bans(moderate::BansArgs),
    /// Assigns a name to a person
    Rename(moderate::RenameArgs),
    /// Deletes a message: no later response or backup contains its text
    DeleteMessage(moderate::DeleteMessageArgs),
    /// Deletes a room and all its messages permanently
    DeleteRoom(moderate::DeleteRoomArgs),
    /// Checks whether a server with this configuration can start; exit code 1 if not
    Doctor,
    /// Copies the log of a running server to a new file
    Backup(backup::Backup),
    /// Replaces a stopped server's log with a backup
    Restore(restore::Restore),
    /// Moves the topics between a data file and a PostgreSQL database, and compares every event
    Migrate(migrate::Migrate),
}

impl Subcommand {
    pub fn run(self, config: &Config) -> Result<(), Box<dyn Error>> {
        match self {
            Self::Notify(notify) => notify.run(config),
            Self::DeviceSim(options) => device_sim::run(options),
            Self::Token(token) => token.run(config),
            Self::SignIn(sign_in) => sign_in.run(config),
            Self::Tail(tail) => tail.run(config),
            Self::Send(send) => send.run(config),
            Self::Topics(topics) => topics.run(config),
            Self::Ban(ban) => ban.run(config),
            Self::Unban(unban) => unban.run(config),
            Self::Bans(bans) => bans.run(config),
            Self::Rename(rename) => rename.run(config),
            Self::DeleteMessage(message) => message.run(config),
            Self::DeleteRoom(room) => room.run(config),
            Self::Doctor => doctor::run(config),
            Self::Backup(backup) => backup.run(config),
            Self::Restore(restore) => restore.run(config),
            Self::Migrate(migrate) => migrate.run(),
        }
    }
}

/// A failure with its own exit code.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct ExitError {
    pub code: u8,
    pub text: String,
}

pub fn exit_code(error: &(dyn Error + 'static)) -> ExitCode {
    if is_output_closed(error) {
        return ExitCode::SUCCESS;
    }
    match error.downcast_ref::<ExitError>() {
        Some(failed) => ExitCode::from(failed.code),
        None => ExitCode::FAILURE,
    }
}

/// Whether a command ended because the reader of its output closed the pipe, which is not a failure.
pub fn is_output_closed(error: &(dyn Error + 'static)) -> bool {
    error.is::<OutputClosed>() || matches!(error.downcast_ref(), Some(OutputError::OutputClosed(_)))
}

/// Runs a client command on a single-threaded runtime.
fn block_on<T>(work: impl Future<Output = Result<T, Box<dyn Error>>>) -> Result<T, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(work)
}
