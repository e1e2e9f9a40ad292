//! Functions of Lambda, and notebooks of SageMaker.

use aws_sdk_lambda::types;
use davylamp_model::recording::Thing;
use serde_json::{Map, Value};

use super::state::{list, one, pages, state, word};
use super::thing;
use crate::aws::json::{Question, SAGEMAKER};
use crate::aws::read::{ReadConfig, ReadError};

pub(super) async fn functions(config: &ReadConfig) -> Result<Vec<Thing>, ReadError> {
    let client = config.lambda();
    let question = client.list_functions();
    Ok(pages!(question, "lambda:ListFunctions", |page| {
        let each = page.functions().iter();
        each.filter_map(|it| thing(&it.function_name, function(it)))
            .collect::<Vec<_>>()
    }))
}

fn function(it: &types::FunctionConfiguration) -> Value {
    state! {
        "Architectures": list(&it.architectures, |one| Value::from(one.as_str())),
        "CodeSha256": &it.code_sha256,
        "CodeSize": it.code_size,
        "Description": &it.description,
        "Environment": one(&it.environment, |environment| state! {
            "VariableNames": names(environment),
        }),
        "FunctionArn": &it.function_arn,
        "FunctionName": &it.function_name,
        "Handler": &it.handler,
        "KMSKeyArn": &it.kms_key_arn,
        "LastModified": &it.last_modified,
        "Layers": list(&it.layers, |layer| state! {
            "Arn": &layer.arn,
            "CodeSize": layer.code_size,
        }),
        "MemorySize": &it.memory_size,
        "PackageType": word(&it.package_type),
        "Role": &it.role,
        "Runtime": word(&it.runtime),
        "State": word(&it.state),
        "Timeout": &it.timeout,
        "VpcConfig": one(&it.vpc_config, |vpc| state! {
            "SecurityGroupIds": &vpc.security_group_ids,
            "SubnetIds": &vpc.subnet_ids,
            "VpcId": &vpc.vpc_id,
        }),
    }
}

/// The names of the variables. Their values may be secrets, and are let go of here.
fn names(environment: &types::EnvironmentResponse) -> Vec<Value> {
    let variables = environment.variables.iter().flatten();
    variables
        .map(|(name, _)| Value::from(name.as_str()))
        .collect()
}

const NOTEBOOKS: Question = Question {
    service: SAGEMAKER,
    operation: "ListNotebookInstances",
    permission: "sagemaker:ListNotebookInstances",
};

/// Of a notebook, what says what it is and since when.
const NOTEBOOK_MEMBERS: [&str; 8] = [
    "CreationTime",
    "InstanceType",
    "LastModifiedTime",
    "NotebookInstanceArn",
    "NotebookInstanceLifecycleConfigName",
    "NotebookInstanceName",
    "NotebookInstanceStatus",
    "Url",
];

pub(super) async fn notebooks(config: &ReadConfig) -> Result<Vec<Thing>, ReadError> {
    let all = NOTEBOOKS
        .list(config, Map::new(), "NotebookInstances")
        .await?;
    let each = all.iter().filter_map(|it| {
        let mut state = Map::new();
        for name in NOTEBOOK_MEMBERS {
            super::sensors::add(&mut state, name, &it[name]);
        }
        Some(Thing {
            id: it["NotebookInstanceName"].as_str()?.to_owned(),
            state: Value::Object(state),
        })
    });
    Ok(each.collect())
}
