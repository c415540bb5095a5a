//! Tracks the last command of a form, and shows why it failed.

use leptos::prelude::*;

use super::{
    super::wire::{DeviceCommand, Devices},
    labels,
};
use crate::{
    i18n::*,
    ui::{command_text, text::optional_text},
};
use duplex_leptos::topic::UseTopic;
use duplex_protocol::session::CommandId;

/// The last command of one form.
#[derive(Clone, Copy)]
pub struct FormCommand {
    device: UseTopic<Devices>,
    id: RwSignal<Option<CommandId>>,
    /// Why the form was not sent.
    invalid: RwSignal<Option<&'static str>>,
}

impl FormCommand {
    pub fn new(device: UseTopic<Devices>) -> Self {
        Self {
            device,
            id: RwSignal::new(None),
            invalid: RwSignal::new(None),
        }
    }

    pub fn send(self, command: DeviceCommand) {
        if let Some(before) = self.id.get_untracked() {
            self.device.cancel(&before);
        }
        self.invalid.set(None);
        self.id.set(Some(self.device.send(command)));
    }

    /// Shows a validation error, one of [`reason_code`](super::super::wire::reason_code), instead of sending.
    pub fn show_invalid(self, why: &'static str) {
        self.invalid.set(Some(why));
    }

    /// The reason why the last command had no effect, shown until the next one.
    pub fn problem(self) -> AnyView {
        let i18n = use_i18n();
        let problem = optional_text(move || {
            if let Some(why) = self.invalid.get() {
                return Some(labels::reason_text(i18n.get_locale(), why));
            }
            let id = self.id.get()?;
            self.device.pending.with(|pending| {
                let (locale, command) = (i18n.get_locale(), pending.iter().find(|command| command.id == id)?);
                command.status.error_text(
                    |wait| command_text::rate_limited(locale, wait),
                    |why| labels::rejection(locale, why),
                )
            })
        });
        view! { <p class="problem" role="alert">{problem}</p> }.into_any()
    }
}
