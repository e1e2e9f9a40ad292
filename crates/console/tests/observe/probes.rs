//! `/healthz` and `/readyz`.

use crate::world;

#[tokio::test(flavor = "multi_thread")]
async fn a_console_without_its_database_lives_and_is_not_ready() {
    let world = world().await;
    let metrics = format!("http://{}", world.metrics.expect("an address"));
    let ask = |base: &str, path: &str| {
        let asked = reqwest::get(format!("{base}{path}"));
        async move {
            let answer = asked.await.expect("an answer");
            (answer.status().as_u16(), answer.text().await.expect("text"))
        }
    };
    for base in [&world.base(), &metrics] {
        assert_eq!(ask(base, "/healthz").await, (200, "alive\n".to_owned()));
        assert_eq!(ask(base, "/readyz").await, (200, "ready\n".to_owned()));
    }
    world.ledger.close().await;
    crate::until("it says that it is not ready", || async {
        let wanted = (503, "the database does not answer\n".to_owned());
        ask(&world.base(), "/readyz").await == wanted
    })
    .await;
    assert_eq!(ask(&world.base(), "/healthz").await.0, 200);
    world.end().await;
}
