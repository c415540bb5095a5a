//! Why a visitor did not get the name that they asked for, in their language.

use super::words::{Words, words};
use crate::wire::person::NAME_FIXED;

pub fn refusal(why: &str) -> Words {
    match why {
        NAME_FIXED => words!(names.name_fixed),
        _ => words!(names.name_reserved),
    }
}
