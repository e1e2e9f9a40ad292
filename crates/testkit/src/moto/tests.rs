use super::account::{between, random_id};
use super::*;

fn vpcs(account: &MotoAccount) -> usize {
    account
        .query(
            "eu-central-1",
            "ec2",
            &[("Action", "DescribeVpcs"), ("Version", "2016-11-15")],
        )
        .expect("moto answers")
        .matches("<vpcId>")
        .count()
}

#[test]
fn accounts_of_the_shared_server_do_not_see_each_other() {
    let moto = Moto::shared();
    let (one, other) = (moto.account(), moto.account());
    assert_ne!(one.id, other.id);
    let before = (vpcs(&one), vpcs(&other));
    one.query(
        "eu-central-1",
        "ec2",
        &[
            ("Action", "CreateVpc"),
            ("Version", "2016-11-15"),
            ("CidrBlock", "10.9.0.0/16"),
        ],
    )
    .expect("moto makes a VPC");
    assert_eq!((vpcs(&one), vpcs(&other)), (before.0 + 1, before.1));
    let identity = other
        .query(
            "eu-central-1",
            "sts",
            &[("Action", "GetCallerIdentity"), ("Version", "2011-06-15")],
        )
        .expect("moto answers");
    assert_eq!(between(&identity, "Account"), Some(other.id));
}

#[test]
fn the_shared_server_is_one_for_all() {
    let first = Moto::shared();
    let threads: Vec<_> = (0..4)
        .map(|_| std::thread::spawn(|| Moto::shared().endpoint()))
        .collect();
    for thread in threads {
        assert_eq!(thread.join().expect("no panic"), first.endpoint());
    }
}

#[test]
fn an_own_server_ends_with_its_owner() {
    let moto = Moto::own();
    assert_ne!(moto.endpoint(), Moto::shared().endpoint());
    let address = moto.address();
    let clone = moto.clone();
    drop(moto);
    assert!(http::send(&address, &http::Request::get("/davylamp/health")).is_ok());
    drop(clone);
    assert!(http::send(&address, &http::Request::get("/davylamp/health")).is_err());
}

#[test]
fn a_foreign_server_on_the_same_port_is_not_taken_for_ours() {
    let moto = Moto::shared();
    let state = State {
        port: moto.port,
        token: "another".to_owned(),
    };
    assert!(state.health().is_none());
}

#[test]
fn ids_are_twelve_digits() {
    for _ in 0..100 {
        let id = random_id();
        assert!(id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit()));
    }
}

#[test]
fn secrets_are_not_printed() {
    let account = MotoAccount {
        id: "123456789012".to_owned(),
        access_key: "ASIAEXAMPLE".to_owned(),
        secret: "the-secret".to_owned(),
        session_token: "the-token".to_owned(),
        endpoint: "http://127.0.0.1:1".to_owned(),
    };
    let printed = format!("{account:?}");
    assert!(!printed.contains("the-secret") && !printed.contains("the-token"));
}
