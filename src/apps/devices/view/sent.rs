//! What became of a command that a form sent.

use leptos::prelude::*;

use super::{
    super::wire::{DeviceCommand, Devices},
    words,
};
use crate::{
    i18n::*,
    ui::{command_text, text::optional_text},
};
use duplex_leptos::topic::UseTopic;
use duplex_protocol::session::CommandId;

/// The last command of one form.
#[derive(Clone, Copy)]
pub struct Sent {
    device: UseTopic<Devices>,
    id: RwSignal<Option<CommandId>>,
    /// Why nothing was sent.
    wrong: RwSignal<Option<&'static str>>,
}

impl Sent {
    pub fn new(device: UseTopic<Devices>) -> Self {
        Self {
            device,
            id: RwSignal::new(None),
            wrong: RwSignal::new(None),
        }
    }

    pub fn send(self, command: DeviceCommand) {
        if let Some(before) = self.id.get_untracked() {
            self.device.cancel(&before);
        }
        self.wrong.set(None);
        self.id.set(Some(self.device.send(command)));
    }

    /// Says why nothing is sent, in a word of [`why`](super::super::wire::why).
    pub fn refuse(self, why: &'static str) {
        self.wrong.set(Some(why));
    }

    /// Why it had no effect; stands until the next one.
    pub fn problem(self) -> AnyView {
        let i18n = use_i18n();
        let problem = optional_text(move || {
            if let Some(why) = self.wrong.get() {
                return Some(words::refusal(i18n.get_locale(), why));
            }
            let id = self.id.get()?;
            self.device.pending.with(|pending| {
                let (locale, one) = (i18n.get_locale(), pending.iter().find(|one| one.id == id)?);
                one.status.problem(
                    |wait| command_text::rate_limited(locale, wait),
                    |why| words::rejection(locale, why),
                )
            })
        });
        view! { <p class="problem" role="alert">{problem}</p> }.into_any()
    }
}
