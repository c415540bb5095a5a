//! Sessions: the protocol state of one session, the reader of its topics, and its rate limits.

mod authorize;
mod protocol;
mod reader;
mod token_bucket;

pub use self::authorize::authorize_write;
pub use self::protocol::{ProtocolError, Session, SessionAction};
pub use self::reader::{Reader, SubscribeReply, VerdictKind, encode_frame};
pub use self::token_bucket::TokenBucket;
