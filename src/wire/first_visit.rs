//! When a visitor came for the first time. What was sent to everybody before is not news to them.

/// The cookie that says it, in Unix milliseconds; the server sets it beside the visitor's own, and scripts read it.
pub const COOKIE: &str = "arrival";

/// In a context or in a page: Unix milliseconds, 0 if nothing is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FirstVisit(pub u64);

impl FirstVisit {
    /// From all cookies of a document.
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
    fn an_arrival_is_found_among_other_cookies() {
        assert_eq!(
            FirstVisit::from_cookies("a=1; arrival=1795387507000;b=2"),
            FirstVisit(1_795_387_507_000)
        );
        for none in ["", "arrivals=1", "arrival", "arrival=", "arrival=x", "arrival=-1"] {
            assert_eq!(FirstVisit::from_cookies(none), FirstVisit(0), "{none}");
        }
    }
}
