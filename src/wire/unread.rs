//! The unread hint, which tells a page without subscriptions that its visitor has something unread: the `data` values of its
//! server-sent event.

/// Something was already unread when the stream opened.
pub const ALREADY_UNREAD: &str = "waits";

/// Something arrived after the stream opened.
pub const NEWLY_UNREAD: &str = "came";
