use serde_json::json;

use super::*;
use crate::http::{Request, send};

const PATIENCE: Duration = Duration::from_secs(30);

/// A function in a shell, with bash's own sockets: it asks for an event, and answers its length.
const FUNCTION: &str = r#"
host=${AWS_LAMBDA_RUNTIME_API%:*} port=${AWS_LAMBDA_RUNTIME_API#*:} api=/2018-06-01/runtime
exec 3<>"/dev/tcp/$host/$port"
printf 'GET %s/invocation/next HTTP/1.0\r\n\r\n' "$api" >&3
id= length=
while IFS=': ' read -r name value <&3; do
    value=${value%$'\r'}
    case "${name,,}" in
        lambda-runtime-aws-request-id) id=$value ;;
        content-length) length=$value ;;
        $'\r') break ;;
    esac
done
exec 3<>"/dev/tcp/$host/$port"
printf 'POST %s/invocation/%s/response HTTP/1.0\r\ncontent-length: %s\r\n\r\n%s' \
    "$api" "$id" "${#length}" "$length" >&3
cat <&3 >/dev/null
"#;

#[test]
fn a_program_gets_its_event_and_is_measured() {
    let runtime = LambdaRuntime::start();
    runtime
        .run(Command::new("bash").args(["-c", FUNCTION]))
        .expect("bash starts");
    assert!(runtime.ready_after(PATIENCE).is_some());
    // It waits for its event now.
    assert!(
        runtime
            .peak_memory_bytes()
            .is_some_and(|bytes| bytes > 100_000)
    );
    let event = json!({"detail-type": "GuardDuty Finding"});
    let id = runtime.invoke(&event);
    let outcome = runtime.outcome(&id, PATIENCE).expect("an answer");
    assert_eq!(
        (outcome.failed, outcome.body),
        (false, event.to_string().len().to_string())
    );
    assert_eq!(runtime.init_error(), None);
}

#[test]
fn errors_are_kept_and_an_event_has_one_answer() {
    let runtime = LambdaRuntime::start();
    let id = runtime.invoke_within(&json!(1), Duration::from_secs(3));
    let call = |request: Request| send(&runtime.address(), &request).expect("an answer");
    let given = call(Request::get("/2018-06-01/runtime/invocation/next"));
    assert_eq!(
        given.header("lambda-runtime-aws-request-id"),
        Some(id.as_str())
    );
    let deadline: u128 = given
        .header("lambda-runtime-deadline-ms")
        .and_then(|text| text.parse().ok())
        .expect("a number");
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    assert!(deadline <= (now + Duration::from_secs(3)).as_millis());
    let path = format!("/2018-06-01/runtime/invocation/{id}/error");
    let error =
        Request::post(&path, "{}").header("lambda-runtime-function-error-type", "Runtime.X");
    assert_eq!(call(error.clone()).status, 202);
    assert_eq!(call(error).status, 400);
    let outcome = runtime.outcome(&id, PATIENCE).expect("kept");
    assert!(outcome.failed);
    assert_eq!(outcome.error_type.as_deref(), Some("Runtime.X"));
    call(Request::post("/2018-06-01/runtime/init/error", "no"));
    assert_eq!(runtime.init_error().as_deref(), Some("no"));
    assert_eq!(call(Request::get("/elsewhere")).status, 404);
}
