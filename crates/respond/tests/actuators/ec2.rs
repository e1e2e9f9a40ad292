//! What is done with EC2, EBS, Auto Scaling and public doors, against moto.

mod canned;
mod copies;
mod doors;
mod evidence;
mod instances;
mod interfaces;
mod stage;
