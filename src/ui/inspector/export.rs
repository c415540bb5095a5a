//! The session as a file: JSON with all that is kept, and HAR 1.2 with Chrome's extension for WebSocket messages, which other
//! tools read. <http://www.softwareishard.com/blog/har-12-spec/> Pure.

use std::collections::VecDeque;

use data_encoding::BASE64;
use serde::Serialize;
use serde_json::Value;

use super::har::{self, Entry, Har, PostData, Request, Response};
use crate::wire::civil::civil;
use duplex_leptos::status::Transport;
use duplex_leptos::trace::{
    Carrier, DeliveryCounts, EventKind, Finding, Frame, Payload, RequestedFault, SessionCounters, SessionTrace,
    TraceEvent,
};
use duplex_protocol::fault::Fault;
use duplex_protocol::handshake::Handshake;
use duplex_protocol::session::{COMMAND_PATH, SESSION_PATH, SessionId};
use duplex_protocol::topic::TopicName;

/// Where the page is.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// `https://example.org`
    pub origin: String,
    /// When the page's clock was 0: milliseconds since the Unix epoch.
    pub epoch: f64,
}

/// The file of everything that is kept.
#[derive(Serialize)]
struct Session<'a> {
    session: &'a Option<SessionId>,
    counts: &'a SessionCounters,
    told: DeliveryCounts,
    findings: &'a [Finding],
    round_trips_ms: &'a VecDeque<f64>,
    moments: Vec<Moment<'a>>,
    frames: Vec<KeptFrame>,
}

#[derive(Serialize)]
struct KeptFrame {
    number: u64,
    at: String,
    line: u32,
    carrier: Carrier,
    direction: &'static str,
    size: usize,
    wire: u64,
    /// An application's own; null where it is no JSON.
    content: Value,
}

#[derive(Serialize)]
struct Moment<'a> {
    number: u64,
    at: String,
    what: What<'a>,
    told: DeliveryCounts,
}

#[derive(Serialize)]
#[serde(untagged)]
enum What<'a> {
    Phase {
        phase: String,
        transport: Option<&'static str>,
    },
    Opening {
        opening: u32,
        transport: &'static str,
    },
    Opened {
        opened: u32,
    },
    Closed {
        closed: u32,
        code: u16,
    },
    ClosedLocally {
        left: u32,
    },
    Closing {
        closing: Closing,
    },
    Resumed {
        resumed: &'a TopicName,
        replayed: u64,
    },
    Reset {
        reset: &'a TopicName,
    },
    Denied {
        denied: &'a TopicName,
    },
    Fault {
        fault: WantedFault<'a>,
        refused: Option<u16>,
    },
    Word(&'static str),
}

#[derive(Serialize)]
struct Closing {
    retry_after_ms: u32,
}

#[derive(Serialize)]
#[serde(untagged)]
enum WantedFault<'a> {
    Server(&'a Fault),
    Offline { offline: Offline },
}

#[derive(Serialize)]
struct Offline {
    for_ms: u32,
}

/// `read` gives a frame's content as JSON text.
pub fn session(trace: &SessionTrace, place: &Place, read: impl Fn(&Frame) -> String) -> Value {
    let frame = |frame: &Frame| KeptFrame {
        number: frame.number,
        at: date(place.epoch + frame.at),
        line: frame.connection,
        carrier: frame.carrier,
        direction: if frame.sent { "sent" } else { "received" },
        size: frame.size,
        wire: super::reading::wire_size(frame),
        content: serde_json::from_str(&read(frame)).unwrap_or(Value::Null),
    };
    written(&Session {
        session: &trace.session,
        counts: &trace.counters,
        told: trace.audit.counts(),
        findings: trace.audit.findings(),
        round_trips_ms: &trace.round_trips,
        moments: trace.events.iter().map(|event| moment(event, place)).collect(),
        frames: trace.frames.iter().map(frame).collect(),
    })
}

/// With the members of each object in the order of their names.
fn written(file: &impl Serialize) -> Value {
    serde_json::to_value(file).unwrap_or_default()
}

fn moment<'a>(event: &'a TraceEvent, place: &Place) -> Moment<'a> {
    let what = match &event.kind {
        EventKind::Phase { phase, transport } => What::Phase {
            phase: format!("{phase:?}"),
            transport: transport.map(transport_name),
        },
        EventKind::Opening {
            connection, transport, ..
        } => What::Opening {
            opening: *connection,
            transport: transport_name(*transport),
        },
        EventKind::Opened { connection: opened } => What::Opened { opened: *opened },
        EventKind::Closed { connection, code } => What::Closed {
            closed: *connection,
            code: *code,
        },
        EventKind::ClosedLocally { connection: left } => What::ClosedLocally { left: *left },
        EventKind::Closing { retry_after_ms } => What::Closing {
            closing: Closing {
                retry_after_ms: *retry_after_ms,
            },
        },
        EventKind::Resumed { topic, replayed } => What::Resumed {
            resumed: topic,
            replayed: *replayed,
        },
        EventKind::Reset { topic: reset } => What::Reset { reset },
        EventKind::Denied { topic: denied } => What::Denied { denied },
        EventKind::Fault { fault, refused } => What::Fault {
            fault: match fault {
                RequestedFault::Server(fault) => WantedFault::Server(fault),
                RequestedFault::Offline(for_ms) => WantedFault::Offline {
                    offline: Offline { for_ms: *for_ms },
                },
            },
            refused: *refused,
        },
        EventKind::Restored => What::Word("restored"),
    };
    Moment {
        number: event.number,
        at: date(place.epoch + event.at),
        what,
        told: event.delivery,
    }
}

const fn transport_name(transport: Transport) -> &'static str {
    match transport {
        Transport::WebSocket => "websocket",
        Transport::Sse => "sse",
        Transport::Poll => "poll",
    }
}

/// An entry for each WebSocket, stream, poll and post. `handshakes`: by trace, as far as the server still knows them.
pub fn har(trace: &SessionTrace, place: &Place, handshakes: &[(String, Handshake)]) -> Value {
    let mut entries = sockets(trace, place, handshakes);
    entries.extend(requests(trace, place));
    entries.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    written(&Har::of(entries.into_iter().map(|(_, entry)| entry).collect()))
}

fn sockets<'a>(
    recorded: &'a SessionTrace,
    place: &Place,
    handshakes: &'a [(String, Handshake)],
) -> Vec<(f64, Entry<'a>)> {
    let opening = |event: &TraceEvent| match &event.kind {
        EventKind::Opening {
            connection,
            transport: Transport::WebSocket,
            trace,
        } => Some((event.at, *connection, trace.clone())),
        _ => None,
    };
    let entry = |(at, connection, trace): (f64, u32, Option<String>)| {
        let carried: Vec<_> = recorded
            .frames
            .iter()
            .filter(|frame| frame.connection == connection && frame.carrier == Carrier::Socket)
            .collect();
        let end = carried.last().map_or(at, |frame| frame.at);
        let opened = recorded
            .events
            .iter()
            .any(|event| event.kind == EventKind::Opened { connection });
        let known = handshakes.iter().find(|(known, _)| Some(known) == trace.as_ref());
        let known = known.map(|(_, handshake)| handshake);
        let url = place.origin.replacen("http", "ws", 1) + SESSION_PATH;
        let version = known.map_or("HTTP/1.1", |known| known.version.as_str());
        let status = known.map_or(if opened { 101 } else { 0 }, |known| known.status);
        let mut request = Request::new("GET", &url, version);
        let mut response = Response::new(status, version, String::new(), "x-unknown");
        if let Some(known) = known {
            request.method = &known.method;
            request.headers = headers(&known.request);
            response.headers = headers(&known.response);
        }
        let messages = carried.iter().filter_map(|frame| message(frame, place));
        let entry = Entry {
            resource_type: Some("websocket"),
            messages: Some(messages.collect()),
            ..entry(place, at, end, request, response)
        };
        (at, entry)
    };
    recorded.events.iter().filter_map(opening).map(entry).collect()
}

/// As Chrome writes it: seconds, the opcode, and base64 where it is binary.
fn message(frame: &Frame, place: &Place) -> Option<har::Message> {
    let (opcode, data) = match frame.content.as_ref()? {
        Payload::Text(text) => (1, text.clone()),
        Payload::Binary(bytes) => (2, BASE64.encode(bytes)),
    };
    Some(har::Message {
        kind: if frame.sent { "send" } else { "receive" },
        time: (place.epoch + frame.at) / 1000.0,
        opcode,
        data,
    })
}

/// What the fallbacks asked, each with what came for it on its line.
fn requests<'a>(trace: &'a SessionTrace, place: &Place) -> Vec<(f64, Entry<'a>)> {
    let asked = |frame: &&Frame| frame.sent && frame.carrier != Carrier::Socket;
    let frames = trace.frames.iter();
    frames
        .filter(asked)
        .map(|asked| (asked.at, exchange(trace, place, asked)))
        .collect()
}

fn exchange<'a>(trace: &'a SessionTrace, place: &Place, asked: &'a Frame) -> Entry<'a> {
    let same = |frame: &&Frame| {
        frame.connection == asked.connection && frame.carrier == asked.carrier && frame.number > asked.number
    };
    let rest = trace.frames.iter().filter(same);
    let answers: Vec<_> = rest.take_while(|frame| !frame.sent).collect();
    let end = answers.last().map_or(asked.at, |frame| frame.at);
    let status = if answers.is_empty() { 0 } else { 200 };
    let text: String = answers.iter().map(|frame| event_text(frame)).collect();
    let own = content_text(asked);
    let get = || Request::new("GET", &(place.origin.clone() + own), "HTTP/1.1");
    let (request, kind) = match asked.carrier {
        Carrier::Post => {
            let url = place.origin.clone() + COMMAND_PATH;
            let request = Request {
                post_data: Some(PostData {
                    mime_type: "application/json",
                    text: own,
                }),
                ..Request::new("POST", &url, "HTTP/1.1")
            };
            (request, "application/json")
        }
        Carrier::Event => (get(), "text/event-stream"),
        Carrier::Poll | Carrier::Socket => (get(), "application/json"),
    };
    entry(
        place,
        asked.at,
        end,
        request,
        Response::new(status, "HTTP/1.1", text, kind),
    )
}

fn content_text(frame: &Frame) -> &str {
    match &frame.content {
        Some(Payload::Text(text)) => text,
        _ => "",
    }
}

fn event_text(frame: &Frame) -> String {
    match frame.carrier {
        Carrier::Event => ["data: ", content_text(frame), "\n\n"].concat(),
        _ => content_text(frame).to_owned(),
    }
}

fn entry<'a>(place: &Place, at: f64, end: f64, request: Request<'a>, response: Response<'a>) -> Entry<'a> {
    Entry {
        started: date(place.epoch + at),
        time: end - at,
        request,
        response,
        cache: har::Cache {},
        timings: har::Timings {
            send: 0,
            wait: 0,
            receive: end - at,
        },
        resource_type: None,
        messages: None,
    }
}

fn headers(headers: &[(String, String)]) -> Vec<har::Header<'_>> {
    let headers = headers.iter();
    headers.map(|(name, value)| har::Header { name, value }).collect()
}

/// Milliseconds since the Unix epoch as RFC 3339, in UTC.
fn date(millis: f64) -> String {
    let millis = millis.max(0.0) as u64;
    let (days, rest) = (millis / 86_400_000, millis % 86_400_000);
    let (year, month, day) = civil(days.cast_signed());
    let (hours, minutes, seconds) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1000 % 60);
    format!(
        "{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{:03}Z",
        millis % 1000
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn place() -> Place {
        Place {
            origin: "https://example.org".to_owned(),
            epoch: 1_700_000_000_000.0,
        }
    }

    fn text(text: &str) -> Payload {
        Payload::Text(text.to_owned())
    }

    #[test]
    fn dates_and_base64_are_written_as_everywhere() {
        assert_eq!(date(0.0), "1970-01-01T00:00:00.000Z");
        assert_eq!(date(951_782_400_000.0), "2000-02-29T00:00:00.000Z");
        assert_eq!(date(1_709_251_199_999.0), "2024-02-29T23:59:59.999Z");
        assert_eq!(date(4_107_542_400_000.0), "2100-03-01T00:00:00.000Z");
        for (bytes, encoded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(BASE64.encode(bytes.as_bytes()), encoded);
        }
        assert_eq!(BASE64.encode(&[0xfb, 0xff, 0xfe]), "+//+");
    }

    #[test]
    fn a_socket_is_an_entry_with_its_messages() {
        let mut recorded = SessionTrace::default();
        let (connection, transport, trace) = (1, Transport::WebSocket, Some("t".repeat(32)));
        recorded.event(
            5.0,
            EventKind::Opening {
                connection,
                transport,
                trace,
            },
        );
        recorded.event(6.0, EventKind::Opened { connection });
        recorded.frame(7.0, connection, true, Carrier::Socket, Payload::Binary(vec![1, 2, 3]));
        recorded.frame(9.5, connection, false, Carrier::Socket, text("{}"));
        recorded.frame(9.0, 2, false, Carrier::Socket, text("another line's"));
        let har = har(&recorded, &place(), &[]);
        let entry = &har["log"]["entries"][0];
        assert_eq!(entry["request"]["url"], "wss://example.org/api/session");
        assert_eq!(
            (&entry["response"]["status"], &entry["time"]),
            (&json!(101), &json!(4.5))
        );
        assert_eq!(
            entry["_webSocketMessages"],
            json!([
                { "type": "send", "time": 1_700_000_000.007, "opcode": 2, "data": "AQID" },
                { "type": "receive", "time": 1_700_000_000.009_5, "opcode": 1, "data": "{}" },
            ])
        );
        assert!(
            !har.to_string().contains("tttt"),
            "the key to the server's record is nobody else's"
        );
    }

    #[test]
    fn a_poll_a_stream_and_a_post_are_requests_with_their_answers() {
        let mut trace = SessionTrace::default();
        trace.frame(1.0, 1, true, Carrier::Event, text("/api/session/events?session=s"));
        trace.frame(2.0, 1, false, Carrier::Event, text("1"));
        trace.frame(3.0, 1, false, Carrier::Event, text("2"));
        trace.frame(4.0, 2, true, Carrier::Poll, text("/api/session/poll?session=s"));
        trace.frame(5.0, 2, true, Carrier::Post, text("{}"));
        trace.frame(6.0, 2, false, Carrier::Poll, text("[]"));
        trace.frame(7.0, 2, true, Carrier::Poll, text("/api/session/poll?session=s&x"));
        trace.frame(8.0, 2, false, Carrier::Post, text("reply"));
        let har = har(&trace, &place(), &[]);
        let entries = har["log"]["entries"].as_array().unwrap();
        let answers: Vec<_> = entries
            .iter()
            .map(|entry| entry["response"]["content"]["text"].as_str().unwrap())
            .collect();
        assert_eq!(answers, ["data: 1\n\ndata: 2\n\n", "[]", "reply", ""]);
        assert_eq!(
            entries[0]["request"]["url"],
            "https://example.org/api/session/events?session=s"
        );
        assert_eq!(entries[2]["request"]["postData"]["text"], "{}");
        assert_eq!(entries[3]["response"]["status"], 0, "without an answer yet");
    }

    /// What the specification says that every entry has.
    fn is_whole(entry: &Value) -> bool {
        let has = |value: &Value, names: &[&str]| names.iter().all(|name| !value[*name].is_null());
        let message = [
            "method",
            "url",
            "httpVersion",
            "cookies",
            "headers",
            "queryString",
            "headersSize",
            "bodySize",
        ];
        let answer = [
            "status",
            "statusText",
            "httpVersion",
            "cookies",
            "headers",
            "content",
            "redirectURL",
        ];
        has(
            entry,
            &["startedDateTime", "time", "request", "response", "cache", "timings"],
        ) && has(&entry["request"], &message)
            && has(&entry["response"], &answer)
            && has(&entry["timings"], &["send", "wait", "receive"])
    }

    proptest! {
        #[test]
        fn every_message_is_in_the_file_once_and_every_entry_is_whole(steps in prop::collection::vec((0u32..3, any::<bool>(), 0usize..4, any::<bool>()), 0..80)) {
            let mut trace = SessionTrace::default();
            for connection in 0..3 {
                trace.event(0.0, EventKind::Opening { connection, transport: Transport::WebSocket, trace: None });
            }
            let carriers = [Carrier::Socket, Carrier::Event, Carrier::Poll, Carrier::Post];
            for (place, (connection, sent, carrier, binary)) in steps.iter().enumerate() {
                let carrier = carriers[*carrier];
                let content = if *binary && carrier == Carrier::Socket { Payload::Binary(vec![place as u8]) } else { text("x") };
                trace.frame(place as f64, *connection, *sent, carrier, content);
            }
            let har = har(&trace, &place(), &[]);
            let entries = har["log"]["entries"].as_array().unwrap();
            prop_assert!(entries.iter().all(is_whole));
            let messages: usize = entries.iter().filter_map(|entry| entry["_webSocketMessages"].as_array()).map(Vec::len).sum();
            let sockets = steps.iter().filter(|step| step.2 == 0).count();
            let asked = steps.iter().filter(|step| step.2 != 0 && step.1).count();
            prop_assert_eq!((messages, entries.len()), (sockets, 3 + asked));
        }
    }
}
