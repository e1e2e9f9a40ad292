//! The planner: who did it, what is done, and what never is.

mod blind;
mod brakes;
mod choice;
mod decision;
mod evidence;
mod generated;
mod oracle;
mod properties;
mod steps;
mod who;
mod world;
