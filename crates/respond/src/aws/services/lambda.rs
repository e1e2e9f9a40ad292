//! Lambda: a function that may run not even once at a time.
//!
//! `before`: `{"reserved": number or null}`, its reserved concurrency.

use aws_config::SdkConfig;
use aws_sdk_lambda::Client;
use davylamp_model::ids::FunctionName;
use davylamp_plan::action::Action;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{already, done, failed, failure, needed, not_ours, recorded};
use crate::actuator::{ActError, Checked, Verified};

#[derive(Debug, Deserialize)]
struct Concurrency {
    reserved: Option<i32>,
}

pub(super) async fn check(config: &SdkConfig, action: &Action) -> Result<Checked, ActError> {
    match reserved(&Client::new(config), function_of(action)?).await? {
        None => already("the function is gone"),
        Some(Some(0)) => already("the function may not run"),
        Some(reserved) => needed(json!({ "reserved": reserved })),
    }
}

pub(super) async fn act(config: &SdkConfig, action: &Action) -> Result<(), ActError> {
    let lambda = Client::new(config);
    let function = function_of(action)?;
    match reserved(&lambda, function).await? {
        None | Some(Some(0)) => Ok(()),
        Some(_) => reserve(&lambda, function, 0).await,
    }
}

pub(super) async fn verify(config: &SdkConfig, action: &Action) -> Result<Verified, ActError> {
    match reserved(&Client::new(config), function_of(action)?).await? {
        None => done("the function is gone"),
        Some(Some(0)) => done("the function may not run: its reserved concurrency is 0"),
        Some(_) => failed("the function may run"),
    }
}

pub(super) async fn undo(
    config: &SdkConfig,
    action: &Action,
    before: &Value,
) -> Result<(), ActError> {
    let lambda = Client::new(config);
    let function = function_of(action)?;
    let before: Concurrency = recorded(action, before)?;
    if reserved(&lambda, function).await? != Some(Some(0)) {
        return Ok(());
    }
    match before.reserved {
        Some(number) => reserve(&lambda, function, number).await,
        None => lambda
            .delete_function_concurrency()
            .function_name(function.as_str())
            .send()
            .await
            .map(drop)
            .map_err(|error| failure::of("lambda:DeleteFunctionConcurrency", &error)),
    }
}

fn function_of(action: &Action) -> Result<&FunctionName, ActError> {
    match action {
        Action::ThrottleFunction { function } => Ok(function),
        _ => Err(not_ours(action)),
    }
}

/// The reserved concurrency, if there is one; `None` where the function is gone.
async fn reserved(
    lambda: &Client,
    function: &FunctionName,
) -> Result<Option<Option<i32>>, ActError> {
    match lambda
        .get_function_concurrency()
        .function_name(function.as_str())
        .send()
        .await
    {
        Ok(answer) => Ok(Some(answer.reserved_concurrent_executions())),
        Err(error) if failure::is_absent(&error) => Ok(None),
        Err(error) => Err(failure::of("lambda:GetFunctionConcurrency", &error)),
    }
}

async fn reserve(lambda: &Client, function: &FunctionName, number: i32) -> Result<(), ActError> {
    lambda
        .put_function_concurrency()
        .function_name(function.as_str())
        .reserved_concurrent_executions(number)
        .send()
        .await
        .map(drop)
        .map_err(|error| failure::of("lambda:PutFunctionConcurrency", &error))
}
