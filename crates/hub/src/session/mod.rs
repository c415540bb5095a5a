//! Sessions: the protocol state of one session, the reader of its topics, and its rate limits.

mod authorize;
mod protocol;
mod rate_limit;
mod reader;

pub use self::authorize::authorize_write;
pub use self::protocol::{ProtocolError, Session, SessionAction};
pub use self::rate_limit::Bucket;
pub use self::reader::{Reader, SubscribeReply, VerdictKind, encode_frame};
