//! Plain forms of pages, for browsers that run no scripts.

use duplex_hub::TopicCommand;

use crate::wire::form::Fields;

/// A page's plain form, for a browser that runs no scripts: what is posted to the page's own path is answered by the page.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    pub path: &'static str,
    /// The form's only field.
    pub field: &'static str,
    /// Runs where the page is about to be rendered, and leaves the answer there for the page to find.
    pub answer: fn(&str),
}

/// A page's plain form whose fields make a command, for a browser that runs no scripts. A field `name` is also kept as the
/// visitor's name.
#[derive(Debug, Clone, Copy)]
pub struct CommandForm {
    /// The page's own, with parameters as Axum writes them: `/chat/{room}`.
    pub path: &'static str,
    /// The command that the request's path and the fields make.
    pub command: fn(&str, &Fields) -> Option<TopicCommand>,
    /// Where the browser goes once the command had its effect.
    pub then: fn(&str, &Fields) -> String,
}

impl CommandForm {
    /// The page itself.
    pub fn same_page(path: &str, _: &Fields) -> String {
        path.to_owned()
    }
}
