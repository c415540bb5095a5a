//! The echo page's server half: two stateless endpoints and the plain form.

use crate::apps::server::AppServer;
use leptos::prelude::provide_context;

use super::wire::{ECHO_PATH, HttpEcho, REPLY_PREFIX, SOCKET_PATH};
use crate::server::forms::PlainForm;
use duplex_axum::endpoint::{Payload, Reply, StatelessEndpoint};

pub fn app() -> AppServer {
    AppServer {
        endpoints: endpoints().to_vec(),
        forms: vec![form()],
        ..AppServer::default()
    }
}

pub fn endpoints() -> [StatelessEndpoint; 2] {
    [
        StatelessEndpoint {
            path: SOCKET_PATH,
            description: "replies to text with a prefix and the same text, and to binary with the same bytes.",
            reply,
        },
        StatelessEndpoint {
            path: ECHO_PATH,
            description: "every message is answered with the same message.",
            reply: |_| Reply::Echo,
        },
    ]
}

pub fn form() -> PlainForm {
    PlainForm {
        path: "/",
        field: "message",
        answer: |text| {
            provide_context(HttpEcho {
                text: text.to_owned(),
                reply: greet(text),
            })
        },
    }
}

fn reply(message: Payload<'_>) -> Reply {
    match message {
        Payload::Text(text) => Reply::Text(greet(text)),
        Payload::Binary(_) => Reply::Echo,
    }
}

fn greet(text: &str) -> String {
    format!("{REPLY_PREFIX}{text}")
}
