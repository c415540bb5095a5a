//! A future that its task polls only after it was woken.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::future::BoxFuture;
use futures_util::task::AtomicWaker;

/// A future that almost never completes, in a task that often runs. Polling it takes locks that many tasks share, so it is polled only
/// when it was woken itself.
pub(super) struct Interruption<T> {
    future: BoxFuture<'static, T>,
    wakeup: Arc<Wakeup>,
}

struct Wakeup {
    is_woken: AtomicBool,
    task: AtomicWaker,
}

impl<T> Interruption<T> {
    pub(super) fn new(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self {
            future: Box::pin(future),
            wakeup: Arc::new(Wakeup {
                is_woken: AtomicBool::new(true),
                task: AtomicWaker::new(),
            }),
        }
    }
}

impl<T> Future for Interruption<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        // Before the flag is read: a wake-up after that reaches this task.
        self.wakeup.task.register(cx.waker());
        if !self.wakeup.is_woken.swap(false, Ordering::AcqRel) {
            return Poll::Pending;
        }
        let waker = Waker::from(Arc::clone(&self.wakeup));
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }
}

impl Wake for Wakeup {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_woken.store(true, Ordering::Release);
        self.task.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use futures_util::FutureExt as _;
    use tokio::sync::Notify;
    use tokio::task::yield_now;

    use super::*;

    #[tokio::test]
    async fn it_is_polled_when_it_was_woken_and_not_otherwise() {
        let (notify, polls) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
        let mut interruption = Interruption::new({
            let (notify, polls) = (Arc::clone(&notify), Arc::clone(&polls));
            async move {
                let mut notified = std::pin::pin!(notify.notified());
                poll_fn(|cx| {
                    polls.fetch_add(1, SeqCst);
                    notified.as_mut().poll(cx)
                })
                .await;
            }
        });
        for _ in 0..3 {
            assert_eq!((&mut interruption).now_or_never(), None);
        }
        assert_eq!(polls.load(SeqCst), 1);
        let waiting = tokio::spawn(interruption);
        yield_now().await;
        assert_eq!(polls.load(SeqCst), 1);
        notify.notify_waiters();
        waiting.await.unwrap();
        assert_eq!(polls.load(SeqCst), 2);
    }
}
