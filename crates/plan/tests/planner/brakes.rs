use crate::world::*;
