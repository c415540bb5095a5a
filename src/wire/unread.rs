//! The unread hint, which tells a page without subscriptions that its visitor has something unread. These are the data of its
//! server-sent event.

/// Something was already unread when the page asked.
pub const ALREADY_UNREAD: &str = "waits";

/// Something arrived while the page was listening.
pub const NEWLY_UNREAD: &str = "came";
