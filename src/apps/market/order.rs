//! Which symbols a visitor sees, and in which order. Pure.

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

    /// For style sheets and tests.
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
    /// The same column again turns the order round; numbers begin with the largest.
    pub fn choose(self, column: Column) -> Self {
        let descending = match self.column == column {
            true => !self.descending,
            false => column != Column::Name,
        };
        Self { column, descending }
    }

    /// As an address holds it: `name`, or `-change` from the largest down.
    pub fn code(self) -> String {
        let sign = if self.descending { "-" } else { "" };
        [sign, self.column.code()].concat()
    }

    pub fn of_code(code: &str) -> Option<Self> {
        let (descending, name) = match code.strip_prefix('-') {
            Some(name) => (true, name),
            None => (false, code),
        };
        let column = Column::ALL.into_iter().find(|column| column.code() == name)?;
        Some(Self { column, descending })
    }

    /// As `aria-sort` says it.
    pub fn of(self, column: Column) -> &'static str {
        match (self.column == column, self.descending) {
            (false, _) => "none",
            (true, false) => "ascending",
            (true, true) => "descending",
        }
    }

    /// What is equal stays in the order of names, and then of symbols.
    pub fn compare(self, a: (&str, &Entry), b: (&str, &Entry)) -> Ordering {
        let by_column = match self.column {
            Column::Name => a.0.cmp(b.0),
            Column::Last => decimal::compare(price(a.1), price(b.1)),
            Column::Change => change(a.1).cmp(&change(b.1)),
            Column::Volume => {
                decimal::compare((a.1.tick.volume, a.1.listing.lots), (b.1.tick.volume, b.1.listing.lots))
            }
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

/// In hundredths of a percent.
pub fn change(entry: &Entry) -> i64 {
    decimal::basis_points(entry.tick.last, entry.tick.open)
}

/// Whether what is searched for is in a name, in either language, or in the symbol.
pub fn finds(search: &str, entry: &Entry) -> bool {
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
    fn an_address_holds_each_order() {
        for column in Column::ALL {
            for descending in [true, false] {
                let sort = Sort { column, descending };
                assert_eq!(Sort::of_code(&sort.code()), Some(sort));
            }
        }
        assert_eq!(Sort::of_code("-price"), None);
    }

    #[test]
    fn columns_order_the_symbols_and_turn_round() {
        let name = Sort::default();
        assert_eq!(
            (sorted(name), sorted(name.choose(Column::Name))),
            ("abc".to_owned(), "cba".to_owned())
        );
        let change = name.choose(Column::Change);
        assert_eq!(
            (sorted(change), sorted(change.choose(Column::Change))),
            ("bca".to_owned(), "abc".to_owned())
        );
        assert_eq!(sorted(name.choose(Column::Volume)), "abc");
        assert_eq!(sorted(name.choose(Column::Last)), "bca");
        assert_eq!(change.of(Column::Change), "descending");
        assert_eq!(change.of(Column::Name), "none");
        assert_eq!(change.choose(Column::Name).of(Column::Name), "ascending");
    }

    #[test]
    fn a_symbol_is_found_by_any_of_its_names() {
        let mut entry = entry("hnb");
        entry.listing.names = ("한누리".to_owned(), "Hannuri".to_owned());
        for found in ["", " HNB ", "누리", "nuri"] {
            assert!(finds(found, &entry), "{found}");
        }
        assert!(!finds("x", &entry));
    }
}
