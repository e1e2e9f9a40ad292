"""Serves moto on a free port of the loopback address, and stops by itself.

Arguments: a state file, a lock file, seconds without a request after which to stop, seconds of life
at most, and the process to end with (0 for none). When it serves, it writes its port and a token
into the state file; whoever reads that asks /davylamp/health, so that another server on the same
port is not taken for this one.
"""

import fcntl
import json
import os
import sys
import threading
import time

from moto.guardduty.responses import GuardDutyResponse
from moto.iam.access_control import IAMRequestBase
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from moto.servicequotas.responses import ServiceQuotasResponse
from werkzeug.serving import ThreadedWSGIServer, make_server

HEALTH = "/davylamp/health"
# Hundreds of clients may connect at once; the default drops some, and those wait a second.
ThreadedWSGIServer.request_queue_size = 1024
# Where policies are enforced, moto checks signatures as well, and computes another one than every SDK
# for a form with blanks or lines in it. Who calls is told by the key; that is enough for a policy.
if os.environ.get("DAVYLAMP_MOTO_ANY_SIGNATURE"):
    IAMRequestBase.check_signature = lambda _self: None

# Of EC2 moto keeps no quotas; this is the one that bounds what can be mined with.
VCPUS = {
    "ServiceCode": "ec2",
    "QuotaCode": "L-1216C47A",
    "QuotaName": "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances",
    "Value": 5.0,
    "Adjustable": True,
}
HOSTS = {"ServiceCode": "ec2", "QuotaCode": "L-8D977E7E", "QuotaName": "Running Dedicated x Hosts"}


def list_filters(self):
    detector = self.guardduty_backend.get_detector(self.path.split("/")[-2])
    return json.dumps({"filterNames": list(detector.filters)})


def list_service_quotas(self):
    service = json.loads(self.body)["ServiceCode"]
    return json.dumps({"Quotas": [VCPUS, HOSTS] if service == "ec2" else []})


# Questions that moto does not know yet.
GuardDutyResponse.list_filters = list_filters
ServiceQuotasResponse.list_service_quotas = list_service_quotas

DYNAMODB = threading.Lock()


class Quiet(MotoRequestHandler):
    """Writes no line for each request."""

    def log_request(self, *_args, **_kwargs):
        pass


class Watched:
    """The application, with its requests counted and a page that says whose it is."""

    def __init__(self, app, token):
        self.app = app
        self.token = token
        self.lock = threading.Lock()
        self.started = time.monotonic()
        self.last = self.started
        self.running = 0

    def __call__(self, environ, start_response):
        with self.lock:
            self.last = time.monotonic()
            self.running += 1
        try:
            if environ.get("PATH_INFO") == HEALTH:
                age = time.monotonic() - self.started
                body = json.dumps({"token": self.token, "age_secs": int(age)}).encode()
                head = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
                start_response("200 OK", head)
                return [body]
            # DynamoDB's conditional writes and transactions are atomic; moto's are not across
            # threads.
            if environ.get("HTTP_X_AMZ_TARGET", "").startswith("DynamoDB_"):
                with DYNAMODB:
                    return self.app(environ, start_response)
            return self.app(environ, start_response)
        finally:
            with self.lock:
                self.last = time.monotonic()
                self.running -= 1

    def is_over(self, idle_secs, life_secs):
        now = time.monotonic()
        with self.lock:
            idle = self.running == 0 and now - self.last > idle_secs
        return idle or now - self.started > life_secs


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    # A zombie has ended too; what it was is the third word, after a name in brackets.
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def watch(watched, state, lock, idle_secs, life_secs, parent):
    while True:
        time.sleep(0.25)
        if parent and not is_alive(parent):
            break
        if not watched.is_over(idle_secs, life_secs):
            continue
        # Whoever is about to use this server holds the lock while asking for its health. If that is
        # happening now, ending has to wait for another look.
        with open(lock, "a", encoding="utf-8") as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            if watched.is_over(idle_secs, life_secs):
                break
    try:
        with open(state, encoding="utf-8") as file:
            if json.load(file)["token"] == watched.token:
                os.unlink(state)
    except (OSError, ValueError, KeyError):
        pass
    os._exit(0)


def main():
    state, lock, idle_secs, life_secs, parent = sys.argv[1:]
    # moto builds some addresses from its port, so that has to be known before the first request.
    token = os.urandom(16).hex()
    watched = Watched(DomainDispatcherApplication(create_backend_app), token)
    server = make_server("127.0.0.1", 0, watched, threaded=True, request_handler=Quiet)
    server.daemon_threads = True
    os.environ["MOTO_PORT"] = str(server.server_port)
    threading.Thread(
        target=watch,
        args=(watched, state, lock, float(idle_secs), float(life_secs), int(parent)),
        daemon=True,
    ).start()
    beside = f"{state}.{os.getpid()}"
    with open(beside, "w", encoding="utf-8") as file:
        json.dump({"port": server.server_port, "token": token, "pid": os.getpid()}, file)
    os.rename(beside, state)
    server.serve_forever()


main()
