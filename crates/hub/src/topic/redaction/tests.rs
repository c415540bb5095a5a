//! Tests of redactions, in memory and in the log.

use futures_util::future::join_all;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::super::handle::TopicHandle;
use super::*;
use crate::decider::{Access, Context, Decider, NoCommand, Principal, Redaction};
use crate::hub::Hub;
use crate::log::memory::{Fault, MemoryLog};
use crate::log::sqlite::SqliteLog;
use crate::log::{Log, Record};
use crate::topic::Frame;
use crate::topic::dyn_topic::dyn_topic;
use crate::topic::read_batch::{ReadBatch, ReadLimit};
use duplex_protocol::codec::{EncodedValue, Encoding};
use duplex_protocol::cursor::{Cursor, Epoch};
use duplex_protocol::person::{Person, PersonId};
use duplex_protocol::session::{Answer, CommandId, Denial, Rejection, ResetReason, ServerFrame, Verdict};
use duplex_protocol::topic::{Topic, TopicName};

struct Board;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum BoardEvent {
    Add(String),
    Edit(Seq, String),
    /// Redacts a line.
    Delete(Seq),
    /// Redacts everything.
    Clear,
}

type Lines = Vec<(Seq, String)>;

impl Topic for Board {
    const KIND: &'static str = "board";
    type Command = BoardEvent;
    type Event = BoardEvent;
    type State = Lines;

    fn apply(lines: &mut Lines, seq: Seq, event: &BoardEvent) {
        match event {
            BoardEvent::Add(text) => lines.push((seq, text.clone())),
            BoardEvent::Edit(line, text) => {
                for (_, old) in lines.iter_mut().filter(|(seq, _)| seq == line) {
                    old.clone_from(text);
                }
            }
            BoardEvent::Delete(line) => lines.retain(|(seq, _)| seq != line),
            BoardEvent::Clear => lines.clear(),
        }
    }

    fn amends(event: &BoardEvent) -> Option<Seq> {
        match event {
            BoardEvent::Edit(line, _) | BoardEvent::Delete(line) => Some(*line),
            BoardEvent::Add(_) | BoardEvent::Clear => None,
        }
    }
}

impl Decider for Board {
    type ServerCommand = NoCommand;

    fn admit(&self, _: Principal<'_>, _: &TopicName) -> Result<Access, Denial> {
        Ok(Access::Write)
    }

    fn decide(&self, _: Context<'_>, lines: &Lines, command: BoardEvent) -> Result<Vec<BoardEvent>, Rejection> {
        match Self::amends(&command) {
            Some(line) if !lines.iter().any(|(seq, _)| *seq == line) => Err(Rejection::custom("no line")),
            _ => Ok(vec![command]),
        }
    }

    fn redacts(&self, _: &Lines, event: &BoardEvent) -> Redaction {
        match event {
            BoardEvent::Delete(line) => Redaction::Events(vec![*line]),
            BoardEvent::Clear => Redaction::AllEarlier,
            BoardEvent::Add(_) | BoardEvent::Edit(..) => Redaction::Nothing,
        }
    }

    fn redacted(&self, event: BoardEvent) -> BoardEvent {
        match event {
            BoardEvent::Add(_) => BoardEvent::Add(String::new()),
            BoardEvent::Edit(line, _) => BoardEvent::Edit(line, String::new()),
            BoardEvent::Delete(_) | BoardEvent::Clear => event,
        }
    }
}

const ALL: ReadLimit = ReadLimit {
    frames: usize::MAX,
    bytes: usize::MAX,
};

fn topic() -> TopicName {
    "board/one".parse().unwrap()
}

fn hub(log: &Arc<impl Log>) -> Hub {
    Hub::new(Arc::clone(log) as Arc<dyn Log>, vec![dyn_topic(Board)])
}

fn memory() -> Arc<MemoryLog> {
    Arc::new(MemoryLog::new(Epoch::new(7)))
}

async fn send(board: &TopicHandle, id: u128, command: &BoardEvent) -> Answer {
    let person = Person {
        id: PersonId("a".to_owned()),
        name: String::new(),
    };
    let command = EncodedValue::encode(Encoding::Json, command).unwrap();
    board
        .command(person, CommandId::from_bits(id), command, Encoding::Json)
        .await
        .0
}

fn add(text: &str) -> BoardEvent {
    BoardEvent::Add(text.to_owned())
}

fn edit(line: Seq, text: &str) -> BoardEvent {
    BoardEvent::Edit(line, text.to_owned())
}

const fn accepted(seq: Seq) -> Answer {
    Answer::Accepted { seq }
}

fn events(batch: &ReadBatch) -> Vec<(Seq, BoardEvent)> {
    let ReadBatch::Frames { frames, .. } = batch else {
        panic!("{batch:?}")
    };
    let event = |frame: &Frame| match Encoding::Json.decode(frame).unwrap() {
        ServerFrame::Event { seq, event, .. } => (seq, event.decode(Encoding::Json).unwrap()),
        other => panic!("{other:?}"),
    };
    frames.iter().map(event).collect()
}

/// Everything that a reader can get, as text.
async fn everything(hub: &Hub, board: &TopicHandle) -> String {
    let log = hub.log();
    let (state, snapshot) = (board.state(Encoding::Json).await, log.open(&topic(), 99, 0).await);
    let ring = [Encoding::Json, Encoding::Postcard].map(|encoding| board.read(0, encoding, ALL));
    let behind = board.read_log(0, Encoding::Json, ALL).await;
    let history = hub.history(&topic(), Seq::MAX, 99).await;
    let records = log.read(&topic(), 0, 99).await.unwrap();
    let json: Vec<_> = records
        .iter()
        .map(|record| String::from_utf8_lossy(&record.event))
        .collect();
    let snapshot = snapshot
        .unwrap()
        .snapshot
        .map(|(_, state)| String::from_utf8(state).unwrap());
    let state = state.map(|(_, state)| String::from_utf8(state.0).unwrap());
    let history: Vec<_> = history.unwrap().events.into_iter().map(|(_, event)| event.0).collect();
    let history: Vec<_> = history.iter().map(|event| String::from_utf8_lossy(event)).collect();
    format!("{ring:?} {behind:?} {history:?} {json:?} {snapshot:?} {state:?}")
}

fn replayed(records: &[Record]) -> Lines {
    let mut lines = Lines::new();
    for record in records {
        Board::apply(&mut lines, record.seq, &serde_json::from_slice(&record.event).unwrap());
    }
    lines
}

async fn lines(board: &TopicHandle) -> Lines {
    board
        .state(Encoding::Json)
        .await
        .unwrap()
        .1
        .decode(Encoding::Json)
        .unwrap()
}

#[tokio::test]
async fn redacted_text_is_in_no_response_and_no_store() {
    let log = memory();
    let hub = hub(&log);
    let board = hub.open(&topic()).await.unwrap();
    for (id, change) in [add("secret one"), add("two"), edit(1, "secret three")]
        .iter()
        .enumerate()
    {
        send(&board, id as u128, change).await;
    }
    let before = log.read(&topic(), 0, 9).await.unwrap();
    // Caches a frame and a state that contain the text.
    assert!(everything(&hub, &board).await.contains("secret"));
    assert_eq!(send(&board, 9, &BoardEvent::Delete(1)).await, accepted(4));
    let text = everything(&hub, &board).await;
    assert!(!text.contains("secret") && text.contains("two"), "{text}");
    let after = log.read(&topic(), 0, 9).await.unwrap();
    let places = |records: &[Record]| {
        records
            .iter()
            .map(|record| (record.seq, record.at, record.amends))
            .collect::<Vec<_>>()
    };
    assert_eq!(places(&after[..3]), places(&before));
    let seen = events(&board.read(0, Encoding::Json, ALL));
    assert_eq!(seen, events(&board.read_log(0, Encoding::Json, ALL).await.unwrap()));
    let expected = [add(""), add("two"), edit(1, ""), BoardEvent::Delete(1)];
    assert!(seen.into_iter().eq((1..).zip(expected)));
    assert_eq!(lines(&board).await, [(2, "two".to_owned())]);
}

#[tokio::test]
async fn a_restart_keeps_the_redaction() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    for restart in 0..3 {
        let log = Arc::new(SqliteLog::open(&path).unwrap());
        let hub = hub(&log);
        let board = hub.open(&topic()).await.unwrap();
        assert_eq!(send(&board, 1, &add("secret")).await, accepted(1));
        assert_eq!(send(&board, 2, &add("two")).await, accepted(2));
        assert_eq!(send(&board, 3, &BoardEvent::Delete(1)).await, accepted(3));
        assert!(!everything(&hub, &board).await.contains("secret"), "restart {restart}");
        assert_eq!(lines(&board).await, [(2, "two".to_owned())]);
        assert_eq!(log.open(&topic(), 0, 0).await.unwrap().snapshot.unwrap().0, 3);
        // Once with a snapshot at the end, otherwise without, as after a kill.
        match restart {
            1 => hub.close().await,
            _ => log.close().await,
        }
    }
}

#[tokio::test]
async fn text_added_and_redacted_in_one_commit_is_never_stored() {
    let log = memory();
    let hub = hub(&log);
    let board = hub.open(&topic()).await.unwrap();
    log.set_fault(Fault::Stall);
    let first = tokio::spawn({
        let board = board.clone();
        async move { send(&board, 0, &add("first")).await }
    });
    while hub.stats().appends == 0 {
        tokio::task::yield_now().await;
    }
    let changes = [add("secret"), edit(2, "secret"), BoardEvent::Delete(2), add("last")];
    let sent = join_all((1..).zip(&changes).map(|(id, change)| send(&board, id, change)));
    let clear_fault = async {
        tokio::task::yield_now().await;
        log.set_fault(Fault::None);
    };
    let (answers, ()) = futures_util::join!(sent, clear_fault);
    assert_eq!(first.await.unwrap(), accepted(1));
    assert_eq!(answers, [2, 3, 4, 5].map(accepted));
    assert_eq!(hub.stats().appends, 2);
    assert!(!everything(&hub, &board).await.contains("secret"));
    assert_eq!(lines(&board).await, replayed(&log.read(&topic(), 0, 9).await.unwrap()));
}

#[tokio::test]
async fn a_failed_append_redacts_nothing() {
    let log = memory();
    let hub = hub(&log);
    let board = hub.open(&topic()).await.unwrap();
    send(&board, 1, &add("secret")).await;
    log.set_fault(Fault::Error(LogError::Full));
    assert_eq!(
        send(&board, 2, &BoardEvent::Delete(1)).await,
        Answer::Rejected(Rejection::StorageFull)
    );
    assert_eq!(events(&board.read(0, Encoding::Json, ALL)), [(1, add("secret"))]);
    assert_eq!(lines(&board).await, [(1, "secret".to_owned())]);
    log.set_fault(Fault::None);
    assert_eq!(send(&board, 2, &BoardEvent::Delete(1)).await, accepted(2));
    assert!(!everything(&hub, &board).await.contains("secret"));
}

#[tokio::test]
async fn a_redacted_topic_restarts_and_its_seqs_continue() {
    let log = memory();
    let hub = hub(&log);
    let board = hub.open(&topic()).await.unwrap();
    let at = |seq| Some(Cursor::new(Epoch::new(7), seq));
    for id in 1..=3 {
        send(&board, id, &add("secret")).await;
    }
    assert_eq!(send(&board, 4, &BoardEvent::Clear).await, accepted(4));
    assert_eq!(send(&board, 5, &add("new")).await, accepted(5));
    for seq in [0, 2] {
        let verdict = board.verdict(at(seq), Encoding::Json).await.unwrap();
        let Verdict::Reset { reason, cursor, state } = verdict else {
            panic!("{verdict:?}")
        };
        assert_eq!((reason, cursor.seq), (ResetReason::TooOld, 5));
        assert_eq!(state.decode::<Lines>(Encoding::Json).unwrap(), [(5, "new".to_owned())]);
        assert_eq!(board.read(seq, Encoding::Json, ALL), ReadBatch::Behind);
        assert_eq!(board.read_log(seq, Encoding::Json, ALL).await, Ok(ReadBatch::Behind));
    }
    let resumed = board.verdict(at(3), Encoding::Json).await.unwrap();
    assert!(matches!(resumed, Verdict::Resumed { replayed: 2, .. }), "{resumed:?}");
    assert_eq!(
        events(&board.read(3, Encoding::Json, ALL)),
        [(4, BoardEvent::Clear), (5, add("new"))]
    );
    let page = hub.history(&topic(), Seq::MAX, 9).await.unwrap();
    assert_eq!((page.events.len(), page.first, page.amended_up_to), (2, true, 5));
    assert!(!format!("{:?}", log.read(&topic(), 0, 9).await).contains("secret"));
}

fn change() -> impl Strategy<Value = BoardEvent> {
    prop_oneof![
        4 => "[a-c]{1,3}".prop_map(BoardEvent::Add),
        3 => (1u64..12, "[d-f]{1,3}").prop_map(|(line, text)| BoardEvent::Edit(line, text)),
        2 => (1u64..12).prop_map(BoardEvent::Delete),
        1 => Just(BoardEvent::Clear),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The state always equals the fold of the stored events, and the state of a topic that is started again.
    #[test]
    fn a_replay_leads_to_the_same_state(changes in prop::collection::vec(prop::collection::vec(change(), 1..4), 1..12)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let log = memory();
            let first = hub(&log);
            let board = first.open(&topic()).await.unwrap();
            let mut id = 0;
            for together in changes {
                let sent = together.iter().map(|change| { id += 1; send(&board, id, change) }).collect::<Vec<_>>();
                join_all(sent).await;
                let records = log.read(&topic(), 0, 99).await.unwrap();
                prop_assert_eq!(lines(&board).await, replayed(&records));
                if let Some(record) = records.first() {
                    let shown = events(&board.read(record.seq - 1, Encoding::Json, ALL));
                    let kept = records.iter().map(|record| (record.seq, serde_json::from_slice::<BoardEvent>(&record.event).unwrap()));
                    prop_assert!(shown.into_iter().eq(kept));
                }
            }
            let other = hub(&log);
            let reopened = other.open(&topic()).await.unwrap();
            prop_assert_eq!(lines(&reopened).await, lines(&board).await);
            Ok(())
        })?;
    }
}
