//! What is protected in clusters, and through it the machines underneath.

use super::Shields;
use crate::scope::{ClusterPod, has_ended, is_of_node};
use crate::who::Who;

impl Shields<'_> {
    pub(super) fn clusters(&mut self, who: &Who) {
        let scope = self.scope;
        for (cluster, state) in scope.readable() {
            for controller in &state.controllers {
                let key = format!(
                    "{}/{cluster}/{}/{}",
                    controller.kind, controller.namespace, controller.name
                );
                if let Some(why) = self.tagged(&controller.labels) {
                    self.protect(key, &why);
                }
            }
            for node in &state.nodes {
                let why = self
                    .tagged(&node.labels)
                    .or_else(|| self.tagged(&node.annotations));
                let inherited = node
                    .instance
                    .as_ref()
                    .and_then(|id| self.why(&format!("instance/{id}")).map(str::to_owned));
                if let (Some(why), Some(id)) = (&why, &node.instance) {
                    self.carry(id, format!("node {}: {why}", node.name));
                }
                if let Some(why) = why.or(inherited) {
                    self.protect(format!("node/{cluster}/{}", node.name), &why);
                }
            }
            for pod in &state.pods {
                self.pod(ClusterPod { cluster, pod });
            }
        }
        // A protected user's pods, and what only a volume tells.
        for (user, pods) in &who.pods {
            let Some(why) = self.why(&format!("hub-user/{user}")).map(str::to_owned) else {
                continue;
            };
            for (cluster, namespace, name) in pods {
                self.protect(format!("pod/{cluster}/{namespace}/{name}"), &why);
            }
        }
        for user in &who.occupants {
            if let Some(why) = self.why(&format!("hub-user/{user}")).map(str::to_owned) {
                for id in scope.instances.keys() {
                    self.carry(id, why.clone());
                }
            }
        }
    }

    fn pod(&mut self, held: ClusterPod<'_>) {
        let pod = held.pod;
        let why = self
            .tagged(&pod.labels)
            .or_else(|| self.tagged(&pod.annotations));
        if let Some(why) = &why {
            self.protect(held.target(), why);
        }
        let Some(why) = why.or_else(|| self.namespace(&pod.namespace)) else {
            return;
        };
        if is_of_node(pod) || has_ended(pod) {
            return;
        }
        let Some(node) = &pod.node else { return };
        let instance = self
            .scope
            .readable()
            .into_iter()
            .filter(|(cluster, _)| *cluster == held.cluster)
            .flat_map(|(_, state)| &state.nodes)
            .find(|known| known.name == *node)
            .and_then(|known| known.instance.clone());
        if let Some(id) = instance {
            self.carry(&id, format!("pod {}/{}: {why}", pod.namespace, pod.name));
        }
    }
}
