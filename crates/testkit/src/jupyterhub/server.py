"""A user's server that does nothing but answer, and ends when its Hub does."""

import http.server
import os
import threading
import time
import urllib.parse

HUB = os.getppid()


def end_with_the_hub():
    while os.getppid() == HUB:
        time.sleep(0.2)
    os._exit(0)


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b'{"version": "0"}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


threading.Thread(target=end_with_the_hub, daemon=True).start()
url = urllib.parse.urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"])
http.server.ThreadingHTTPServer((url.hostname, url.port), Answer).serve_forever()
