//! Nothing happens but the ordinary, and much of it: whoever finds an attack here is wrong.

use super::stage::Stage;

/// Has nothing happen.
pub fn play(_stage: &mut Stage<'_>) {}
