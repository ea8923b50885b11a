use std::{
    error::Error,
    future::Future as _,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

type BoxError = Box<dyn Error + Send + Sync>;

/// A request's body that has to be there in time, all of it. Without that, a client that sends a byte now
/// and then holds its connection, and what waits for the body, for as long as it likes.
pub(crate) struct Timely<B> {
    body: Pin<Box<B>>,
    limit: Duration,
    /// Set when something was waited for: most bodies come with their head.
    end: Option<Pin<Box<Sleep>>>,
}

impl<B> Timely<B> {
    /// From the first time that it is waited for, `limit` to its end.
    pub(crate) fn new(body: B, limit: Duration) -> Self {
        Self { body: Box::pin(body), limit, end: None }
    }
}

impl<B> Body for Timely<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = self.body.as_mut().poll_frame(cx) {
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let limit = self.limit;
        let end = self.end.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        end.as_mut().poll(cx).map(|()| Some(Err(io::Error::from(io::ErrorKind::TimedOut).into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body_util::{BodyExt as _, StreamBody};
    use tokio::time::{Instant, sleep};

    use super::*;

    /// A body of so many bytes, one every second.
    fn dripping(bytes: usize) -> impl Body<Data = Bytes, Error = io::Error> {
        StreamBody::new(stream::unfold(bytes, |left| async move {
            sleep(Duration::from_secs(1)).await;
            let frame = Frame::data(Bytes::from_static(b"x"));
            (left > 0).then(|| (Ok(frame), left - 1))
        }))
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_drips_is_cut_off() {
        let limit = Duration::from_secs(10);
        let whole = Timely::new(dripping(5), limit).collect().await.unwrap().to_bytes();
        assert_eq!(whole, "xxxxx");
        let started = Instant::now();
        let cut = Timely::new(dripping(1000), limit).collect().await.unwrap_err();
        assert_eq!(cut.downcast_ref::<io::Error>().unwrap().kind(), io::ErrorKind::TimedOut);
        // The clock runs from the first wait, which is a byte's second after the start at most.
        assert!(started.elapsed() <= limit + Duration::from_secs(1), "{:?}", started.elapsed());
    }
}
