//! A visitor's choice of language and color scheme: a posted plain form sets cookies and redirects back to the page it came from.

use std::collections::BTreeMap;

use axum::{
    Form,
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{AppendHeaders, IntoResponse, Response},
};

use leptos::prelude::provide_context;
use percent_encoding::percent_decode_str;

use super::cookies::values;
use crate::{
    i18n::*,
    ui::preferences::{COLOR_SCHEME_COOKIE, COOKIE_MAX_AGE, ColorScheme, LANGUAGE_COOKIE},
};
use duplex_axum::error::Problem;

pub async fn save(headers: HeaderMap, Form(form): Form<BTreeMap<String, String>>) -> Response {
    match cookies(&form) {
        Ok(cookies) => {
            let cookies = cookies.into_iter().map(|cookie| (header::SET_COOKIE, cookie)).collect();
            let back = referer_path(&headers);
            (
                StatusCode::SEE_OTHER,
                AppendHeaders::<Vec<_>>(cookies),
                [(header::LOCATION, back)],
            )
                .into_response()
        }
        Err(error) => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()).into_response(),
    }
}

/// The language that the visitor chose, or the one that their browser prefers.
pub fn locale(headers: &HeaderMap) -> Locale {
    let chosen = cookie_value(headers, LANGUAGE_COOKIE).and_then(|name| name.parse().ok());
    chosen.unwrap_or_else(|| {
        let lines = headers.get_all(header::ACCEPT_LANGUAGE).iter();
        preferred(lines.filter_map(|line| line.to_str().ok()))
    })
}

/// Provides the language and the color scheme as context.
pub fn provide(headers: &HeaderMap) {
    provide_context(LocaleSignal::new(locale(headers)));
    let scheme = cookie_value(headers, COLOR_SCHEME_COOKIE).and_then(|name| name.parse().ok());
    provide_context::<ColorScheme>(scheme.unwrap_or_default());
}

/// The language for an `Accept-Language` header (RFC 9110 section 12.5.4): the best supported one, English if it lists only others,
/// and Korean if it lists none. `*` does not count as a language.
fn preferred<'a>(lines: impl Iterator<Item = &'a str>) -> Locale {
    let mut ranges: Vec<(f32, &str)> = lines.flat_map(|line| line.split(',')).filter_map(parse_range).collect();
    ranges.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    let wanted = ranges.iter().filter(|(weight, _)| *weight > 0.0);
    if let Some(locale) = wanted.clone().find_map(|(_, range)| supported(range)) {
        return locale;
    }
    let is_not_acceptable = |locale| {
        let mut not_acceptable = ranges.iter().filter(|(weight, _)| *weight <= 0.0);
        not_acceptable.any(|(_, range)| supported(range) == Some(locale))
    };
    let lists_other_languages = wanted.clone().any(|(_, range)| *range != "*");
    let (first, second) = match lists_other_languages {
        true => (Locale::en, Locale::ko),
        false => (Locale::ko, Locale::en),
    };
    if is_not_acceptable(first) && !is_not_acceptable(second) {
        second
    } else {
        first
    }
}

/// The language of a range such as `en-GB`, if it is supported.
fn supported(range: &str) -> Option<Locale> {
    let primary = range.split('-').next()?;
    let mut all = Locale::get_all().iter().copied();
    all.find(|locale| locale.as_str().eq_ignore_ascii_case(primary))
}

/// Parses a range and its weight; `None` if either is malformed.
fn parse_range(item: &str) -> Option<(f32, &str)> {
    let (range, parameter) = item.split_once(';').unwrap_or((item, ""));
    let weight = match parameter.split_once('=') {
        Some((name, weight)) if name.trim().eq_ignore_ascii_case("q") => weight.trim().parse().ok()?,
        None if parameter.trim().is_empty() => 1.0,
        _ => return None,
    };
    let range = range.trim();
    let is_range = range == "*" || range.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (is_range && !range.is_empty() && (0.0..=1.0).contains(&weight)).then_some((weight, range))
}

pub fn cookie_value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    str::from_utf8(values(headers, name).next()?).ok()
}

/// Decodes percent escapes. Invalid UTF-8 becomes replacement characters; invalid escapes stay unchanged.
pub fn percent_decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum PreferenceError {
    #[error("the form names neither language nor colour")]
    Empty,
    #[error("the languages are ko and en")]
    Language,
    #[error("the colours are auto, light and dark")]
    ColorScheme,
}

/// The cookies for a form. Only known values are stored.
fn cookies(form: &BTreeMap<String, String>) -> Result<Vec<HeaderValue>, PreferenceError> {
    let mut cookies = Vec::new();
    if let Some(language) = form.get("language") {
        let locale: Locale = language.parse().map_err(|_| PreferenceError::Language)?;
        cookies.extend(cookie(LANGUAGE_COOKIE, locale.as_ref()));
    }
    if let Some(scheme) = form.get("colour") {
        let scheme: ColorScheme = scheme.parse().map_err(|_| PreferenceError::ColorScheme)?;
        cookies.extend(cookie(COLOR_SCHEME_COOKIE, scheme.name()));
    }
    if cookies.is_empty() {
        Err(PreferenceError::Empty)
    } else {
        Ok(cookies)
    }
}

/// A cookie that the page's scripts also read and write.
fn cookie(name: &str, value: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!(
        "{name}={value}; Max-Age={COOKIE_MAX_AGE}; Path=/; SameSite=Lax"
    ))
    .ok()
}

/// The path of the referring page. Only the path is used, so that the redirect cannot lead to another site.
fn referer_path(headers: &HeaderMap) -> HeaderValue {
    let referer = headers.get(header::REFERER).and_then(|referer| referer.to_str().ok());
    let path = referer
        .and_then(|referer| referer.parse::<Uri>().ok())
        .map(|uri| uri.path().to_owned());
    // Browsers treat a backslash as a slash: a path that begins with two of either names another host.
    let path = path.filter(|path| path.starts_with('/') && !path[1..].starts_with(['/', '\\']));
    path.and_then(|path| HeaderValue::from_str(&path).ok())
        .unwrap_or(HeaderValue::from_static("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn choices_are_stored_in_cookies() {
        let kept = cookies(&form(&[("language", "en"), ("colour", "dark")])).unwrap();
        assert_eq!(kept[0], "language=en; Max-Age=31536000; Path=/; SameSite=Lax");
        assert_eq!(kept[1], "colour=dark; Max-Age=31536000; Path=/; SameSite=Lax");
    }

    #[test]
    fn unknown_values_are_rejected() {
        assert_eq!(cookies(&form(&[])), Err(PreferenceError::Empty));
        assert_eq!(
            cookies(&form(&[("language", "x; Domain=evil")])),
            Err(PreferenceError::Language)
        );
        assert_eq!(cookies(&form(&[("colour", "blue")])), Err(PreferenceError::ColorScheme));
    }

    #[test]
    fn the_fallback_is_english_for_other_languages_and_korean_for_none() {
        for (header, locale) in [
            ("en;q=0.2, ko;q=0.9", Locale::ko),
            ("fr, en;q=0.8, ko;q=0.3", Locale::en),
            ("fr, ko;q=0.3", Locale::ko),
            ("de", Locale::en),
            ("ja-JP,ja;q=0.9", Locale::en),
            ("fr, *;q=0.5", Locale::en),
            ("en-GB", Locale::en),
            ("KO-kp", Locale::ko),
            ("EN", Locale::en),
            ("en ; Q=0.5 , ko ; q = 0.6", Locale::ko),
            ("ko;q=0, de", Locale::en),
            ("de, en;q=0", Locale::ko),
            ("*", Locale::ko),
            ("*;q=0.1", Locale::ko),
            ("ko;q=0, *", Locale::en),
            ("ko;q=0", Locale::en),
            ("ko;q=0, en;q=0", Locale::ko),
            ("kok", Locale::en),
            ("english", Locale::en),
            ("", Locale::ko),
            (" ,;q=x,en;q=nonsense", Locale::ko),
            ("en;q=NaN, en;q=inf, en;q=-1, en;q=2", Locale::ko),
            ("<ko>", Locale::ko),
        ] {
            assert_eq!(preferred([header].into_iter()), locale, "{header}");
        }
        assert_eq!(preferred(["fr", "ko;q=0.1"].into_iter()), Locale::ko, "two lines");
        assert_eq!(preferred([].into_iter()), Locale::ko);
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let cookies = HeaderValue::from_static("a=1; language=en;colour=dark");
        let headers = HeaderMap::from_iter([(header::COOKIE, cookies)]);
        assert_eq!(cookie_value(&headers, "language"), Some("en"));
        assert_eq!(cookie_value(&headers, "colour"), Some("dark"));
        assert_eq!(cookie_value(&headers, "lang"), None);
    }

    #[test]
    fn only_valid_escapes_are_decoded() {
        assert_eq!(percent_decoded("%EA%B0%80+b%20c"), "가+b c");
        assert_eq!(percent_decoded("100%"), "100%");
        assert_eq!(percent_decoded("%zz%4"), "%zz%4");
        assert_eq!(percent_decoded("%FF"), "\u{fffd}");
    }

    #[test]
    fn the_redirect_stays_on_this_site() {
        let back_from = |referer: &'static str| {
            referer_path(&HeaderMap::from_iter([(
                header::REFERER,
                HeaderValue::from_static(referer),
            )]))
        };
        assert_eq!(back_from("http://evil.example/about?x"), "/about");
        assert_eq!(back_from("http://evil.example//other.example/"), "/");
        assert_eq!(back_from("http://evil.example/\\other.example/"), "/");
        assert_eq!(referer_path(&HeaderMap::new()), "/");
    }
}
