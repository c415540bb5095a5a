//! When a visitor came for the first time. What was sent to everybody before is not news to them.

/// The cookie that says it, in Unix milliseconds; the server sets it beside the visitor's own, and scripts read it.
pub const COOKIE: &str = "arrival";

/// In a context or in a page: Unix milliseconds, 0 if nothing is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Arrival(pub u64);

impl Arrival {
    /// From all cookies of a document.
    pub fn of_cookies(cookies: &str) -> Self {
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
            Arrival::of_cookies("a=1; arrival=1795387507000;b=2"),
            Arrival(1_795_387_507_000)
        );
        for none in ["", "arrivals=1", "arrival", "arrival=", "arrival=x", "arrival=-1"] {
            assert_eq!(Arrival::of_cookies(none), Arrival(0), "{none}");
        }
    }
}
