//! The echo page's server half: two stateless endpoints and the plain form.

use crate::apps::server::AppServer;
use leptos::prelude::provide_context;

use super::wire::{ECHO_PATH, HttpEcho, REPLY_PREFIX, SOCKET_PATH};
use crate::server::forms::Form;
use duplex_axum::endpoint::{Answer, Endpoint, Payload};

pub fn app() -> AppServer {
    AppServer {
        endpoints: endpoints().to_vec(),
        forms: vec![form()],
        ..AppServer::default()
    }
}

pub fn endpoints() -> [Endpoint; 2] {
    [
        Endpoint {
            path: SOCKET_PATH,
            purpose: "replies to text with a prefix and the same text, and to binary with the same bytes.",
            answer: reply,
        },
        Endpoint {
            path: ECHO_PATH,
            purpose: "every message is answered with the same message.",
            answer: |_| Answer::Echo,
        },
    ]
}

pub fn form() -> Form {
    Form {
        path: "/",
        field: "message",
        answer: |said| {
            provide_context(HttpEcho {
                said: said.to_owned(),
                reply: greet(said),
            })
        },
    }
}

fn reply(message: Payload<'_>) -> Answer {
    match message {
        Payload::Text(text) => Answer::Text(greet(text)),
        Payload::Binary(_) => Answer::Echo,
    }
}

fn greet(text: &str) -> String {
    format!("{REPLY_PREFIX}{text}")
}
