"""Runs the proxy and the Hub, and ends them when the test ends.

The test holds the other end of standard input: whatever way it dies, this reads an end of file.
`argv[1]` is how many seconds this may run at most, `argv[2]` a JSON list of commands.
"""

import json
import os
import select
import subprocess
import sys
import time

deadline = time.monotonic() + float(sys.argv[1])
children = [
    subprocess.Popen(command, stdin=subprocess.DEVNULL) for command in json.loads(sys.argv[2])
]
try:
    while time.monotonic() < deadline and all(child.poll() is None for child in children):
        ready, _, _ = select.select([0], [], [], 0.5)
        if ready and not os.read(0, 1):
            break
finally:
    for child in children:
        child.kill()
    for child in children:
        child.wait()
