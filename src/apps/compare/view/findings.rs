//! The findings card: ratings of the transports, and the cases in which a WebSocket is the wrong choice.

use leptos::prelude::*;

use super::super::comparison::Comparison;
use super::super::findings::{Cheaper, Finding, findings, ratio};
use super::super::model::Documents;
use super::super::table::{millis, tenths};
use crate::{
    i18n::*,
    ui::{
        card::Card,
        format,
        text::{TextKey, dynamic_view, fill, optional_text, text_key},
    },
};

#[component]
pub fn FindingsCard(comparison: Comparison) -> impl IntoView {
    let i18n = use_i18n();
    let empty_hint = optional_text(move || {
        let is_empty = comparison.results.with(|shared| shared.results.is_none());
        is_empty.then(|| td_string!(i18n.get_locale(), compare.findings_none).to_owned())
    });
    let content = dynamic_view(move || {
        let locale = i18n.get_locale();
        let found = comparison
            .results
            .with(|shared| shared.results.as_ref().map(findings))?;
        let items = found.into_iter().map(|finding| {
            let (key, title, text) = finding_text(finding, locale);
            view! {
                <article class="finding" data-finding=key>
                    <h3>{title(locale)}</h3>
                    <p>{text}</p>
                </article>
            }
        });
        Some(view! { <div class="finding-list">{items.collect_view()}</div> }.into_any())
    });
    view! {
        <Card id="findings" title=text_key!(compare.findings)>
            <p class="hint">{empty_hint}</p>
            {content}
        </Card>
    }
    .into_any()
}

/// The `data-finding` value, the title, the text, and the values of its placeholders.
type FindingText = (&'static str, TextKey, TextKey, Vec<(&'static str, String)>);

fn finding_text(finding: Finding, locale: Locale) -> (&'static str, TextKey, String) {
    let (key, title, text, values) = finding_template(finding);
    let values: Vec<_> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
    (key, title, fill(text(locale), &values))
}

fn finding_template(finding: Finding) -> FindingText {
    match finding {
        Finding::Headers {
            fetch,
            socket,
            overhead,
        } => (
            "headers",
            text_key!(compare.headers),
            text_key!(compare.headers_text),
            vec![
                ("fetch", tenths(fetch)),
                ("socket", tenths(socket)),
                ("factor", tenths(ratio(fetch, socket))),
                ("overhead", tenths(overhead * 100.0)),
            ],
        ),
        Finding::Connections {
            fetch_us,
            new_connection_us,
            opened,
        } => (
            "connections",
            text_key!(compare.connections),
            text_key!(compare.connections_text),
            vec![
                ("fetch", millis(fetch_us)),
                ("fresh", millis(new_connection_us)),
                ("opened", opened.to_string()),
            ],
        ),
        Finding::Persistence { socket_us, topic_us } => (
            "kept",
            text_key!(compare.kept),
            text_key!(compare.kept_text),
            vec![
                ("socket", millis(socket_us)),
                ("topic", millis(topic_us)),
                ("more", millis(topic_us.saturating_sub(socket_us))),
            ],
        ),
        Finding::RareMessages {
            request_bytes,
            socket_hour_bytes,
            break_even_per_hour,
            cheaper,
        } => (
            "seldom",
            text_key!(compare.seldom),
            match cheaper {
                Cheaper::Http => text_key!(compare.seldom_http),
                Cheaper::Similar => text_key!(compare.seldom_alike),
                Cheaper::WebSocket => text_key!(compare.seldom_socket),
            },
            vec![
                ("request", tenths(request_bytes)),
                ("hour", tenths(socket_hour_bytes)),
                (
                    "from",
                    if break_even_per_hour == u32::MAX {
                        "∞".to_owned()
                    } else {
                        break_even_per_hour.to_string()
                    },
                ),
            ],
        ),
        Finding::Cached { documents, cheaper } => cached(documents, cheaper),
        Finding::Download { documents, cheaper } => download(documents, cheaper),
    }
}

fn cached(documents: Documents, cheaper: Cheaper) -> FindingText {
    let text: TextKey = match cheaper {
        Cheaper::Http => text_key!(compare.cached_http),
        Cheaper::Similar | Cheaper::WebSocket => text_key!(compare.cached_not),
    };
    let values = vec![
        ("size", format::bytes(documents.document_bytes.into())),
        ("loads", documents.loads.to_string()),
        ("cached", format::bytes(documents.cached.total())),
        ("asked", format::bytes(documents.requested.total())),
    ];
    ("cached", text_key!(compare.cached), text, values)
}

fn download(documents: Documents, cheaper: Cheaper) -> FindingText {
    let text: TextKey = match cheaper {
        Cheaper::Http => text_key!(compare.download_http),
        Cheaper::Similar => text_key!(compare.download_alike),
        Cheaper::WebSocket => text_key!(compare.download_socket),
    };
    let values = vec![
        ("size", format::bytes(documents.large_document_bytes.into())),
        ("http", tenths(documents.download_us as f64 / 1000.0)),
        ("socket", tenths(documents.chunks_us as f64 / 1000.0)),
        ("http_bytes", format::bytes(documents.download.total())),
        ("socket_bytes", format::bytes(documents.chunks.total())),
    ];
    ("download", text_key!(compare.download), text, values)
}
