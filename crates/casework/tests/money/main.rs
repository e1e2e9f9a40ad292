//! What an intrusion cost: lives of machines, their hours, their prices, and the bill.

mod bills;
mod estimates;
mod laws;
mod lives;
mod made;
mod signs;
