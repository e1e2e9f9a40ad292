//! What is deployed: the permissions against what the program calls, against IAM's own reference
//! and under moto's enforcement; the template against what reads it.

mod cluster;
mod enforced;
mod field;
mod reference;
mod rules;
mod sources;
mod template;
