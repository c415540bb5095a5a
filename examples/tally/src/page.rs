//! The page: the server renders it with the number, and the browser keeps it current.

use duplex_leptos::topic::{CommandStatus, Live, TopicStatus, UseTopic, use_topic};
use leptos::ev::SubmitEvent;
use leptos::prelude::*;

use crate::model::{ONE, Tally};

#[component]
pub fn TallyPage() -> impl IntoView {
    let tally = use_topic::<Tally>(ONE);
    let add = move |event: SubmitEvent| {
        event.prevent_default();
        tally.send(1);
    };
    view! {
        <main>
            <h1>"Tally"</h1>
            <Live topic=tally>
                <output aria-label="Total">{move || tally.state.get()}</output>
                // Without JavaScript the browser posts it.
                <form method="post" action="/add" on:submit=add>
                    <button name="add" value="1">"Add one"</button>
                </form>
            </Live>
            <p class="status" role="status">{move || status(tally)}</p>
        </main>
    }
}

fn status(tally: UseTopic<Tally>) -> String {
    let rate_limited = |_| "Too fast: the rest follows.".to_owned();
    let problem =
        |status: &CommandStatus| status.error_text(rate_limited, |rejected| format!("Not added: {rejected}."));
    let pending = tally.pending.get();
    if let Some(problem) = pending.iter().find_map(|command| problem(&command.status)) {
        return problem;
    }
    match (tally.status.get(), pending.len()) {
        (TopicStatus::Live, _) => "Live: the same number for everybody.".to_owned(),
        (TopicStatus::Denied(denial), _) => format!("Not available: {denial}."),
        (TopicStatus::Outdated, _) => "The server has a newer page: load it again.".to_owned(),
        (_, 0) => "Connecting …".to_owned(),
        (_, waiting) => format!("Connecting … then {waiting} to add."),
    }
}
