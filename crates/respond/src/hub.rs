//! JupyterHub: stop a user's servers, revoke the tokens, block or remove the user.
//!
//! What must stay true: a user who administers the Hub, or of whom the Hub does not say whether so,
//! is left alone, looked at anew before each change; a name never becomes another path; and a user
//! whom the Hub answers with under another name is another user.
//!
//! Stopped servers are not started again by undo: their files are on their volumes, and the user
//! starts a server with a click. Tokens and users cannot be brought back.
//!
//! The Hub's API has no way to block a user, so a block is membership of a group that the Hub's own
//! configuration lets start nothing (docs/acts.md); that is taken back by leaving the group.

use davylamp_model::ids::HubUser;
use davylamp_model::resource::Place;
use davylamp_plan::action::Action;
use davylamp_plan::gate::{ActToken, UndoToken};
use reqwest::Method;
use serde_json::{Value, json};

use crate::actuator::{ActError, Acting, Actuator, Checked, Reverted, Verified};

mod client;

pub use client::{HubOptions, HubSetupError};

use client::{HubClient, transient};

/// Carries out what is done at the Hub.
#[derive(Debug)]
pub struct HubActuator {
    client: HubClient,
}

/// What is done to a user.
#[derive(Debug, Clone, Copy)]
enum Task {
    Stop,
    Revoke,
    Block,
    Remove,
}

impl HubActuator {
    /// Of this Hub.
    pub fn new(options: HubOptions) -> Result<Self, HubSetupError> {
        Ok(Self {
            client: HubClient::new(options)?,
        })
    }

    /// The user as the Hub has it now.
    async fn user(&self, user: &HubUser) -> Result<Option<Value>, ActError> {
        self.client
            .ask(Method::GET, &["users", user.as_str()])
            .await
    }

    async fn tokens(&self, user: &HubUser) -> Result<Vec<Value>, ActError> {
        let path = ["users", user.as_str(), "tokens"];
        let Some(answer) = self.client.ask(Method::GET, &path).await? else {
            return Ok(Vec::new());
        };
        match answer["api_tokens"].as_array() {
            Some(tokens) => Ok(tokens.clone()),
            None => Err(unreadable("GET tokens", "its answer has no list of tokens")),
        }
    }

    async fn look(&self, task: Task, user: &HubUser) -> Result<Checked, ActError> {
        let Some(record) = self.user(user).await? else {
            return Ok(Checked::Already {
                note: "the Hub has no such user".to_owned(),
            });
        };
        if let Some(why) = untouchable(&record, user) {
            return Ok(Checked::Impossible { why });
        }
        match task {
            Task::Stop => {
                let servers = servers(&record)?;
                if servers.is_empty() {
                    return Ok(Checked::Already {
                        note: "no server of the user runs".to_owned(),
                    });
                }
                Ok(Checked::Needed {
                    before: json!({ "servers": servers }),
                })
            }
            Task::Revoke => {
                let tokens = self.tokens(user).await?;
                if tokens.is_empty() {
                    return Ok(Checked::Already {
                        note: "the user has no token".to_owned(),
                    });
                }
                // Their number alone: a user may have any number of tokens with any notes, and what
                // is journaled must neither grow with them nor hold what the Hub knows of a login.
                Ok(Checked::Needed {
                    before: json!({ "tokens": tokens.len() }),
                })
            }
            // What group it is stands in the action.
            Task::Block => Ok(Checked::Needed {
                before: json!({ "groups": record["groups"] }),
            }),
            Task::Remove => Ok(Checked::Needed {
                before: json!({ "user": record["name"], "admin": record["admin"] }),
            }),
        }
    }

    async fn look_at_block(&self, user: &HubUser, group: &str) -> Result<Checked, ActError> {
        let checked = self.look(Task::Block, user).await?;
        let Checked::Needed { before } = &checked else {
            return Ok(checked);
        };
        if is_member(before, group)? {
            return Ok(Checked::Already {
                note: format!("the user is in the Hub's group {group:?}"),
            });
        }
        if self
            .client
            .ask(Method::GET, &["groups", group])
            .await?
            .is_none()
        {
            return Ok(Checked::Impossible {
                why: format!(
                    "the Hub has no group {group:?}; make it, and let its members start nothing, as \
                     docs/acts.md says"
                ),
            });
        }
        Ok(checked)
    }

    async fn block(&self, user: &HubUser, group: &str) -> Result<(), ActError> {
        let Some(record) = self.user(user).await? else {
            return Ok(());
        };
        if let Some(why) = untouchable(&record, user) {
            return Err(ActError::Refused {
                call: "a change of the Hub's user".to_owned(),
                why,
            });
        }
        self.set_member(user, group, true).await
    }

    /// Puts a user into a group, or takes them out of it.
    async fn set_member(&self, user: &HubUser, group: &str, is_in: bool) -> Result<(), ActError> {
        let method = if is_in { Method::POST } else { Method::DELETE };
        let body = json!({ "users": [user] });
        self.client
            .tell(method, &["groups", group, "users"], &body)
            .await
            .map(drop)
    }

    async fn carry_out(&self, task: Task, user: &HubUser) -> Result<(), ActError> {
        let Some(record) = self.user(user).await? else {
            return Ok(());
        };
        if let Some(why) = untouchable(&record, user) {
            return Err(ActError::Refused {
                call: "a change of the Hub's user".to_owned(),
                why,
            });
        }
        match task {
            Task::Stop => self.stop(user, &servers(&record)?).await,
            Task::Revoke => self.revoke(user).await,
            Task::Block => Err(unreadable("a block", "it was asked for without its group")),
            Task::Remove => self.remove(user, &servers(&record)?).await,
        }
    }

    /// Asks every server to stop, also when one of them cannot be.
    async fn stop(&self, user: &HubUser, servers: &[String]) -> Result<(), ActError> {
        let mut outcome = Ok(());
        for server in servers {
            let named = ["users", user.as_str(), "servers", server];
            let default = ["users", user.as_str(), "server"];
            let path: &[&str] = if server.is_empty() { &default } else { &named };
            if let Err(error) = self.client.ask(Method::DELETE, path).await {
                outcome = outcome.and(Err(error));
            }
        }
        outcome
    }

    async fn revoke(&self, user: &HubUser) -> Result<(), ActError> {
        let mut outcome = Ok(());
        for token in self.tokens(user).await? {
            let Some(id) = token["id"].as_str() else {
                outcome = outcome.and(Err(unreadable("GET tokens", "a token has no id")));
                continue;
            };
            let path = ["users", user.as_str(), "tokens", id];
            if let Err(error) = self.client.ask(Method::DELETE, &path).await {
                outcome = outcome.and(Err(error));
            }
        }
        outcome
    }

    /// The Hub refuses to delete a user with a server that is being stopped, so they are stopped
    /// first, and a repetition finds them gone.
    async fn remove(&self, user: &HubUser, running: &[String]) -> Result<(), ActError> {
        if !running.is_empty() {
            self.stop(user, running).await?;
            let Some(record) = self.user(user).await? else {
                return Ok(());
            };
            let left = servers(&record)?;
            if !left.is_empty() {
                return Err(transient(format!(
                    "{} are being stopped before the user is removed",
                    listed(&left)
                )));
            }
        }
        self.client
            .ask(Method::DELETE, &["users", user.as_str()])
            .await
            .map(drop)
    }

    async fn look_after(&self, task: Task, user: &HubUser) -> Result<Verified, ActError> {
        let Some(record) = self.user(user).await? else {
            return Ok(Verified::Done {
                note: "the Hub answers that it has no such user".to_owned(),
            });
        };
        match task {
            Task::Stop => {
                let left = servers(&record)?;
                let stopping = |server: &String| record["servers"][server]["pending"] == "stop";
                if left.is_empty() {
                    Ok(Verified::Done {
                        note: "no server of the user runs".to_owned(),
                    })
                } else if left.iter().all(stopping) {
                    Ok(Verified::Pending {
                        what: format!("{} to stop", listed(&left)),
                    })
                } else {
                    Ok(Verified::Failed {
                        why: format!("{} still run", listed(&left)),
                    })
                }
            }
            Task::Revoke => match self.tokens(user).await?.len() {
                0 => Ok(Verified::Done {
                    note: "the Hub lists no token of the user".to_owned(),
                }),
                left => Ok(Verified::Failed {
                    why: format!("the Hub still lists {left} tokens of the user"),
                }),
            },
            Task::Block | Task::Remove => Ok(Verified::Failed {
                why: "the Hub still has the user".to_owned(),
            }),
        }
    }
}

impl Actuator for HubActuator {
    fn takes(&self, action: &Action) -> bool {
        task_of(action).is_some()
    }

    fn check<'a>(&'a self, _place: &'a Place, action: &'a Action) -> Acting<'a, Checked> {
        Box::pin(async move {
            let (task, user) = task_of(action).ok_or_else(|| not_ours(action))?;
            match action {
                Action::BlockHubUser { group, .. } => self.look_at_block(user, group).await,
                _ => self.look(task, user).await,
            }
        })
    }

    fn act<'a>(&'a self, token: ActToken<'a>, _before: &'a Value) -> Acting<'a, ()> {
        Box::pin(async move {
            let action = &token.step().action;
            let (task, user) = task_of(action).ok_or_else(|| not_ours(action))?;
            match action {
                Action::BlockHubUser { group, .. } => self.block(user, group).await,
                _ => self.carry_out(task, user).await,
            }
        })
    }

    fn verify<'a>(
        &'a self,
        _place: &'a Place,
        action: &'a Action,
        _before: &'a Value,
    ) -> Acting<'a, Verified> {
        Box::pin(async move {
            let (task, user) = task_of(action).ok_or_else(|| not_ours(action))?;
            let Action::BlockHubUser { group, .. } = action else {
                return self.look_after(task, user).await;
            };
            Ok(match self.user(user).await? {
                None => Verified::Done {
                    note: "the Hub answers that it has no such user".to_owned(),
                },
                Some(record) if is_member(&record, group)? => Verified::Done {
                    note: format!("the user is in the Hub's group {group:?}"),
                },
                Some(_) => Verified::Failed {
                    why: format!("the user is not in the Hub's group {group:?}"),
                },
            })
        })
    }

    fn undo<'a>(&'a self, token: UndoToken<'a>, before: &'a Value) -> Acting<'a, Reverted> {
        Box::pin(async move {
            match &token.step().action {
                Action::StopHubServers { .. } => Ok(Reverted::Back),
                Action::BlockHubUser { user, group } => {
                    // Whom somebody had blocked before us stays blocked.
                    let exists = self.user(user).await?.is_some();
                    if exists && !is_member(before, group)? {
                        self.set_member(user, group, false).await?;
                    }
                    Ok(Reverted::Back)
                }
                other => Err(ActError::Refused {
                    call: format!("undoing {}", other.verb()),
                    why: "it cannot be taken back".to_owned(),
                }),
            }
        })
    }
}

fn task_of(action: &Action) -> Option<(Task, &HubUser)> {
    match action {
        Action::StopHubServers { user } => Some((Task::Stop, user)),
        Action::RevokeHubTokens { user } => Some((Task::Revoke, user)),
        Action::BlockHubUser { user, .. } => Some((Task::Block, user)),
        Action::RemoveHubUser { user } => Some((Task::Remove, user)),
        _ => None,
    }
}

fn not_ours(action: &Action) -> ActError {
    ActError::NotConfigured {
        what: format!("{} at the Hub", action.verb()),
    }
}

fn unreadable(call: &str, why: &str) -> ActError {
    ActError::Refused {
        call: format!("{call} of the Hub"),
        why: why.to_owned(),
    }
}

/// Why this user is left alone, if so.
fn untouchable(record: &Value, user: &HubUser) -> Option<String> {
    let name = record["name"].as_str().unwrap_or_default();
    if name != user.as_str() {
        return Some(format!("the Hub answers with another user, {name:?}"));
    }
    let is_in_role = record["roles"]
        .as_array()
        .is_some_and(|roles| roles.iter().any(|role| role == "admin"));
    match record["admin"].as_bool() {
        Some(false) if !is_in_role => None,
        Some(_) => Some("the user administers the Hub".to_owned()),
        None => Some("the Hub does not say whether the user administers it".to_owned()),
    }
}

/// Whether a user is in a group, by what the Hub or the journal says of them.
fn is_member(record: &Value, group: &str) -> Result<bool, ActError> {
    let groups = record["groups"].as_array().ok_or_else(|| {
        unreadable(
            "GET users",
            "it does not show groups: its token lacks the scope read:users:groups",
        )
    })?;
    Ok(groups.iter().any(|member| member == group))
}

/// The servers that run, start or stop; the default server's name is empty.
fn servers(record: &Value) -> Result<Vec<String>, ActError> {
    let servers = record["servers"].as_object().ok_or_else(|| {
        unreadable(
            "GET users",
            "it does not show servers: its token lacks the scope read:servers",
        )
    })?;
    Ok(servers
        .iter()
        .filter(|(_, server)| server["stopped"] != true)
        .map(|(name, _)| name.clone())
        .collect())
}

fn listed(servers: &[String]) -> String {
    let names: Vec<String> = servers
        .iter()
        .map(|name| match name.as_str() {
            "" => "the default server".to_owned(),
            name => format!("server {name:?}"),
        })
        .collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(record: Value, why: Option<&str>) {
        let said = untouchable(&record, &HubUser::from("alice"));
        match (&said, why) {
            (None, None) => {}
            (Some(said), Some(why)) => assert!(said.contains(why), "{said}"),
            _ => panic!("{record}: {said:?}"),
        }
    }

    #[test]
    fn who_may_be_an_administrator_or_somebody_else_is_left_alone() {
        check(json!({ "name": "alice", "admin": false }), None);
        check(
            json!({ "name": "alice", "admin": false, "roles": ["user"] }),
            None,
        );
        check(
            json!({ "name": "alice", "admin": true }),
            Some("administers"),
        );
        check(
            json!({ "name": "alice", "admin": false, "roles": ["admin"] }),
            Some("administers"),
        );
        check(
            json!({ "name": "alice", "admin": null }),
            Some("does not say"),
        );
        check(json!({ "name": "alice" }), Some("does not say"));
        check(
            json!({ "name": "Alice", "admin": false }),
            Some("another user"),
        );
        check(json!(null), Some("another user"));
    }

    #[test]
    fn servers_that_are_not_shown_are_not_absent() {
        assert!(servers(&json!({ "name": "alice" })).is_err());
        let record = json!({ "servers": {
            "": { "ready": true }, "old": { "stopped": true }, "new": { "pending": "spawn" },
        } });
        assert_eq!(servers(&record).expect("servers"), ["", "new"]);
    }
}
