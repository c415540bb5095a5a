//! Sorting and searching the symbol table. Pure.

use std::cmp::Ordering;

use super::model::decimal;
use super::wire::Entry;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Column {
    #[default]
    Name,
    Last,
    Change,
    Volume,
}

impl Column {
    pub const ALL: [Self; 4] = [Self::Name, Self::Last, Self::Change, Self::Volume];

    /// The code in URLs, `data-column` attributes and tests.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Last => "last",
            Self::Change => "change",
            Self::Volume => "volume",
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sort {
    pub column: Column,
    pub descending: bool,
}

impl Sort {
    /// The sort order after a click on `column`: a second click reverses it; numeric columns start descending.
    pub fn toggle(self, column: Column) -> Self {
        let descending = match self.column == column {
            true => !self.descending,
            false => column != Column::Name,
        };
        Self { column, descending }
    }

    /// The value of the URL's `sort` parameter: `name`, or `-change` for descending.
    pub fn code(self) -> String {
        let sign = if self.descending { "-" } else { "" };
        [sign, self.column.code()].concat()
    }

    pub fn from_code(code: &str) -> Option<Self> {
        let (descending, name) = match code.strip_prefix('-') {
            Some(name) => (true, name),
            None => (false, code),
        };
        let column = Column::ALL.into_iter().find(|column| column.code() == name)?;
        Some(Self { column, descending })
    }

    /// The value of the column's `aria-sort`.
    pub fn aria_sort(self, column: Column) -> &'static str {
        match (self.column == column, self.descending) {
            (false, _) => "none",
            (true, false) => "ascending",
            (true, true) => "descending",
        }
    }

    /// Ties are ordered by name, then by symbol.
    pub fn compare(self, a: (&str, &Entry), b: (&str, &Entry)) -> Ordering {
        let by_column = match self.column {
            Column::Name => a.0.cmp(b.0),
            Column::Last => decimal::compare(price(a.1), price(b.1)),
            Column::Change => change(a.1).cmp(&change(b.1)),
            Column::Volume => decimal::compare(
                (a.1.tick.volume, a.1.listing.volume_scale),
                (b.1.tick.volume, b.1.listing.volume_scale),
            ),
        };
        let by_column = if self.descending {
            by_column.reverse()
        } else {
            by_column
        };
        by_column
            .then_with(|| a.0.cmp(b.0))
            .then_with(|| a.1.listing.symbol.cmp(&b.1.listing.symbol))
    }
}

const fn price(entry: &Entry) -> (u64, u8) {
    (entry.tick.last, entry.listing.scale)
}

/// The change in basis points.
pub fn change(entry: &Entry) -> i64 {
    decimal::basis_points(entry.tick.last, entry.tick.open)
}

/// Whether the symbol or one of its names, in either language, contains the search term.
pub fn matches_search(search: &str, entry: &Entry) -> bool {
    let search = search.trim().to_lowercase();
    let (ko, en) = &entry.listing.names;
    [ko, en, &entry.listing.symbol]
        .iter()
        .any(|text| text.to_lowercase().contains(&search))
}

#[cfg(test)]
mod tests {
    use super::super::model::quote_book::tests::entry;
    use super::*;

    fn named(symbol: &str, last: u64, volume: u64) -> Entry {
        let mut entry = entry(symbol);
        (entry.tick.last, entry.tick.volume) = (last, volume);
        entry
    }

    fn sorted(sort: Sort) -> String {
        let mut entries = [named("c", 150, 1), named("a", 90, 3), named("b", 150, 2)];
        entries.sort_by(|a, b| sort.compare((&a.listing.symbol, a), (&b.listing.symbol, b)));
        entries.map(|entry| entry.listing.symbol).concat()
    }

    #[test]
    fn every_sort_round_trips_through_its_code() {
        for column in Column::ALL {
            for descending in [true, false] {
                let sort = Sort { column, descending };
                assert_eq!(Sort::from_code(&sort.code()), Some(sort));
            }
        }
        assert_eq!(Sort::from_code("-price"), None);
    }

    #[test]
    fn columns_sort_the_symbols_and_reverse() {
        let name = Sort::default();
        assert_eq!(
            (sorted(name), sorted(name.toggle(Column::Name))),
            ("abc".to_owned(), "cba".to_owned())
        );
        let change = name.toggle(Column::Change);
        assert_eq!(
            (sorted(change), sorted(change.toggle(Column::Change))),
            ("bca".to_owned(), "abc".to_owned())
        );
        assert_eq!(sorted(name.toggle(Column::Volume)), "abc");
        assert_eq!(sorted(name.toggle(Column::Last)), "bca");
        assert_eq!(change.aria_sort(Column::Change), "descending");
        assert_eq!(change.aria_sort(Column::Name), "none");
        assert_eq!(change.toggle(Column::Name).aria_sort(Column::Name), "ascending");
    }

    #[test]
    fn a_symbol_is_found_by_any_of_its_names() {
        let mut entry = entry("hnb");
        entry.listing.names = ("한누리".to_owned(), "Hannuri".to_owned());
        for term in ["", " HNB ", "누리", "nuri"] {
            assert!(matches_search(term, &entry), "{term}");
        }
        assert!(!matches_search("x", &entry));
    }
}
