//! The notifications' wire types: commands, events and their limits. Independent of state and pages.

pub mod timestamp;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::wire::notice::{EVERYONE, LocalizedText, Notice};
use crate::wire::{text, web_link};
use duplex_protocol::cursor::Seq;
use duplex_protocol::person::PersonId;

/// Milliseconds since 1970, by the server's clock.
pub type Millis = u64;

/// The path of the notifications page.
pub const PAGE_PATH: &str = "/notifications";
/// The endpoint to which programs post notices.
pub const INGEST_PATH: &str = "/api/notifications";
/// The unread endpoint's event stream.
pub const UNREAD_EVENTS_PATH: &str = "/api/notifications/news";

/// A source is a topic of which a visitor receives notices. This is the name of their own inbox; the other sources are the public
/// topics, named by the rest of their topic names.
pub const OWN_INBOX: &str = "me";
/// The groups that a visitor may follow: notices of a followed group reach them like those of their own inbox. Their display names
/// are in `view/labels.rs`.
pub const GROUPS: [&str; 3] = ["news", "market", "devices"];

/// Maximum characters of a title and of a body.
pub const MAX_TITLE: usize = 120;
pub const MAX_BODY: usize = 1_000;
/// Maximum bytes of a link; browsers and proxies accept URLs of this length.
pub const MAX_LINK: usize = 2_000;
/// Maximum notices that one command marks as read.
pub const MAX_SEQS_PER_READ: usize = 200;

/// Reason codes of rejections. The page translates them.
pub mod reason_code {
    pub const NO_SOURCE: &str = "no_source";
    pub const TOO_MANY: &str = "too_many";
}

/// The topics `notices/all` and `notices/<group>`: everyone may read them; programs and the server write.
#[derive(Debug, Clone, Copy)]
pub struct Notices;

/// The topics `inbox/<person id>`: the notices sent to one person, what they have read of all sources, and the groups they follow.
#[derive(Debug, Clone, Copy)]
pub struct Inbox;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticesEvent {
    Sent { at: Millis, notice: Notice },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InboxCommand {
    Send(Notice),
    Read {
        source: String,
        seqs: Vec<Seq>,
    },
    /// Marks all notices up to the given seq of each source as read. The seqs are the newest that the page has received.
    ReadAll {
        heads: BTreeMap<String, Seq>,
    },
    /// `head`: the group's newest seq. Notices up to it count as read for a new follower.
    Follow {
        group: String,
        on: bool,
        head: Seq,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InboxEvent {
    Sent {
        at: Millis,
        notice: Notice,
    },
    Read {
        source: String,
        seqs: Vec<Seq>,
    },
    ReadAll {
        heads: BTreeMap<String, Seq>,
    },
    /// `from`: notices up to this seq count as read.
    Followed {
        group: String,
        from: Seq,
    },
    Unfollowed {
        group: String,
    },
}

/// Why a notice is invalid. Shown to the developer of the sending program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoticeError {
    #[error("`title` is empty")]
    MissingTitle,
    #[error("`title` has more than {MAX_TITLE} characters")]
    TitleTooLong,
    #[error("`body` has more than {MAX_BODY} characters")]
    BodyTooLong,
    #[error("`link` is neither a path of this site, such as /chat, nor an http or https URL")]
    InvalidLink,
    #[error("`link` has more than {MAX_LINK} bytes")]
    LinkTooLong,
    #[error("`expires` is in the past")]
    Expired,
}

/// Sanitizes the notice's texts and checks its limits.
pub fn validate(notice: Notice, now: Millis) -> Result<Notice, NoticeError> {
    let sanitize =
        |texts: &LocalizedText, clean: fn(&str) -> String| LocalizedText::new(clean(&texts.ko), clean(&texts.en));
    let (title, body) = (
        sanitize(&notice.title, text::single_line),
        sanitize(&notice.body, text::multi_line),
    );
    let exceeds =
        |texts: &LocalizedText, max: usize| [&texts.ko, &texts.en].iter().any(|text| text.chars().count() > max);
    if title.ko.is_empty() || title.en.is_empty() {
        return Err(NoticeError::MissingTitle);
    }
    if exceeds(&title, MAX_TITLE) {
        return Err(NoticeError::TitleTooLong);
    }
    if exceeds(&body, MAX_BODY) {
        return Err(NoticeError::BodyTooLong);
    }
    match &notice.link {
        Some(link) if link.len() > MAX_LINK => return Err(NoticeError::LinkTooLong),
        Some(link) if !is_link(link) => return Err(NoticeError::InvalidLink),
        _ => {}
    }
    if notice.expires.is_some_and(|expires| expires <= now) {
        return Err(NoticeError::Expired);
    }
    Ok(Notice { title, body, ..notice })
}

/// Whether the link is a path of this site or an http(s) URL. Rejects `javascript:` URLs, and URLs that hide another host in a path
/// or in userinfo.
pub fn is_link(link: &str) -> bool {
    web_link::is_local_path(link) || web_link::is_web_url(link)
}

pub fn is_group(name: &str) -> bool {
    GROUPS.contains(&name)
}

pub fn is_public(name: &str) -> bool {
    name == EVERYONE || is_group(name)
}

pub fn is_source(name: &str) -> bool {
    name == OWN_INBOX || is_public(name)
}

/// 32 or 16 hexadecimal digits, and not all `0` (the server) or all `f` (programs).
pub fn is_visitor_id(PersonId(id): &PersonId) -> bool {
    let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let same = |byte: u8| id.bytes().all(|other| other == byte);
    matches!(id.len(), 16 | 32) && id.bytes().all(digit) && !same(b'0') && !same(b'f')
}

/// Parses `all=12 me=3`, the form field's format; invalid pairs are ignored.
pub fn parse_heads(text: &str) -> BTreeMap<String, Seq> {
    let head = |pair: &str| {
        let (source, seq) = pair.split_once('=')?;
        Some((source.to_owned(), seq.parse().ok()?))
    };
    text.split(' ').filter_map(head).collect()
}

pub fn format_heads(heads: &BTreeMap<String, Seq>) -> String {
    let pairs: Vec<String> = heads.iter().map(|(source, seq)| format!("{source}={seq}")).collect();
    pairs.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::notice::Level;

    fn notice() -> Notice {
        Notice {
            title: LocalizedText::untranslated("제목"),
            body: LocalizedText::untranslated(""),
            link: None,
            level: Level::Info,
            expires: None,
        }
    }

    #[test]
    fn links_are_paths_of_this_site_or_web_urls() {
        for right in [
            "/",
            "/chat/a?b=c#d",
            "https://example.com/가",
            "HTTP://[::1]:3000",
            "http://a",
        ] {
            assert!(is_link(right), "{right}");
        }
        for wrong in [
            "",
            "chat",
            "//evil.example",
            "/\\evil.example",
            "/\t/evil.example",
            "javascript:alert(1)",
            "java\nscript:alert(1)",
            "data:text/html,x",
            "https:///x",
            "https://",
            "http:/x",
            " /chat",
            "/.//evil.example",
            "https://good.com@evil.com",
            "https://аpple.com",
        ] {
            assert!(!is_link(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_notice_is_sanitized_and_its_limits_are_checked() {
        let valid = validate(
            Notice {
                title: LocalizedText::new(" 가\u{202e}\n나 ", "a\u{7}b\u{200b}"),
                body: LocalizedText::untranslated(" a\u{0}\n\tb\u{2066} "),
                ..notice()
            },
            0,
        )
        .unwrap();
        assert_eq!(
            (valid.title, valid.body),
            (
                LocalizedText::new("가 나", "a b"),
                LocalizedText::untranslated("a\n\tb")
            )
        );
        let wrong: [(Notice, NoticeError); 7] = [
            (
                Notice {
                    title: LocalizedText::untranslated("\u{3164}\u{ad}"),
                    ..notice()
                },
                NoticeError::MissingTitle,
            ),
            (
                Notice {
                    title: LocalizedText::new("a", " \u{301}"),
                    ..notice()
                },
                NoticeError::MissingTitle,
            ),
            (
                Notice {
                    title: LocalizedText::untranslated(&"가".repeat(MAX_TITLE + 1)),
                    ..notice()
                },
                NoticeError::TitleTooLong,
            ),
            (
                Notice {
                    body: LocalizedText::new("", "a".repeat(MAX_BODY + 1)),
                    ..notice()
                },
                NoticeError::BodyTooLong,
            ),
            (
                Notice {
                    link: Some("x:y".to_owned()),
                    ..notice()
                },
                NoticeError::InvalidLink,
            ),
            (
                Notice {
                    link: Some(format!("/{}", "a".repeat(MAX_LINK))),
                    ..notice()
                },
                NoticeError::LinkTooLong,
            ),
            (
                Notice {
                    expires: Some(5),
                    ..notice()
                },
                NoticeError::Expired,
            ),
        ];
        for (notice, expected) in wrong {
            assert_eq!(validate(notice, 5), Err(expected));
        }
    }

    #[test]
    fn visitor_ids_exclude_the_server_and_programs() {
        let is_valid = |id: &str| is_visitor_id(&PersonId(id.to_owned()));
        assert!(is_valid("0123456789abcdef"));
        assert!(is_valid("0123456789abcdef0123456789abcdef"));
        for wrong in [
            "",
            "0123456789abcde",
            "0123456789abcdef0123456789abcde",
            "0123456789ABCDEF",
            "0000000000000000",
            "ffffffffffffffff",
        ] {
            assert!(!is_valid(wrong), "{wrong}");
        }
    }

    #[test]
    fn heads_round_trip() {
        let heads = BTreeMap::from([("all".to_owned(), 12), (OWN_INBOX.to_owned(), 3)]);
        assert_eq!(format_heads(&heads), "all=12 me=3");
        assert_eq!(parse_heads("all=12 me=3 x=y z"), heads);
    }
}
