//! The time of a visitor's first visit. Public notices from before it do not count as unread.

/// The cookie with the time, in Unix milliseconds; the server sets it together with the visitor's cookie, and scripts read it.
pub const COOKIE: &str = "arrival";

/// Unix milliseconds; 0 if unknown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FirstVisit(pub u64);

impl FirstVisit {
    /// Reads the time from `document.cookie`.
    pub fn from_cookies(cookies: &str) -> Self {
        let found = cookies
            .split(';')
            .find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='));
        Self(found.and_then(|at| at.parse().ok()).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_found_among_other_cookies() {
        assert_eq!(
            FirstVisit::from_cookies("a=1; arrival=1795387507000;b=2"),
            FirstVisit(1_795_387_507_000)
        );
        for none in ["", "arrivals=1", "arrival", "arrival=", "arrival=x", "arrival=-1"] {
            assert_eq!(FirstVisit::from_cookies(none), FirstVisit(0), "{none}");
        }
    }
}
