//! Export of traces to an OpenTelemetry collector, over HTTP with protobuf: every span that passes the log filter.
//! A dedicated thread sends them in batches; an unreachable collector does not block the server.

use std::io::{self, Write as _};

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{ExporterBuildError, Protocol, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracerProvider, Tracer};
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::Registry;

pub struct Traces(SdkTracerProvider);

impl Drop for Traces {
    fn drop(&mut self) {
        if let Err(error) = self.0.shutdown() {
            let _ = writeln!(io::stderr(), "duplex: the last traces were not sent: {error}");
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct TraceExportError(#[from] ExporterBuildError);

/// `endpoint` is the complete URL, including `/v1/traces`.
pub fn layer(endpoint: &str) -> Result<(OpenTelemetryLayer<Registry, Tracer>, Traces), TraceExportError> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(endpoint)
        .build()?;
    let resource = Resource::builder().with_service_name(env!("CARGO_PKG_NAME")).build();
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource)
        .build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("duplex"));
    Ok((layer, Traces(provider)))
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread;

    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::registry;

    use super::*;

    /// Accepts one request and answers it like a collector.
    fn receive(listener: &TcpListener) -> (String, Vec<u8>) {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let (mut head, mut line) = (String::new(), String::new());
        while reader.read_line(&mut line).unwrap() > 2 {
            head.push_str(&line.to_lowercase());
            line.clear();
        }
        let (_, length) = head.split_once("content-length: ").unwrap();
        let mut body = vec![0; length.lines().next().unwrap().parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            .unwrap();
        (head, body)
    }

    #[test]
    fn a_span_arrives_with_its_fields() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}/v1/traces", listener.local_addr().unwrap());
        let receiving = thread::spawn(move || receive(&listener));
        let (layer, traces) = layer(&endpoint).unwrap();
        tracing::subscriber::with_default(registry().with(layer), || {
            tracing::info_span!("socket", connection = "c-17").in_scope(|| tracing::info!("hello"));
        });
        drop(traces);
        let (head, body) = receiving.join().unwrap();
        assert!(head.starts_with("post /v1/traces http/1.1"), "{head}");
        assert!(head.contains("content-type: application/x-protobuf"), "{head}");
        let has = |text: &str| body.windows(text.len()).any(|part| part == text.as_bytes());
        assert!(has("duplex") && has("socket") && has("connection") && has("c-17"));
    }
}
