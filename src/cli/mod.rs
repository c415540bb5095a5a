//! What the binary does beside serving: a command a file. Knows the server's library.

mod backup;
mod device_sim;
mod doctor;
mod http;
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

use self::output::{OutputError, Unread};

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Sends a notification to people who have a page of a server open, or will
    Notify(Box<notify::Notify>),
    /// Simulated devices that report to an MQTT broker, and answer commands
    DeviceSim(device_sim::DeviceSim),
    /// Prints the token without a role; makes tokens with one (create), lists and revokes them
    Token(token::Token),
    /// Prints a link that signs an operator in with a browser: once, and within ten minutes
    SignIn(sign_in::SignIn),
    /// Follows a topic: each of its events once, also after a lost connection
    Tail(tail::Tail),
    /// Sends a command to a topic and prints the answer; exit code 0 says accepted, 1 rejected, 2 that there was no answer
    Send(send::Send),
    /// Lists the topics that are awake on a server
    Topics(topics::Topics),
    /// Keeps a person or an address out, and ends what they have open; operators only, as all that follows
    Ban(moderate::BanArgs),
    /// Lifts a ban
    Unban(moderate::UnbanArgs),
    /// Lists bans, given names and deleted rooms
    Bans(moderate::BansArgs),
    /// Gives a person another name
    Rename(moderate::RenameArgs),
    /// Deletes a message: afterwards no answer and no new backup holds its text
    DeleteMessage(moderate::DeleteMessageArgs),
    /// Deletes a room and everything said in it, for good
    DeleteRoom(moderate::DeleteRoomArgs),
    /// Looks whether a server of this configuration would run well; exit code 1 says that it would not
    Doctor,
    /// Copies the log of a server into a new file while it runs
    Backup(backup::Backup),
    /// Puts a backup in the place of the log of a server that is not running
    Restore(restore::Restore),
}

impl Command {
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
        }
    }
}

/// A failure with an exit code of its own.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct Failed {
    pub code: u8,
    pub text: String,
}

pub fn exit_code(error: &(dyn Error + 'static)) -> ExitCode {
    if is_unread(error) {
        return ExitCode::SUCCESS;
    }
    match error.downcast_ref::<Failed>() {
        Some(failed) => ExitCode::from(failed.code),
        None => ExitCode::FAILURE,
    }
}

/// Whether a command ended because nobody reads its output any more: no failure, and nothing to tell.
pub fn is_unread(error: &(dyn Error + 'static)) -> bool {
    error.is::<Unread>() || matches!(error.downcast_ref(), Some(OutputError::Unread(_)))
}

/// For a command that talks to a server: one thread is enough.
fn block_on<T>(work: impl Future<Output = Result<T, Box<dyn Error>>>) -> Result<T, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(work)
}
