//! Declarations of the pages' plain forms, which work without JavaScript.

use duplex_hub::TopicCommand;

use crate::wire::form::Fields;

/// A page's plain form with one field. A post to the page's path renders the page with the answer.
#[derive(Debug, Clone, Copy)]
pub struct PlainForm {
    pub path: &'static str,
    /// The form's only field.
    pub field: &'static str,
    /// Runs in the page's reactive owner before rendering, and provides the answer as context.
    pub answer: fn(&str),
}

/// A form that submits a command; its `name` field, if present, also sets the visitor's name.
#[derive(Debug, Clone, Copy)]
pub struct CommandForm {
    /// The page's path, in Axum's syntax: `/chat/{room}`.
    pub path: &'static str,
    /// Makes the command from the request's path and the fields.
    pub command: fn(&str, &Fields) -> Option<TopicCommand>,
    /// The path to redirect to after the command is accepted.
    pub redirect_to: fn(&str, &Fields) -> String,
}

impl CommandForm {
    /// A `redirect_to` that redirects to the page itself.
    pub fn same_page(path: &str, _: &Fields) -> String {
        path.to_owned()
    }
}
