//! The session's browser runtime: driver, clock, random ids, page events, transports.

pub(crate) mod clock;
pub(crate) mod driver;
pub(crate) mod ids;
pub(crate) mod page_events;
pub(crate) mod tab;
pub(crate) mod transport;
