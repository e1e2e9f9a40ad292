//! The things that carry our tags: launch templates from which nothing can be launched.
//!
//! They are made, tagged and read here, and nothing else is done with them.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::Client;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ec2::types::{
    Filter, RequestLaunchTemplateData, ResourceType, ShutdownBehavior, Tag, TagSpecification,
};
use davylamp_cloud::aws::session::describe;

use super::super::JournalError;
use super::STORE;

/// EC2 takes no more values in a filter (`DescribeTags`, "Filters").
const FILTER_VALUES: usize = 200;

/// The keys and values of one carrier.
pub(super) type Tags = BTreeMap<String, String>;

/// The carriers in one account and region.
#[derive(Debug, Clone)]
pub(super) struct Carriers {
    client: Client,
}

impl Carriers {
    pub(super) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Makes a carrier with its tags by one call. `None` where there is one of that name: of two
    /// that make it at once, EC2 lets one.
    pub(super) async fn make(
        &self,
        name: &str,
        tags: &Tags,
    ) -> Result<Option<String>, JournalError> {
        let spec = TagSpecification::builder()
            .resource_type(ResourceType::LaunchTemplate)
            .set_tags(Some(sdk_tags(tags)))
            .build();
        // EC2 wants something in a template. Without an image nothing can be launched from it.
        let data = RequestLaunchTemplateData::builder()
            .instance_initiated_shutdown_behavior(ShutdownBehavior::Terminate)
            .build();
        let made = self
            .client
            .create_launch_template()
            .launch_template_name(name)
            .version_description("a journal of davylamp in its tags; nothing to launch")
            .launch_template_data(data)
            .tag_specifications(spec)
            .send()
            .await;
        match made {
            Ok(made) => made
                .launch_template
                .and_then(|made| made.launch_template_id)
                .map(Some)
                .ok_or_else(|| unreachable("EC2 does not say what it made")),
            Err(error)
                if error.as_service_error().and_then(|it| it.code())
                    == Some("InvalidLaunchTemplateName.AlreadyExistsException") =>
            {
                Ok(None)
            }
            Err(error) => Err(trouble(&error)),
        }
    }

    /// Sets some tags of a carrier by one call.
    pub(super) async fn write(&self, id: &str, tags: &Tags) -> Result<(), JournalError> {
        self.client
            .create_tags()
            .resources(id)
            .set_tags(Some(sdk_tags(tags)))
            .send()
            .await
            .map(|_| ())
            .map_err(|error| trouble(&error))
    }

    /// The carriers with one of these values of a tag, with all their tags.
    pub(super) async fn with(
        &self,
        key: &str,
        values: &[String],
    ) -> Result<BTreeMap<String, Tags>, JournalError> {
        let mut ids = BTreeSet::new();
        for some in values.chunks(FILTER_VALUES) {
            let found = self
                .tags(vec![
                    filter("key", &[key.to_owned()]),
                    filter("value", some),
                ])
                .await?;
            // A filter takes wildcards, so what it finds is looked at again.
            ids.extend(
                found
                    .into_iter()
                    .filter(|(_, tag, value)| tag == key && some.contains(value))
                    .map(|(id, ..)| id),
            );
        }
        let ids: Vec<String> = ids.into_iter().collect();
        let mut carriers: BTreeMap<String, Tags> = BTreeMap::new();
        for some in ids.chunks(FILTER_VALUES) {
            for (id, key, value) in self.tags(vec![filter("resource-id", some)]).await? {
                carriers.entry(id).or_default().insert(key, value);
            }
        }
        Ok(carriers)
    }

    /// Every value of a tag.
    pub(super) async fn values(&self, key: &str) -> Result<Vec<String>, JournalError> {
        let found = self.tags(vec![filter("key", &[key.to_owned()])]).await?;
        Ok(found.into_iter().map(|(.., value)| value).collect())
    }

    async fn tags(
        &self,
        mut filters: Vec<Filter>,
    ) -> Result<Vec<(String, String, String)>, JournalError> {
        filters.push(filter(
            "resource-type",
            &[ResourceType::LaunchTemplate.as_str().to_owned()],
        ));
        let mut pages = self
            .client
            .describe_tags()
            .set_filters(Some(filters))
            .into_paginator()
            .items()
            .send();
        let mut tags = Vec::new();
        while let Some(tag) = pages.next().await {
            let tag = tag.map_err(|error| trouble(&error))?;
            if let (Some(id), Some(key)) = (tag.resource_id, tag.key) {
                tags.push((id, key, tag.value.unwrap_or_default()));
            }
        }
        Ok(tags)
    }
}

fn filter(name: &str, values: &[String]) -> Filter {
    Filter::builder()
        .name(name)
        .set_values(Some(values.to_vec()))
        .build()
}

fn sdk_tags(tags: &Tags) -> Vec<Tag> {
    tags.iter()
        .map(|(key, value)| Tag::builder().key(key).value(value).build())
        .collect()
}

pub(super) fn unreachable(why: impl Into<String>) -> JournalError {
    JournalError::Unreachable {
        store: STORE.to_owned(),
        why: why.into(),
    }
}

fn trouble<E>(error: &SdkError<E>) -> JournalError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    unreachable(describe(error))
}
