//! One task for each socket: lists, listens, and comes back after every failure.
//!
//! Listening and listing run side by side in the task. Events make an entry the moment a container
//! starts; lists repair what events missed, and are all there is where a runtime tells no events.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use davylamp_model::ids::ContainerId;
use tokio::sync::Notify;
use tokio::time::sleep;

use super::cri::CriEvents;
use super::docker::DockerEvents;
use super::index::{Shared, Watched};
use super::source::{AskError, Change, Source};

/// How long a refusal to serve events may take to arrive.
const SILENCE_IS_CONSENT: Duration = Duration::from_secs(2);

/// What was last said about a socket in the log: a state is said when it begins, not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Untried,
    Absent,
    Serving,
    Failing,
}

enum Events {
    Cri(CriEvents),
    Docker(DockerEvents),
}

pub(super) async fn watch(shared: Arc<Shared>, at: usize) {
    let watched = &shared.watched[at];
    let mut state = State::Untried;
    loop {
        if watched.socket.path.exists() {
            let error = serve(&shared, at, &mut state).await;
            shared.count_watch_failure(&error);
            if state != State::Failing {
                tracing::warn!(
                    socket = %watched.socket.path.display(), %error,
                    "a container runtime does not answer; what is known of its containers is kept \
                     and the socket is tried again"
                );
            }
            state = State::Failing;
        } else {
            match state {
                State::Untried => {
                    tracing::debug!(socket = %watched.socket.path.display(), "no socket there");
                }
                State::Serving | State::Failing => {
                    tracing::warn!(
                        socket = %watched.socket.path.display(),
                        "the socket of a container runtime went away"
                    );
                }
                State::Absent => {}
            }
            state = State::Absent;
        }
        settle(&shared, watched);
        sleep(shared.config.retry_every).await;
    }
}

fn settle(shared: &Shared, watched: &Watched) {
    if !watched.settled.swap(true, Ordering::Release) {
        shared.settled.notify_waiters();
    }
}

/// Lists and listens until something fails.
async fn serve(shared: &Shared, at: usize, state: &mut State) -> AskError {
    let listening = AtomicBool::new(false);
    let subscribed = Notify::new();
    let lists = keep_listing(shared, at, state, &listening, &subscribed);
    let events = keep_listening(shared, at, &listening, &subscribed);
    // Neither loop is ever cut in the middle while the other goes on, so no event is lost to
    // cancellation.
    let ended = tokio::select! {
        ended = lists => ended,
        ended = events => ended,
    };
    match ended {
        Err(error) => error,
        Ok(never) => match never {},
    }
}

async fn keep_listing(
    shared: &Shared,
    at: usize,
    state: &mut State,
    listening: &AtomicBool,
    subscribed: &Notify,
) -> Result<Infallible, AskError> {
    let watched = &shared.watched[at];
    loop {
        let side = shared.side(at);
        let known = |id: &str| {
            shared
                .cache()
                .peek(side, id)
                .map(|container| (**container).clone())
        };
        let all = watched.source.list(&known).await?;
        let mut listed = HashSet::with_capacity(all.len());
        let count = all.len();
        for described in all {
            listed.insert(described.container.id.clone());
            shared.keep(at, described);
        }
        shared.cache().keep_only(at, &listed, Instant::now());
        if *state != State::Serving {
            tracing::info!(
                socket = %watched.socket.path.display(), containers = count,
                "reading containers from a runtime"
            );
            *state = State::Serving;
        }
        settle(shared, watched);
        let pause = if listening.load(Ordering::Relaxed) {
            shared.config.resync_every
        } else {
            shared.config.poll_every
        };
        tokio::select! {
            () = sleep(pause) => {}
            // What started between the list and the subscription is in neither.
            () = subscribed.notified() => {}
        }
    }
}

async fn keep_listening(
    shared: &Shared,
    at: usize,
    listening: &AtomicBool,
    subscribed: &Notify,
) -> Result<Infallible, AskError> {
    let watched = &shared.watched[at];
    loop {
        let outcome = listen(shared, at, listening, subscribed).await;
        listening.store(false, Ordering::Relaxed);
        match outcome {
            // The engine ended the stream in an orderly way, as on its shutdown.
            Ok(()) => {}
            Err(AskError::Unserved { call }) => {
                tracing::info!(
                    socket = %watched.socket.path.display(), call,
                    every_secs = shared.config.poll_every.as_secs(),
                    "the runtime tells no events; its lists are polled"
                );
                return std::future::pending().await;
            }
            Err(error) => return Err(error),
        }
        sleep(shared.config.retry_every).await;
    }
}

async fn listen(
    shared: &Shared,
    at: usize,
    listening: &AtomicBool,
    subscribed: &Notify,
) -> Result<(), AskError> {
    let source = &shared.watched[at].source;
    let subscribed_now = || {
        listening.store(true, Ordering::Relaxed);
        subscribed.notify_one();
    };
    let subscribing = async {
        Ok(match source {
            Source::Cri(client) => Events::Cri(client.events().await?),
            Source::Docker(client) => Events::Docker(client.events().await?),
        })
    };
    tokio::pin!(subscribing);
    // A runtime that does not serve events says so at once; one that does may say nothing before
    // the first event. Silence is therefore a subscription.
    let mut events: Events = tokio::select! {
        outcome = &mut subscribing => outcome?,
        () = sleep(SILENCE_IS_CONSENT) => {
            subscribed_now();
            subscribing.await?
        }
    };
    subscribed_now();
    loop {
        let change = match &mut events {
            Events::Cri(events) => events.next().await?,
            Events::Docker(events) => events.next().await?,
        };
        match change {
            None => return Ok(()),
            Some(Change::Appeared(id)) => appeared(shared, at, &id).await,
            Some(Change::Removed(id)) => {
                shared
                    .cache()
                    .mark_removed(shared.side(at), &id, Instant::now());
            }
        }
    }
}

/// Describes a container that an event named. A failure here is only counted: the next list, or a
/// lookup, asks again.
async fn appeared(shared: &Shared, at: usize, id: &ContainerId) {
    match shared.watched[at].source.describe(id).await {
        Ok(Some(described)) => shared.keep(at, described),
        // A pod's sandbox is announced before it can be listed.
        Ok(None) => {}
        Err(error) => shared.count_watch_failure(&error),
    }
}
