//! The actuators against what they act on: a real JupyterHub, moto, and doubles of what neither
//! package nor registry has.

mod drive;
mod ec2;
mod hub;
mod kubernetes;
mod portal;
mod services;
