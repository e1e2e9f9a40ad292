//! The planner: who did it, what is done, and what never is.

mod brakes;
mod choice;
mod properties;
mod steps;
mod who;
mod world;
