//! The smallest application: a number that everybody may raise, the same for all, and never lost.

use duplex_hub::decider::{Access, Context, Decider, NoCommand, Principal};
use duplex_leptos::topic::{Live, use_topic};
use duplex_protocol::cursor::Seq;
use duplex_protocol::session::{Denied, Rejection};
use duplex_protocol::topic::{Topic, TopicName};
use leptos::prelude::*;

// model.rs: the same on the server and in the browser.
pub struct Tally;

impl Topic for Tally {
    const KIND: &'static str = "tally";
    type Command = u32; // "add this much"
    type Event = u32; // "this much was added"
    type State = u64;

    fn apply(total: &mut u64, _seq: Seq, added: &u32) {
        *total = total.saturating_add(u64::from(*added));
    }
}

// server.rs: who may enter, and what a command does.
impl Decider for Tally {
    type ServerCommand = NoCommand;

    fn admit(&self, _who: Principal<'_>, _topic: &TopicName) -> Result<Access, Denied> {
        Ok(Access::Write)
    }

    fn decide(&self, _at: Context<'_>, _total: &u64, add: u32) -> Result<Vec<u32>, Rejection> {
        match add {
            1..=10 => Ok(vec![add]),
            _ => Err(Rejection::refused("one_to_ten")),
        }
    }
}

// mod.rs: the page.
#[component]
pub fn TallyPage() -> impl IntoView {
    let tally = use_topic::<Tally>("one");
    view! {
        <Live topic=tally>
            <p>{move || tally.state.get()}</p>
            <button class="button" on:click=move |_| drop(tally.send(1))>"+1"</button>
        </Live>
    }
}

// It joins the others by two lines: in `apps/mod.rs` a route,
//     <Route path=path!("/tally") view=TallyPage ssr=SsrMode::Async/>
// and in `apps/server.rs` its kind, in the list of `kinds()`: dyn_topic(Tally).

fn main() {
    println!("Serve it with the other applications: see the README.");
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use duplex_hub::log::memory::Memory;
    use duplex_hub::{Hub, dyn_topic};
    use duplex_protocol::codec::Encoding;
    use duplex_protocol::cursor::Epoch;
    use duplex_protocol::session::{Answer, CommandId};

    use super::*;

    #[tokio::test]
    async fn it_counts() {
        let hub = Hub::new(Arc::new(Memory::new(Epoch::new(1))), vec![dyn_topic(Tally)]);
        let topic = TopicName::of::<Tally>("one").unwrap();
        let add = async |id, much| hub.tell::<Tally>("one", CommandId::from_random(id), &much).await;
        assert_eq!(add(1, 3).await, Answer::Accepted { seq: 1 });
        assert_eq!(
            add(1, 3).await,
            Answer::Accepted { seq: 1 },
            "sent again, it counts once"
        );
        assert_eq!(add(2, 11).await, Answer::Rejected(Rejection::refused("one_to_ten")));
        let (_, state) = hub.open(&topic).await.unwrap().state(Encoding::Json).await.unwrap();
        assert_eq!(state.0, b"3");
    }

    #[test]
    fn the_readme_shows_it() {
        let (code, _) = include_str!("tally.rs").split_once("\nfn main()").unwrap();
        let (_, code) = code.split_once("\n\n").unwrap();
        assert!(include_str!("../README.md").contains(code));
    }
}
