//! Exports of the session: JSON with the whole trace, and HAR 1.2 with Chrome's extension for WebSocket messages, which other
//! tools can import. <http://www.softwareishard.com/blog/har-12-spec/> Pure.

use std::collections::VecDeque;

use data_encoding::BASE64;
use serde::Serialize;
use serde_json::Value;

use super::har::{self, Entry, Har, PostData, Request, Response};
use crate::wire::civil::civil_from_days;
use duplex_leptos::status::Transport;
use duplex_leptos::trace::{
    Anomaly, Carrier, DeliveryCounts, EventKind, Payload, RecordedFrame, RequestedFault, SessionCounters, SessionTrace,
    TraceEvent,
};
use duplex_protocol::fault::Fault;
use duplex_protocol::handshake::Handshake;
use duplex_protocol::session::{COMMAND_PATH, SESSION_PATH, SessionId};
use duplex_protocol::topic::TopicName;

/// The page's origin and the start of its clock.
#[derive(Debug, Clone, PartialEq)]
pub struct PageContext {
    /// `https://example.org`
    pub origin: String,
    /// The zero of the page's clock, in milliseconds since the Unix epoch.
    pub time_origin: f64,
}

/// The content of the JSON file.
#[derive(Serialize)]
struct SessionExport<'a> {
    session: &'a Option<SessionId>,
    counts: &'a SessionCounters,
    #[serde(rename = "told")]
    delivered: DeliveryCounts,
    findings: &'a [Anomaly],
    round_trips_ms: &'a VecDeque<f64>,
    #[serde(rename = "moments")]
    events: Vec<EventRecord<'a>>,
    frames: Vec<FrameRecord>,
}

#[derive(Serialize)]
struct FrameRecord {
    number: u64,
    at: String,
    #[serde(rename = "line")]
    connection: u32,
    carrier: Carrier,
    direction: &'static str,
    size: usize,
    #[serde(rename = "wire")]
    wire_size: u64,
    /// Null if it is not JSON.
    content: Value,
}

#[derive(Serialize)]
struct EventRecord<'a> {
    number: u64,
    at: String,
    #[serde(rename = "what")]
    detail: EventDetail<'a>,
    #[serde(rename = "told")]
    delivered: DeliveryCounts,
}

#[derive(Serialize)]
#[serde(untagged)]
enum EventDetail<'a> {
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
        fault: FaultRecord<'a>,
        #[serde(rename = "refused")]
        rejected: Option<u16>,
    },
    Name(&'static str),
}

#[derive(Serialize)]
struct Closing {
    retry_after_ms: u32,
}

#[derive(Serialize)]
#[serde(untagged)]
enum FaultRecord<'a> {
    Server(&'a Fault),
    Offline { offline: Offline },
}

#[derive(Serialize)]
struct Offline {
    for_ms: u32,
}

/// The JSON file. `read` returns a frame's content as JSON text.
pub fn session(trace: &SessionTrace, page: &PageContext, read: impl Fn(&RecordedFrame) -> String) -> Value {
    let frame = |frame: &RecordedFrame| FrameRecord {
        number: frame.number,
        at: date(page.time_origin + frame.at),
        connection: frame.connection,
        carrier: frame.carrier,
        direction: if frame.sent { "sent" } else { "received" },
        size: frame.size,
        wire_size: super::frame_text::wire_size(frame),
        content: serde_json::from_str(&read(frame)).unwrap_or(Value::Null),
    };
    to_json(&SessionExport {
        session: &trace.session,
        counts: &trace.counters,
        delivered: trace.audit.counts(),
        findings: trace.audit.anomalies(),
        round_trips_ms: &trace.round_trips,
        events: trace.events.iter().map(|event| event_record(event, page)).collect(),
        frames: trace.frames.iter().map(frame).collect(),
    })
}

/// Serializes a file, with the members of each object in alphabetical order.
fn to_json(file: &impl Serialize) -> Value {
    serde_json::to_value(file).unwrap_or_default()
}

fn event_record<'a>(event: &'a TraceEvent, page: &PageContext) -> EventRecord<'a> {
    let detail = match &event.kind {
        EventKind::Phase { phase, transport } => EventDetail::Phase {
            phase: format!("{phase:?}"),
            transport: transport.map(transport_name),
        },
        EventKind::Opening {
            connection, transport, ..
        } => EventDetail::Opening {
            opening: *connection,
            transport: transport_name(*transport),
        },
        EventKind::Opened { connection: opened } => EventDetail::Opened { opened: *opened },
        EventKind::Closed { connection, code } => EventDetail::Closed {
            closed: *connection,
            code: *code,
        },
        EventKind::ClosedLocally { connection: left } => EventDetail::ClosedLocally { left: *left },
        EventKind::Closing { retry_after_ms } => EventDetail::Closing {
            closing: Closing {
                retry_after_ms: *retry_after_ms,
            },
        },
        EventKind::Resumed { topic, replayed } => EventDetail::Resumed {
            resumed: topic,
            replayed: *replayed,
        },
        EventKind::Reset { topic: reset } => EventDetail::Reset { reset },
        EventKind::Denied { topic: denied } => EventDetail::Denied { denied },
        EventKind::Fault { fault, rejected } => EventDetail::Fault {
            fault: match fault {
                RequestedFault::Server(fault) => FaultRecord::Server(fault),
                RequestedFault::Offline(for_ms) => FaultRecord::Offline {
                    offline: Offline { for_ms: *for_ms },
                },
            },
            rejected: *rejected,
        },
        EventKind::OfflineEnded => EventDetail::Name("restored"),
    };
    EventRecord {
        number: event.number,
        at: date(page.time_origin + event.at),
        detail,
        delivered: event.delivery,
    }
}

const fn transport_name(transport: Transport) -> &'static str {
    match transport {
        Transport::WebSocket => "websocket",
        Transport::Sse => "sse",
        Transport::Poll => "poll",
    }
}

/// The HAR file, with an entry for each WebSocket, stream, poll and post. `handshakes` are those that the server still has, by trace id.
pub fn har(trace: &SessionTrace, page: &PageContext, handshakes: &[(String, Handshake)]) -> Value {
    let mut entries = sockets(trace, page, handshakes);
    entries.extend(requests(trace, page));
    entries.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    to_json(&Har::new(entries.into_iter().map(|(_, entry)| entry).collect()))
}

fn sockets<'a>(
    trace: &'a SessionTrace,
    page: &PageContext,
    handshakes: &'a [(String, Handshake)],
) -> Vec<(f64, Entry<'a>)> {
    let opening = |event: &TraceEvent| match &event.kind {
        EventKind::Opening {
            connection,
            transport: Transport::WebSocket,
            handshake_id,
        } => Some((event.at, *connection, handshake_id.clone())),
        _ => None,
    };
    let entry = |(at, connection, handshake_id): (f64, u32, Option<String>)| {
        let messages: Vec<_> = trace
            .frames
            .iter()
            .filter(|frame| frame.connection == connection && frame.carrier == Carrier::Socket)
            .collect();
        let end = messages.last().map_or(at, |frame| frame.at);
        let opened = trace
            .events
            .iter()
            .any(|event| event.kind == EventKind::Opened { connection });
        let handshake = handshakes.iter().find(|(id, _)| Some(id) == handshake_id.as_ref());
        let handshake = handshake.map(|(_, handshake)| handshake);
        let url = page.origin.replacen("http", "ws", 1) + SESSION_PATH;
        let version = handshake.map_or("HTTP/1.1", |handshake| handshake.version.as_str());
        let status = handshake.map_or(if opened { 101 } else { 0 }, |handshake| handshake.status);
        let mut request = Request::new("GET", &url, version);
        let mut response = Response::new(status, version, String::new(), "x-unknown");
        if let Some(handshake) = handshake {
            request.method = &handshake.method;
            request.headers = headers(&handshake.request);
            response.headers = headers(&handshake.response);
        }
        let messages = messages.iter().filter_map(|frame| message(frame, page));
        let entry = Entry {
            resource_type: Some("websocket"),
            messages: Some(messages.collect()),
            ..entry(page, at, end, request, response)
        };
        (at, entry)
    };
    trace.events.iter().filter_map(opening).map(entry).collect()
}

/// A WebSocket message as Chrome writes it: time in seconds, opcode, and base64 if binary.
fn message(frame: &RecordedFrame, page: &PageContext) -> Option<har::Message> {
    let (opcode, data) = match frame.content.as_ref()? {
        Payload::Text(text) => (1, text.clone()),
        Payload::Binary(bytes) => (2, BASE64.encode(bytes)),
    };
    Some(har::Message {
        kind: if frame.sent { "send" } else { "receive" },
        time: (page.time_origin + frame.at) / 1000.0,
        opcode,
        data,
    })
}

/// The requests of SSE, long polling and commands, each with the response on its connection.
fn requests<'a>(trace: &'a SessionTrace, page: &PageContext) -> Vec<(f64, Entry<'a>)> {
    let is_request = |frame: &&RecordedFrame| frame.sent && frame.carrier != Carrier::Socket;
    let frames = trace.frames.iter();
    frames
        .filter(is_request)
        .map(|request| (request.at, request_entry(trace, page, request)))
        .collect()
}

fn request_entry<'a>(trace: &'a SessionTrace, page: &PageContext, request_frame: &'a RecordedFrame) -> Entry<'a> {
    let is_later_on_connection = |frame: &&RecordedFrame| {
        frame.connection == request_frame.connection
            && frame.carrier == request_frame.carrier
            && frame.number > request_frame.number
    };
    let later_frames = trace.frames.iter().filter(is_later_on_connection);
    let responses: Vec<_> = later_frames.take_while(|frame| !frame.sent).collect();
    let end = responses.last().map_or(request_frame.at, |frame| frame.at);
    let status = if responses.is_empty() { 0 } else { 200 };
    let text: String = responses.iter().map(|frame| event_text(frame)).collect();
    let content = content_text(request_frame);
    let get = || Request::new("GET", &(page.origin.clone() + content), "HTTP/1.1");
    let (request, mime_type) = match request_frame.carrier {
        Carrier::Post => {
            let url = page.origin.clone() + COMMAND_PATH;
            let request = Request {
                post_data: Some(PostData {
                    mime_type: "application/json",
                    text: content,
                }),
                ..Request::new("POST", &url, "HTTP/1.1")
            };
            (request, "application/json")
        }
        Carrier::Event => (get(), "text/event-stream"),
        Carrier::Poll | Carrier::Socket => (get(), "application/json"),
    };
    entry(
        page,
        request_frame.at,
        end,
        request,
        Response::new(status, "HTTP/1.1", text, mime_type),
    )
}

fn content_text(frame: &RecordedFrame) -> &str {
    match &frame.content {
        Some(Payload::Text(text)) => text,
        _ => "",
    }
}

fn event_text(frame: &RecordedFrame) -> String {
    match frame.carrier {
        Carrier::Event => ["data: ", content_text(frame), "\n\n"].concat(),
        _ => content_text(frame).to_owned(),
    }
}

fn entry<'a>(page: &PageContext, at: f64, end: f64, request: Request<'a>, response: Response<'a>) -> Entry<'a> {
    Entry {
        started: date(page.time_origin + at),
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
    let (year, month, day) = civil_from_days(days.cast_signed());
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

    fn page() -> PageContext {
        PageContext {
            origin: "https://example.org".to_owned(),
            time_origin: 1_700_000_000_000.0,
        }
    }

    fn text(text: &str) -> Payload {
        Payload::Text(text.to_owned())
    }

    #[test]
    fn dates_and_base64_have_their_standard_forms() {
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
        let (connection, transport, handshake_id) = (1, Transport::WebSocket, Some("t".repeat(32)));
        recorded.record_event(
            5.0,
            EventKind::Opening {
                connection,
                transport,
                handshake_id,
            },
        );
        recorded.record_event(6.0, EventKind::Opened { connection });
        recorded.record_frame(7.0, connection, true, Carrier::Socket, Payload::Binary(vec![1, 2, 3]));
        recorded.record_frame(9.5, connection, false, Carrier::Socket, text("{}"));
        recorded.record_frame(9.0, 2, false, Carrier::Socket, text("another connection's"));
        let har = har(&recorded, &page(), &[]);
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
            "the trace id, the key to the server's record, is not exported"
        );
    }

    #[test]
    fn a_poll_a_stream_and_a_post_are_requests_with_their_responses() {
        let mut trace = SessionTrace::default();
        trace.record_frame(1.0, 1, true, Carrier::Event, text("/api/session/events?session=s"));
        trace.record_frame(2.0, 1, false, Carrier::Event, text("1"));
        trace.record_frame(3.0, 1, false, Carrier::Event, text("2"));
        trace.record_frame(4.0, 2, true, Carrier::Poll, text("/api/session/poll?session=s"));
        trace.record_frame(5.0, 2, true, Carrier::Post, text("{}"));
        trace.record_frame(6.0, 2, false, Carrier::Poll, text("[]"));
        trace.record_frame(7.0, 2, true, Carrier::Poll, text("/api/session/poll?session=s&x"));
        trace.record_frame(8.0, 2, false, Carrier::Post, text("reply"));
        let har = har(&trace, &page(), &[]);
        let entries = har["log"]["entries"].as_array().unwrap();
        let responses: Vec<_> = entries
            .iter()
            .map(|entry| entry["response"]["content"]["text"].as_str().unwrap())
            .collect();
        assert_eq!(responses, ["data: 1\n\ndata: 2\n\n", "[]", "reply", ""]);
        assert_eq!(
            entries[0]["request"]["url"],
            "https://example.org/api/session/events?session=s"
        );
        assert_eq!(entries[2]["request"]["postData"]["text"], "{}");
        assert_eq!(entries[3]["response"]["status"], 0, "no response yet");
    }

    /// Whether an entry has all fields that the specification requires.
    fn is_complete(entry: &Value) -> bool {
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
        fn every_message_is_in_the_file_once_and_every_entry_is_complete(steps in prop::collection::vec((0u32..3, any::<bool>(), 0usize..4, any::<bool>()), 0..80)) {
            let mut trace = SessionTrace::default();
            for connection in 0..3 {
                trace.record_event(0.0, EventKind::Opening { connection, transport: Transport::WebSocket, handshake_id: None });
            }
            let carriers = [Carrier::Socket, Carrier::Event, Carrier::Poll, Carrier::Post];
            for (page, (connection, sent, carrier, binary)) in steps.iter().enumerate() {
                let carrier = carriers[*carrier];
                let content = if *binary && carrier == Carrier::Socket { Payload::Binary(vec![page as u8]) } else { text("x") };
                trace.record_frame(page as f64, *connection, *sent, carrier, content);
            }
            let har = har(&trace, &page(), &[]);
            let entries = har["log"]["entries"].as_array().unwrap();
            prop_assert!(entries.iter().all(is_complete));
            let messages: usize = entries.iter().filter_map(|entry| entry["_webSocketMessages"].as_array()).map(Vec::len).sum();
            let sockets = steps.iter().filter(|step| step.2 == 0).count();
            let requests = steps.iter().filter(|step| step.2 != 0 && step.1).count();
            prop_assert_eq!((messages, entries.len()), (sockets, 3 + requests));
        }
    }
}
