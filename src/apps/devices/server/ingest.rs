//! Where devices post that speak HTTP.

use serde::Serialize;
use serde_json::Value;

use super::super::wire::{DeviceCommand, DeviceEvent, Devices, MAX_READINGS, Refusal, Report, is_device, owner};
use super::letter;
use duplex_axum::ingest::{IngestCommand, IngestEndpoint, IngestError, IngestRequest};
use duplex_hub::now;

pub fn ingest_endpoint() -> IngestEndpoint {
    IngestEndpoint {
        path: "/api/devices/{id}/readings",
        purpose: "a device's readings.",
        body_limit: letter::MAX_BODY,
        lenient_numbers: true,
        command,
        outcome: Some(refused),
    }
}

/// The readings that did not count, and why.
fn refused(event: &[u8]) -> Option<Value> {
    match serde_json::from_slice(event).ok()? {
        DeviceEvent::Reported { refused, .. } => serde_json::to_value(Outcome { refused }).ok(),
        _ => None,
    }
}

/// What an accepted report is answered beside its seq.
#[derive(Serialize)]
struct Outcome {
    refused: Vec<Refusal>,
}

fn command(request: &IngestRequest) -> Result<IngestCommand, IngestError> {
    let id = request.params.get("id").map_or("", String::as_str);
    if !is_device(id) || owner(id).is_some() {
        return Err(IngestError::NotFound(
            "A device is named in 1 to 40 of a-z 0-9 - _ .".to_owned(),
        ));
    }
    if !request.body.is_object() {
        return Err(IngestError::Unprocessable("The body is no JSON object.".to_owned()));
    }
    let report: Report = serde_json::from_value(request.body.clone())
        .map_err(|error| IngestError::Unprocessable(format!("The body is no report: {error}.")))?;
    if report.readings.len() > MAX_READINGS {
        let detail = format!("A report has at most {MAX_READINGS} readings.");
        return Err(IngestError::Unprocessable(detail));
    }
    let (key, time) = (key(&report, &request.body), letter::newest(&report, now()));
    let command = IngestCommand::to::<Devices>(id, &DeviceCommand::Report(report))?;
    Ok(command.with_key(key).with_time(time))
}

/// A report that says its times is the same whenever it is posted.
fn key(report: &Report, body: &Value) -> Option<String> {
    report
        .is_dated()
        .then(|| format!("{:032x}", letter::digest_of(&[body.to_string().as_bytes()])))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_posted_report_is_a_command_to_its_device() {
        let call = |id: &str, body: Value| {
            command(&IngestRequest {
                params: [("id".to_owned(), id.to_owned())].into(),
                body,
            })
        };
        let body = json!({"readings": [{"metric": "t", "value": "NaN", "at": 5}]});
        let ingest = call("oven-1", body.clone()).unwrap();
        assert_eq!(ingest.command.topic().as_str(), "device/oven-1");
        let command: Value = serde_json::from_str(ingest.command.json()).unwrap();
        assert_eq!(command["report"]["readings"][0]["value"], Value::Null);
        assert_eq!(ingest.key, call("oven-1", body.clone()).unwrap().key);
        assert!(ingest.key.is_some());
        assert_eq!(ingest.time, Some(5));
        let undated = json!({"readings": [{"metric": "t", "value": 1}]});
        assert_eq!(call("oven-1", undated).unwrap().key, None);
        assert!(matches!(call("Oven", body.clone()), Err(IngestError::NotFound(_))));
        assert!(matches!(call("browser-0", body), Err(IngestError::NotFound(_))));
        assert!(matches!(call("oven-1", json!([])), Err(IngestError::Unprocessable(_))));
    }
}
