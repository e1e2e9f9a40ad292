//! Lambda functions and ECS tasks.

use std::collections::{BTreeMap, BTreeSet};

use davylamp_model::ids::{Arn, FunctionName, InstanceId, InterfaceId};
use davylamp_model::inventory::{Function, Task};

use super::{Read, Shelf, Sizes, ec2, shelve, tags};
use crate::aws::read::{ReadConfig, ReadError};
use crate::missed::Missed;

/// `DescribeTasks` and `DescribeContainerInstances` take at most this many (ECS API reference).
const MAX_TASKS: usize = 100;
/// `DescribeServices` takes at most this many (ECS API reference).
const MAX_SERVICES: usize = 10;

/// A function. Its code is not asked for: a permission to read code is more than this needs.
pub async fn function(client: &aws_sdk_lambda::Client, name: &FunctionName) -> Read<Function> {
    let unread = |error: ReadError| {
        if error.is_absent() {
            Read::Absent
        } else {
            Read::Unread(error.into())
        }
    };
    let described = client
        .get_function_configuration()
        .function_name(name.as_str())
        .send()
        .await;
    let arn = match described {
        Ok(answer) => answer.function_arn,
        Err(error) => return unread(ReadError::of("lambda:GetFunctionConfiguration", &error)),
    };
    let Some(arn) = arn else {
        let why = "lambda:GetFunctionConfiguration names no ARN";
        return Read::Unread(Missed::for_good(why));
    };
    let concurrency = client
        .get_function_concurrency()
        .function_name(name.as_str())
        .send()
        .await;
    let reserved_concurrency = match concurrency {
        Ok(answer) => answer.reserved_concurrent_executions,
        Err(error) => return unread(ReadError::of("lambda:GetFunctionConcurrency", &error)),
    };
    match client.list_tags().resource(arn).send().await {
        Ok(answer) => Read::Found(Function {
            name: name.clone(),
            reserved_concurrency,
            tags: answer.tags.unwrap_or_default().into_iter().collect(),
        }),
        Err(error) => unread(ReadError::of("lambda:ListTags", &error)),
    }
}

/// What a task is, before what it points at is known.
struct Pointer {
    task: Task,
    service: Option<String>,
    container_instance: Option<Arn>,
    interfaces: Vec<InterfaceId>,
}

/// Tasks of one cluster, with their services, instances and interfaces.
pub async fn tasks(
    session: &ReadConfig,
    cluster: &Arn,
    ids: &BTreeSet<Arn>,
    sizes: Sizes,
    trouble: &mut Vec<(Arn, Missed)>,
) -> Shelf<Arn, Task> {
    let client = session.ecs();
    let mut pointers: Shelf<Arn, Pointer> = Shelf::new();
    for chunk in sizes.chunks(ids, MAX_TASKS) {
        let answer = client
            .describe_tasks()
            .cluster(cluster.as_str())
            .set_tasks(Some(chunk.iter().map(|id| id.0.clone()).collect()))
            .include(aws_sdk_ecs::types::TaskField::Tags)
            .send()
            .await
            .map(|answer| {
                answer
                    .tasks()
                    .iter()
                    .filter_map(|it| pointer(cluster, it))
                    .collect()
            })
            .map_err(|error| ReadError::of("ecs:DescribeTasks", &error));
        shelve(&mut pointers, &chunk, answer);
    }
    let found = || pointers.values().filter_map(Read::found);
    let services = services(
        &client,
        cluster,
        &found().filter_map(|it| it.service.clone()).collect(),
        sizes,
    )
    .await;
    let hosts = hosts(
        &client,
        cluster,
        &found()
            .filter_map(|it| it.container_instance.clone())
            .collect(),
        sizes,
    )
    .await;
    let wanted = found().flat_map(|it| it.interfaces.clone()).collect();
    let interfaces = ec2::interfaces(&session.ec2(), &wanted, sizes).await;

    pointers
        .into_iter()
        .map(|(id, read)| {
            let read = match read {
                Read::Found(mut pointer) => {
                    let mut missed = |what: &str, missed: &Missed| {
                        let why = format!("its {what}: {}", missed.why);
                        let again = missed.again;
                        trouble.push((id.clone(), Missed { why, again }));
                    };
                    match pointer
                        .service
                        .as_ref()
                        .map(|name| (name, services.get(name)))
                    {
                        Some((name, Some(Read::Found(size)))) => {
                            pointer.task.service = Some((name.clone(), *size));
                        }
                        Some((_, Some(Read::Unread(why)))) => missed("service", why),
                        _ => {}
                    }
                    match pointer
                        .container_instance
                        .as_ref()
                        .and_then(|arn| hosts.get(arn))
                    {
                        Some(Read::Found(instance)) => {
                            pointer.task.instance = Some(instance.clone());
                        }
                        Some(Read::Unread(why)) => missed("instance", why),
                        _ => {}
                    }
                    for interface in &pointer.interfaces {
                        match interfaces.get(interface) {
                            Some(Read::Found(it)) => pointer.task.interfaces.push(it.clone()),
                            Some(Read::Unread(why)) => missed("interface", why),
                            _ => {}
                        }
                    }
                    Read::Found(pointer.task)
                }
                Read::Absent => Read::Absent,
                Read::Unread(why) => Read::Unread(why),
            };
            (id, read)
        })
        .collect()
}

fn pointer(cluster: &Arn, from: &aws_sdk_ecs::types::Task) -> Option<(Arn, Pointer)> {
    let id = Arn::from(from.task_arn()?);
    let interfaces = from
        .attachments()
        .iter()
        .flat_map(|attachment| attachment.details())
        .filter(|detail| detail.name() == Some("networkInterfaceId"))
        .filter_map(|detail| detail.value().map(InterfaceId::from))
        .collect();
    let task = Task {
        cluster: cluster.clone(),
        task: id.clone(),
        status: from.last_status().unwrap_or("UNKNOWN").to_owned(),
        launch_type: from
            .launch_type()
            .map(|kind| kind.as_str().to_owned())
            // A capacity provider leaves it out; without a container instance it is Fargate.
            .unwrap_or_else(|| match from.container_instance_arn() {
                Some(_) => "EC2".to_owned(),
                None => "FARGATE".to_owned(),
            }),
        service: None,
        instance: None,
        interfaces: Vec::new(),
        tags: tags(from.tags().iter().map(|tag| (tag.key(), tag.value()))),
    };
    let pointer = Pointer {
        task,
        service: from
            .group()
            .and_then(|group| group.strip_prefix("service:"))
            .map(str::to_owned),
        container_instance: from.container_instance_arn().map(Arn::from),
        interfaces,
    };
    Some((id, pointer))
}

/// Wanted sizes of services, by name.
async fn services(
    client: &aws_sdk_ecs::Client,
    cluster: &Arn,
    names: &BTreeSet<String>,
    sizes: Sizes,
) -> Shelf<String, i32> {
    let mut shelf = BTreeMap::new();
    for chunk in sizes.chunks(names, MAX_SERVICES) {
        let answer = client
            .describe_services()
            .cluster(cluster.as_str())
            .set_services(Some(chunk.clone()))
            .send()
            .await
            .map(|answer| {
                answer
                    .services()
                    .iter()
                    .filter_map(|it| Some((it.service_name()?.to_owned(), it.desired_count())))
                    .collect()
            })
            .map_err(|error| ReadError::of("ecs:DescribeServices", &error));
        shelve(&mut shelf, &chunk, answer);
    }
    shelf
}

/// The EC2 instances of container instances.
async fn hosts(
    client: &aws_sdk_ecs::Client,
    cluster: &Arn,
    ids: &BTreeSet<Arn>,
    sizes: Sizes,
) -> Shelf<Arn, InstanceId> {
    let mut shelf = BTreeMap::new();
    for chunk in sizes.chunks(ids, MAX_TASKS) {
        let answer = client
            .describe_container_instances()
            .cluster(cluster.as_str())
            .set_container_instances(Some(chunk.iter().map(|id| id.0.clone()).collect()))
            .send()
            .await
            .map(|answer| {
                answer
                    .container_instances()
                    .iter()
                    .filter_map(|it| {
                        let arn = Arn::from(it.container_instance_arn()?);
                        Some((arn, InstanceId::from(it.ec2_instance_id()?)))
                    })
                    .collect()
            })
            .map_err(|error| ReadError::of("ecs:DescribeContainerInstances", &error));
        shelve(&mut shelf, &chunk, answer);
    }
    shelf
}
