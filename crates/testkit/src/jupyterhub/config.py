"""The Hub of the tests: a dummy authenticator, local servers, and two services with tokens."""

import json
import os
import sys

given = json.loads(os.environ["DAVYLAMP_TEST_HUB"])
c = get_config()  # noqa: F821, given by traitlets

c.JupyterHub.bind_url = given["public"]
c.JupyterHub.hub_bind_url = given["hub"]
c.JupyterHub.db_url = "sqlite://"
c.JupyterHub.cookie_secret_file = os.path.join(given["dir"], "cookie_secret")
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.Authenticator.admin_users = {"hub-admin"}
c.JupyterHub.proxy_class = "configurable-http-proxy"
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.api_url = given["proxy_api"]
c.ConfigurableHTTPProxy.auth_token = given["proxy_token"]
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = os.path.join(given["dir"], "home")
c.Spawner.cmd = [sys.executable, os.path.join(given["dir"], "server.py")]
c.Spawner.args = []
c.Spawner.poll_interval = 1
c.JupyterHub.allow_named_servers = True
c.JupyterHub.services = [
    {"name": "davylamp", "api_token": given["token"]},
    {"name": "test", "api_token": given["admin_token"]},
]
c.JupyterHub.load_roles = [
    {"name": "davylamp", "services": ["davylamp"], "scopes": given["scopes"]},
    {
        "name": "test",
        "services": ["test"],
        "scopes": ["admin:users", "admin:servers", "admin:groups", "tokens", "access:servers"],
    },
]
c.JupyterHub.load_groups = {"blocked": {"users": []}}


# What docs/acts.md says: members of the group start nothing.
def refuse_blocked(spawner):
    from tornado import web

    if any(group.name == "blocked" for group in spawner.user.groups):
        raise web.HTTPError(403, "This account is blocked. Write to your administrator.")


c.Spawner.pre_spawn_hook = refuse_blocked
