use libbpf_rs::skel::{OpenSkel, SkelBuilder};
use std::mem::MaybeUninit;
fn main() {
    let mut o = MaybeUninit::uninit();
    let mut b = davylamp_guard::skel::GuardSkelBuilder::default();
    if std::env::args().len() > 1 { b.obj_builder.debug(true); }
    let open = b.open(&mut o).unwrap();
    let skel = open.load();
    match skel { Ok(_) => println!("loaded"), Err(e) => println!("{e:#}") }
}
