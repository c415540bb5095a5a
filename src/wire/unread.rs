//! What a page that follows no topics yet is told: that something waits for its visitor. The words are the data of a
//! server-sent event.

/// It waited when the page asked.
pub const ALREADY_UNREAD: &str = "waits";

/// It came while the page listened.
pub const NEWLY_UNREAD: &str = "came";
