//! The stream of kernel events.

use std::{
    cell::RefCell,
    io,
    os::fd::{BorrowedFd, OwnedFd},
    rc::Rc,
};

use libbpf_rs::{MapHandle, RingBuffer, RingBufferBuilder};
use tokio::io::unix::AsyncFd;

use super::{Agent, GuardError, system};
use crate::{abi::EventKind, event::KernelEvent, kernel::KernelError};

/// The stream of kernel events.
pub(super) struct Events {
    buffer: RingBuffer<'static>,
    /// A duplicate of the buffer's epoll descriptor, for the event loop to wait on.
    ready: AsyncFd<OwnedFd>,
    queue: Rc<RefCell<Vec<Vec<u8>>>>,
}

impl Events {
    pub(super) fn open(map: &MapHandle) -> Result<Self, GuardError> {
        let queue: Rc<RefCell<Vec<Vec<u8>>>> = Rc::default();
        let mut builder = RingBufferBuilder::new();
        let sink = Rc::clone(&queue);
        let take = move |bytes: &[u8]| {
            sink.borrow_mut().push(bytes.to_vec());
            0
        };
        let failed = |source| KernelError::Bpf {
            doing: "open the event buffer",
            source,
        };
        builder.add(map, take).map_err(failed)?;
        let buffer = builder.build().map_err(failed)?;
        // SAFETY: the buffer lives on and owns the descriptor, which is only duplicated here.
        let epoll = unsafe { BorrowedFd::borrow_raw(buffer.epoll_fd()) };
        let ready = epoll
            .try_clone_to_owned()
            // SAFETY: the descriptor is owned by what is registered, and closed after it.
            .and_then(|fd| Ok(unsafe { AsyncFd::register(fd) }?))
            .map_err(system("wait for kernel events"))?;
        Ok(Self {
            buffer,
            ready,
            queue,
        })
    }

    pub(super) async fn readable(&self) -> io::Result<()> {
        self.ready.readable().await?.clear_ready();
        Ok(())
    }

    /// Handles all that is there, holds first.
    pub(super) fn take(&self, agent: &Rc<Agent>) {
        if let Err(error) = self.buffer.consume() {
            tracing::warn!(%error, "kernel events could not be read");
        }
        let decode = |bytes: Vec<u8>| match KernelEvent::decode(&bytes) {
            Ok(event) => Some((event, bytes)),
            Err(error) => {
                agent.count(|counts| counts.events_garbled += 1);
                tracing::warn!(%error, "a kernel event could not be read");
                None
            }
        };
        let events = self.queue.take().into_iter().filter_map(decode);
        let (held, others): (Vec<_>, Vec<_>) =
            events.partition(|(event, _)| event.kind == EventKind::Held);
        for (event, bytes) in held.into_iter().chain(others) {
            if crate::wire::is_of_wire(&event) {
                agent.handle_wire(event, &bytes);
            } else {
                agent.handle(event);
            }
        }
    }
}
