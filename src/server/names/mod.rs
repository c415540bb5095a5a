//! The policy for visitors' names: rejects names that resemble an operator's or the server's, and enforces names that an operator
//! assigned.

pub mod sanitize;

use std::collections::{BTreeSet, HashMap};
use std::sync::{LazyLock, RwLock};

use tokio::sync::watch;
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;
use unicode_security::skeleton;

use self::sanitize::sanitize_name;
use crate::lock::{read, write};
use duplex_hub::{NamePolicy, NameRejection};
use duplex_protocol::person::{NAME_FIXED, NAME_RESERVED, Person, PersonId};

/// Names reserved for operators.
const RESERVED: [&str; 20] = [
    "admin",
    "admins",
    "administrator",
    "administrators",
    "sysadmin",
    "webmaster",
    "operator",
    "operators",
    "moderator",
    "moderators",
    "system",
    "server",
    "root",
    "duplex",
    "운영자",
    "관리자",
    "운영팀",
    "시스템",
    "서버",
    "듀플렉스",
];

/// Names with one of these as a word, a prefix or a suffix are reserved too.
const TITLES: [&str; 4] = ["admin", "administrator", "moderator", "operator"];

/// Names that contain one of these are reserved too, because Korean writes compounds as one word.
const KOREAN_TITLES: [&str; 2] = ["운영자", "관리자"];

/// Why a name is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("this name could be taken for an operator's or the server's")]
    Reserved,
    #[error("an operator chose this visitor's name")]
    Assigned,
}

impl NameError {
    /// The code of the reason, which a page translates.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Reserved => NAME_RESERVED,
            Self::Assigned => NAME_FIXED,
        }
    }
}

#[derive(Debug, Default)]
pub struct Names {
    /// Names reserved in addition to [`RESERVED`]: the node's, and those of its operators.
    extra_reserved: RwLock<BTreeSet<String>>,
    /// Names that operators assigned to persons.
    assigned: RwLock<HashMap<PersonId, String>>,
    changes: watch::Sender<()>,
}

impl Names {
    /// Reserves more names.
    pub fn reserve<'a>(&self, names: impl IntoIterator<Item = &'a str>) {
        let mut reserved = write(&self.extra_reserved);
        reserved.extend(names.into_iter().flat_map(folded_forms).filter(|fold| !fold.is_empty()));
    }

    /// Replaces all assigned names.
    pub fn set_assigned(&self, names: HashMap<PersonId, String>) {
        *write(&self.assigned) = names;
        self.changes.send_replace(());
    }

    pub fn assigned(&self, who: &PersonId) -> Option<String> {
        let assigned = read(&self.assigned);
        assigned.get(who).cloned()
    }

    /// Returns the sanitized name if this person may use it; an empty name removes the current one.
    pub fn choose(&self, who: &PersonId, is_operator: bool, typed: &str) -> Result<String, NameError> {
        let name = sanitize_name(typed);
        if is_operator {
            return Ok(name);
        }
        match self.assigned(who) {
            Some(assigned) if assigned == name => Ok(name),
            Some(_) => Err(NameError::Assigned),
            None if self.is_reserved(&name) => Err(NameError::Reserved),
            None => Ok(name),
        }
    }

    pub fn is_reserved(&self, name: &str) -> bool {
        let folds = folded_forms(name);
        let reserved = read(&self.extra_reserved);
        let is_taken = folds
            .iter()
            .any(|fold| RESERVED_FOLDS.contains(fold) || reserved.contains(fold));
        is_taken || has_title(name, &folds)
    }
}

impl NamePolicy for Names {
    fn choose(&self, who: &PersonId, is_operator: bool, typed: &str) -> Result<String, NameRejection> {
        let chosen = self.choose(who, is_operator, typed);
        chosen.map_err(|error| NameRejection { reason: error.code() })
    }

    fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    fn resolve(&self, mut person: Person, is_operator: bool) -> Person {
        person.name = match self.choose(&person.id, is_operator, &person.name) {
            Ok(name) => name,
            Err(NameError::Assigned) => self.assigned(&person.id).unwrap_or_default(),
            Err(NameError::Reserved) => String::new(),
        };
        person
    }
}

static RESERVED_FOLDS: LazyLock<BTreeSet<String>> = LazyLock::new(|| all_folds(&RESERVED));
static TITLE_FOLDS: LazyLock<BTreeSet<String>> = LazyLock::new(|| all_folds(&TITLES));
static KOREAN_FOLDS: LazyLock<BTreeSet<String>> = LazyLock::new(|| all_folds(&KOREAN_TITLES));

fn all_folds(names: &[&str]) -> BTreeSet<String> {
    names.iter().flat_map(|name| folded_forms(name)).collect()
}

fn has_title(name: &str, folds: &[String]) -> bool {
    let is_in = |fold: &String| KOREAN_FOLDS.iter().any(|title| fold.contains(title));
    let is_affix = |fold: &String| {
        let mut titles = TITLE_FOLDS.iter();
        titles.any(|title| fold.starts_with(title) || fold.ends_with(title))
    };
    let mut words = name.split(|c: char| !c.is_alphanumeric()).flat_map(folded_forms);
    folds.iter().any(|fold| is_in(fold) || is_affix(fold)) || words.any(|word| TITLE_FOLDS.contains(&word))
}

/// The folded forms of a name, without regard to confusable letters ([UTS #39](https://www.unicode.org/reports/tr39/#Confusable_Detection)),
/// case, marks and separators: once with digits mapped to the letters they resemble, once with digits removed. Names that share a
/// form are confusable.
fn folded_forms(name: &str) -> Vec<String> {
    let plain: String = name
        .nfkd()
        .filter(|c| !is_combining_mark(*c))
        .map(base_letter)
        .collect();
    let cases = [plain.clone(), plain.to_lowercase(), plain.to_uppercase()];
    let mut folds: Vec<String> = cases
        .iter()
        .flat_map(|case| {
            let without: String = case.chars().filter(|c| !c.is_numeric()).collect();
            [fold(case), fold(&without)]
        })
        .collect();
    folds.sort();
    folds.dedup();
    folds.retain(|fold| !fold.is_empty());
    folds
}

fn fold(name: &str) -> String {
    // The skeleton of a capital letter differs from that of the small one, so the lower-cased skeleton is mapped again.
    let unleeted: String = name.chars().map(leet).collect();
    let lowercased = skeleton(&unleeted).collect::<String>().to_lowercase();
    let letters = skeleton(&lowercased).map(leet);
    let plain = letters.filter(|c| c.is_alphanumeric() && !is_combining_mark(*c));
    plain.map(|c| if c == 'l' { 'i' } else { c }).collect()
}

/// The letter that a digit or a symbol stands for.
const fn leet(c: char) -> char {
    match c {
        '0' => 'o',
        '1' | '!' | '|' | '¡' => 'i',
        '3' | '€' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        other => other,
    }
}

/// The letter of an enclosed letter, a regional indicator or a small capital, which the table of confusables lacks.
fn base_letter(c: char) -> char {
    const SMALL_CAPITALS: &str = "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘꞯʀꜱᴛᴜᴠᴡxʏᴢ";
    let nth = |first: u32| {
        let index = u32::from(c)
            .checked_sub(first)
            .and_then(|index| u8::try_from(index).ok())?;
        (index < 26).then(|| char::from(b'a' + index))
    };
    if c.is_ascii() {
        return c;
    }
    let capital = || {
        let index = SMALL_CAPITALS.chars().position(|small| small == c)?;
        u8::try_from(index).ok().map(|index| char::from(b'a' + index))
    };
    [0x1f150, 0x1f170, 0x1f1e6]
        .into_iter()
        .find_map(nth)
        .or_else(capital)
        .unwrap_or(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        let names = Names::default();
        names.reserve(["Seoul-1", "김민지"]);
        names
    }

    #[test]
    fn names_that_look_reserved_are_reserved() {
        for name in [
            "admin",
            "ADMIN",
            "Admin ",
            "a d m i n",
            "a.d-m_i·n",
            "аdmin",
            "аԁmіn",
            "ΑDΜΙΝ",
            "ａｄｍｉｎ",
            "ⓐⓓⓜⓘⓝ",
            "🅰🅳🅼🅸🅽",
            "🇦🇩🇲🇮🇳",
            "ᴀᴅᴍɪɴ",
            "𝐚𝐝𝐦𝐢𝐧",
            "ádmín",
            "adm1n",
            "4dm!n",
            "@dmin",
            "admln",
            "admin1",
            "admin 2",
            "Admin Kim",
            "the admin",
            "SiteAdmin",
            "Administrator",
            "0perator",
            "m0derat0r",
            "System",
            "5ystem",
            "server",
            "DUPLEX",
            "dupIex",
            "운영자",
            "운 영 자",
            "운영자님",
            "총관리자",
            "서버",
            "seoul-1",
            "SEOUL 1",
            "Seou|1",
            "김민지",
            "김 민지",
        ] {
            assert!(names().is_reserved(name), "{name}");
        }
    }

    #[test]
    fn other_names_are_free() {
        for name in [
            "",
            "Kim",
            "김 민지수",
            "Badminton",
            "Minji",
            "서영",
            "운영",
            "관리",
            "Adam",
            "Modena",
            "Systema Kim",
            "Ops",
            "👩",
            "123",
            "Server Kim",
            "José",
            "Дмитрий",
            "さくら",
            "الإدارة",
        ] {
            assert!(!names().is_reserved(name), "{name}");
        }
    }

    #[test]
    fn an_assigned_name_cannot_be_changed() {
        let (names, who) = (names(), PersonId("a".to_owned()));
        assert_eq!(names.choose(&who, false, " Kim\u{202e} "), Ok("Kim".to_owned()));
        assert_eq!(names.choose(&who, false, "admin"), Err(NameError::Reserved));
        assert_eq!(names.choose(&who, true, "admin"), Ok("admin".to_owned()));
        names.set_assigned(HashMap::from([(who.clone(), "Lee".to_owned())]));
        assert_eq!(names.choose(&who, false, "Kim"), Err(NameError::Assigned));
        assert_eq!(names.choose(&who, false, "Lee"), Ok("Lee".to_owned()));
        let named = |name: &str| {
            let (id, name) = (who.clone(), name.to_owned());
            names.resolve(Person { id, name }, false).name
        };
        assert_eq!(named("Kim"), "Lee");
        names.set_assigned(HashMap::new());
        assert_eq!((named("Kim"), named("admin")), ("Kim".to_owned(), String::new()));
    }
}
