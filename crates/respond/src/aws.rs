//! AWS: one actuator for each group of services, all of the same shape.
//!
//! What must stay true: a look (`check`, `verify`) only describes; an act looks again first, so
//! that it can be repeated after a crash or a lost reply; and `before` holds all that undo needs,
//! so that undo asks nobody what it was.

pub mod failure;
