//! The store: what goes in comes out, in order, whatever stops its writer; and every altered byte shows.

mod alterations;
mod laws;
mod stopped;
mod support;
mod told;
