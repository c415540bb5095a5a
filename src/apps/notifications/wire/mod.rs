//! What is said in the topics of notifications: commands, events and their bounds. Knows neither state nor page.

pub mod moment;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::wire::notice::{EVERYONE, LocalizedText, Notice};
use crate::wire::{text, web_link};
use duplex_protocol::cursor::Seq;
use duplex_protocol::person::PersonId;

/// Milliseconds since 1970, by the server's clock.
pub type Millis = u64;

/// Where the page is, and where programs post.
pub const PATH: &str = "/notifications";
pub const INLET: &str = "/api/notifications";
/// Where a page hears that there is something unread.
pub const NEWS: &str = "/api/notifications/news";

/// The sources of a visitor's notices are the public topics, by what stands behind their kind, and this: their own inbox.
pub const ME: &str = "me";
/// The groups that one may follow. Their names on pages are in `view/words.rs`.
pub const GROUPS: [&str; 3] = ["news", "market", "devices"];

/// Characters.
pub const MAX_TITLE: usize = 120;
pub const MAX_BODY: usize = 1_000;
/// Bytes: what browsers and proxies take.
pub const MAX_LINK: usize = 2_000;
/// Notices that one command marks as read: all that a page shows at first.
pub const MAX_READ: usize = 200;

/// Why a command of a page is refused, in the word that the page translates.
pub mod why {
    pub const NO_SOURCE: &str = "no_source";
    pub const TOO_MANY: &str = "too_many";
}

/// The topics `notices/<group>`: everybody may read them, programs and the server write.
#[derive(Debug, Clone, Copy)]
pub struct Notices;

/// The topics `inbox/<person id>`: what was sent to one person, what they have read of all sources, and whom they follow.
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
    /// Of each source, all up to this seq: what the page knew when it was asked.
    ReadAll {
        heads: BTreeMap<String, Seq>,
    },
    /// `head`: the group's newest seq. Who begins to follow has nothing unread.
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
    /// `from`: what lies before is read.
    Followed {
        group: String,
        from: Seq,
    },
    Unfollowed {
        group: String,
    },
}

/// What is wrong with a notice; the text is for the developer of the program that sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadNotice {
    #[error("`title` is empty")]
    NoTitle,
    #[error("`title` has more than {MAX_TITLE} characters")]
    LongTitle,
    #[error("`body` has more than {MAX_BODY} characters")]
    LongBody,
    #[error("`link` is neither a path of this site, such as /chat, nor an http or https address")]
    Link,
    #[error("`link` has more than {MAX_LINK} bytes")]
    LongLink,
    #[error("`expires` is in the past")]
    Expired,
}

/// The notice as it is kept: its texts tidied, and everything within its bounds.
pub fn checked(notice: Notice, now: Millis) -> Result<Notice, BadNotice> {
    let each = |words: &LocalizedText, tidy: fn(&str) -> String| LocalizedText::new(tidy(&words.ko), tidy(&words.en));
    let (title, body) = (
        each(&notice.title, text::single_line),
        each(&notice.body, text::multi_line),
    );
    let longer =
        |words: &LocalizedText, most: usize| [&words.ko, &words.en].iter().any(|text| text.chars().count() > most);
    if title.ko.is_empty() || title.en.is_empty() {
        return Err(BadNotice::NoTitle);
    }
    if longer(&title, MAX_TITLE) {
        return Err(BadNotice::LongTitle);
    }
    if longer(&body, MAX_BODY) {
        return Err(BadNotice::LongBody);
    }
    match &notice.link {
        Some(link) if link.len() > MAX_LINK => return Err(BadNotice::LongLink),
        Some(link) if !is_link(link) => return Err(BadNotice::Link),
        _ => {}
    }
    if notice.expires.is_some_and(|expires| expires <= now) {
        return Err(BadNotice::Expired);
    }
    Ok(Notice { title, body, ..notice })
}

/// A path of this site, or an address of the web: never a script, nor another host in the guise of a path or of a name.
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
    name == ME || is_public(name)
}

/// 32 hexadecimal digits or 16, and neither the server nor a program.
pub fn is_visitor(PersonId(id): &PersonId) -> bool {
    let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let same = |byte: u8| id.bytes().all(|other| other == byte);
    matches!(id.len(), 16 | 32) && id.bytes().all(digit) && !same(b'0') && !same(b'f')
}

/// `all=12 me=3`, as a plain form carries it; what cannot be read is left out.
pub fn parse_heads(text: &str) -> BTreeMap<String, Seq> {
    let head = |pair: &str| {
        let (source, seq) = pair.split_once('=')?;
        Some((source.to_owned(), seq.parse().ok()?))
    };
    text.split(' ').filter_map(head).collect()
}

pub fn write_heads(heads: &BTreeMap<String, Seq>) -> String {
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
    fn links_lead_to_this_site_or_to_the_web() {
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
    fn a_notice_is_tidied_and_its_bounds_are_named() {
        let kept = checked(
            Notice {
                title: LocalizedText::new(" 가\u{202e}\n나 ", "a\u{7}b\u{200b}"),
                body: LocalizedText::untranslated(" a\u{0}\n\tb\u{2066} "),
                ..notice()
            },
            0,
        )
        .unwrap();
        assert_eq!(
            (kept.title, kept.body),
            (
                LocalizedText::new("가 나", "a b"),
                LocalizedText::untranslated("a\n\tb")
            )
        );
        let wrong: [(Notice, BadNotice); 7] = [
            (
                Notice {
                    title: LocalizedText::untranslated("\u{3164}\u{ad}"),
                    ..notice()
                },
                BadNotice::NoTitle,
            ),
            (
                Notice {
                    title: LocalizedText::new("a", " \u{301}"),
                    ..notice()
                },
                BadNotice::NoTitle,
            ),
            (
                Notice {
                    title: LocalizedText::untranslated(&"가".repeat(MAX_TITLE + 1)),
                    ..notice()
                },
                BadNotice::LongTitle,
            ),
            (
                Notice {
                    body: LocalizedText::new("", "a".repeat(MAX_BODY + 1)),
                    ..notice()
                },
                BadNotice::LongBody,
            ),
            (
                Notice {
                    link: Some("x:y".to_owned()),
                    ..notice()
                },
                BadNotice::Link,
            ),
            (
                Notice {
                    link: Some(format!("/{}", "a".repeat(MAX_LINK))),
                    ..notice()
                },
                BadNotice::LongLink,
            ),
            (
                Notice {
                    expires: Some(5),
                    ..notice()
                },
                BadNotice::Expired,
            ),
        ];
        for (notice, expected) in wrong {
            assert_eq!(checked(notice, 5), Err(expected));
        }
    }

    #[test]
    fn visitors_are_neither_the_server_nor_programs() {
        let is = |id: &str| is_visitor(&PersonId(id.to_owned()));
        assert!(is("0123456789abcdef"));
        assert!(is("0123456789abcdef0123456789abcdef"));
        for wrong in [
            "",
            "0123456789abcde",
            "0123456789abcdef0123456789abcde",
            "0123456789ABCDEF",
            "0000000000000000",
            "ffffffffffffffff",
        ] {
            assert!(!is(wrong), "{wrong}");
        }
    }

    #[test]
    fn heads_are_read_as_they_are_written() {
        let heads = BTreeMap::from([("all".to_owned(), 12), (ME.to_owned(), 3)]);
        assert_eq!(write_heads(&heads), "all=12 me=3");
        assert_eq!(parse_heads("all=12 me=3 x=y z"), heads);
    }
}
