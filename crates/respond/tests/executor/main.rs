//! The executor and the responder, in a little world whose effects can be counted.

mod world;

mod deadline;

mod faults;

mod playbooks;

mod caps;

mod observing;

mod persons;

mod protected;

mod storm;

mod through;

mod telling;

mod releases;

mod unread;
