//! The log in memory: the contract, and injected failures.

use std::pin::pin;
use std::sync::Arc;

use duplex_hub::log::memory::{Fault, MemoryLog};
use duplex_hub::log::{Log, LogError};
use duplex_protocol::cursor::Epoch;
use futures_util::poll;

use super::*;

fn new_log() -> (Arc<dyn Log>, ()) {
    (Arc::new(MemoryLog::new(Epoch::new(1))), ())
}

contract_tests!(new_log());
contract_tests!(shared new_log());

#[tokio::test]
async fn appends_fail_or_stall_as_configured() {
    let log = MemoryLog::new(Epoch::new(1));
    let lobby = topic(LOBBY);
    log.set_fault(Fault::Error(LogError::Full));
    assert_eq!(
        log.append(&lobby, 0.into(), vec![message_entry(1)]).await,
        Err(LogError::Full)
    );
    log.set_fault(Fault::Stall);
    let mut append = pin!(log.append(&lobby, 0.into(), vec![message_entry(1)]));
    assert!(poll!(&mut append).is_pending());
    assert_eq!(all(&log, &lobby).await, []);
    log.set_fault(Fault::None);
    assert_eq!(append.await, Ok(1));
}
