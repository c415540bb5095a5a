//! `POST /api/devices/{id}/readings`: reports of devices over HTTP.

use serde::Serialize;
use serde_json::Value;

use super::super::wire::{
    DeviceCommand, DeviceEvent, Devices, MAX_READINGS, RejectedReading, Report, browser_owner, is_device_id,
};
use super::mqtt_message;
use duplex_axum::ingest::{IngestCommand, IngestEndpoint, IngestError, IngestRequest};
use duplex_hub::now;

pub fn ingest_endpoint() -> IngestEndpoint {
    IngestEndpoint {
        path: "/api/devices/{id}/readings",
        description: "a device's report as JSON.",
        body_limit: mqtt_message::MAX_BODY,
        lenient_numbers: true,
        command,
        response_fields: Some(rejected_readings),
    }
}

/// Returns the rejected readings of an accepted report, each with its reason.
fn rejected_readings(event: &[u8]) -> Option<Value> {
    match serde_json::from_slice(event).ok()? {
        DeviceEvent::Reported { rejected, .. } => serde_json::to_value(IngestOutcome { rejected }).ok(),
        _ => None,
    }
}

/// The outcome of an accepted report, returned next to its seq.
#[derive(Serialize)]
struct IngestOutcome {
    #[serde(rename = "refused")]
    rejected: Vec<RejectedReading>,
}

fn command(request: &IngestRequest) -> Result<IngestCommand, IngestError> {
    let id = request.params.get("id").map_or("", String::as_str);
    if !is_device_id(id) || browser_owner(id).is_some() {
        return Err(IngestError::NotFound(
            "No such device: an id has 1 to 40 characters of a-z 0-9 - _ .".to_owned(),
        ));
    }
    if !request.body.is_object() {
        return Err(IngestError::Unprocessable("The body is not a JSON object.".to_owned()));
    }
    let report: Report = serde_json::from_value(request.body.clone())
        .map_err(|error| IngestError::Unprocessable(format!("The body is not a report: {error}.")))?;
    if report.readings.len() > MAX_READINGS {
        let detail = format!("A report has at most {MAX_READINGS} readings.");
        return Err(IngestError::Unprocessable(detail));
    }
    let (idempotency_key, time) = (
        idempotency_key(&report, &request.body),
        mqtt_message::newest_reading_time(&report, now()),
    );
    let command = IngestCommand::to::<Devices>(id, &DeviceCommand::Report(report))?;
    Ok(command.with_key(idempotency_key).with_time(time))
}

/// The idempotency key of a report whose readings all carry their time.
fn idempotency_key(report: &Report, body: &Value) -> Option<String> {
    report
        .is_timestamped()
        .then(|| format!("{:032x}", mqtt_message::digest(&[body.to_string().as_bytes()])))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_posted_report_is_a_command_to_its_device() {
        let parse = |id: &str, body: Value| {
            command(&IngestRequest {
                params: [("id".to_owned(), id.to_owned())].into(),
                body,
            })
        };
        let body = json!({"readings": [{"metric": "t", "value": "NaN", "at": 5}]});
        let ingest = parse("oven-1", body.clone()).unwrap();
        assert_eq!(ingest.command.topic().as_str(), "device/oven-1");
        let command: Value = serde_json::from_str(ingest.command.json()).unwrap();
        assert_eq!(command["report"]["readings"][0]["value"], Value::Null);
        assert_eq!(ingest.key, parse("oven-1", body.clone()).unwrap().key);
        assert!(ingest.key.is_some());
        assert_eq!(ingest.time, Some(5));
        let untimestamped = json!({"readings": [{"metric": "t", "value": 1}]});
        assert_eq!(parse("oven-1", untimestamped).unwrap().key, None);
        assert!(matches!(parse("Oven", body.clone()), Err(IngestError::NotFound(_))));
        assert!(matches!(parse("browser-0", body), Err(IngestError::NotFound(_))));
        assert!(matches!(parse("oven-1", json!([])), Err(IngestError::Unprocessable(_))));
    }
}
