//! The actuators of what is configured.

use std::sync::Arc;

use davylamp_cloud::aws::session::Sessions;
use davylamp_cloud::kubernetes::Clusters;
use davylamp_model::ids::{AccountId, ClusterName};
use davylamp_model::resource::Place;

use super::{WireError, authority, secret};
use crate::actuator::{ActError, Acting, Actuator};
use crate::aws::{Ec2Actuator, ServicesActuator};
use crate::config::{Config, present};
use crate::hub::{HubActuator, HubOptions};
use crate::kubernetes::{ClusterClients, KubernetesActuator};
use crate::portal::PortalActuator;

/// What acts at AWS and in clusters is always there: whom it may act on is the account's to say.
/// What acts at the Hub or the portal is there where one is configured.
pub(super) async fn all(
    config: &Config,
    sessions: &Arc<Sessions>,
    clusters: &Arc<Clusters>,
) -> Result<Vec<Arc<dyn Actuator>>, WireError> {
    let mut all: Vec<Arc<dyn Actuator>> = vec![
        Arc::new(Ec2Actuator::new(
            Arc::clone(sessions),
            config.debounce_minutes,
        )),
        Arc::new(ServicesActuator::new(
            Arc::clone(sessions),
            present(&config.cognito.account).map(AccountId::from),
        )),
        Arc::new(KubernetesActuator::new(Arc::new(WritingClusters(
            Arc::clone(clusters),
        )))),
    ];
    if let Some(url) = present(&config.hub.url) {
        let token = secret("respond.hub.token", &config.hub.token, sessions).await?;
        let options = HubOptions {
            url: url.to_owned(),
            token,
            ca_pem: authority(config)?,
        };
        let actuator = HubActuator::new(options).map_err(|error| WireError::Client {
            what: "the Hub",
            why: error.to_string(),
        })?;
        all.push(Arc::new(actuator));
    }
    if let Some(url) = present(&config.portal.url) {
        let key = secret("respond.portal.key", &config.portal.key, sessions).await?;
        let actuator = PortalActuator::new(url, key).map_err(|error| WireError::Client {
            what: "the portal",
            why: error.to_string(),
        })?;
        all.push(Arc::new(actuator));
    }
    Ok(all)
}

/// Clients of clusters that may write.
struct WritingClusters(Arc<Clusters>);

impl ClusterClients for WritingClusters {
    fn client<'a>(
        &'a self,
        place: &'a Place,
        cluster: &'a ClusterName,
    ) -> Acting<'a, kube::Client> {
        Box::pin(async move {
            self.0
                .writing(place, cluster)
                .await
                .map_err(|error| ActError::Transient {
                    service: format!("cluster {cluster}"),
                    why: error.to_string(),
                })
        })
    }
}
