#!/usr/bin/env python3
"""A real searx, which Debian has, asked through `owl search`: searx.py OWL

SearXNG grew out of it and kept its search API; what only SearXNG has, the key `search.formats`, is tried with a scripted
server in crates/owl/tests/it/web_search.rs. Its one engine asks a server on loopback, so nothing leaves this machine. The
last line is `N passed, N failed`.
"""

import contextlib
import http.server
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

import yaml

FOUND = {"hits": [
    {"link": "https://owls.example.com/barn", "name": "Barn owls", "text": "They hunt at night."},
    {"link": "https://boxes.example.com/", "name": "Owl boxes", "text": "How to build one."},
]}

# What Debian's searx would start from, with every key that it wants.
DEFAULTS = "/usr/share/doc/searx/examples/settings.yml"


def settings(port, shelf):
    made = yaml.safe_load(pathlib.Path(DEFAULTS).read_text())
    made["server"].update(port=port, bind_address="127.0.0.1", secret_key="of-this-test")
    made["engines"] = [{
        "name": "shelf", "engine": "json_engine", "shortcut": "sh", "categories": "general", "search_url": shelf + "?q={query}",
        "results_query": "hits", "url_query": "link", "title_query": "name", "content_query": "text", "enable_http": True,
    }]
    return yaml.safe_dump(made)


class Shelf(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps(FOUND).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def free_port():
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def searx(folder, shelf):
    port = free_port()
    file = pathlib.Path(folder, f"settings-{port}.yml")
    file.write_text(settings(port, shelf))
    env = {**os.environ, "SEARX_SETTINGS_PATH": str(file)}
    with open(pathlib.Path(folder, f"searx-{port}.log"), "w") as log:
        server = subprocess.Popen(["searx-run"], env=env, stdout=log, stderr=log)
    try:
        wait(server, port, log.name)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def wait(server, port, log):
    """Until it answers: searx says nowhere that it is ready."""
    for _ in range(600):
        if server.poll() is not None:
            sys.exit(f"searx ended: {pathlib.Path(log).read_text()[-2000:]}")
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/config", timeout=5).read()
            return
        time.sleep(0.1)
    sys.exit(f"searx did not answer: {pathlib.Path(log).read_text()[-2000:]}")


class Checks:
    def __init__(self, owl, folder):
        self.owl, self.folder, self.passed, self.failed = owl, folder, 0, 0

    def search(self, base_url, *arguments, more="allowPrivateNetwork: true"):
        config = pathlib.Path(self.folder, "owl.json5")
        config.write_text(
            '{ store: "none", tools: { web: { search: { engine: "searxng", baseUrl: "%s", %s } } } }' % (base_url, more)
        )
        command = [self.owl, "search", "--config", str(config), *arguments, "owls"]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)

    def check(self, name, right, ended):
        self.passed, self.failed = self.passed + right, self.failed + (not right)
        print(f"  {'ok  ' if right else 'FAIL'} {name}")
        if not right:
            print(f"       {ended.returncode} {ended.stdout} {ended.stderr}")


def main():
    shelf = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shelf)
    threading.Thread(target=shelf.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        checks = Checks(sys.argv[1], folder)
        origin = f"http://127.0.0.1:{shelf.server_port}/"
        with searx(folder, origin) as base_url:
            ended = checks.search(base_url)
            right = all(text in ended.stdout for text in ("Barn owls", "https://boxes.example.com/", "They hunt at night."))
            checks.check("results are listed", right and ended.returncode == 0, ended)
            ended = checks.search(base_url, "--json", "-n", "1")
            results = json.loads(ended.stdout)["result"]["details"]["results"] if ended.stdout else []
            checks.check("no more of them than were asked for", len(results) == 1, ended)
            ended = checks.search(base_url, more="")
            right = ended.returncode == 1 and "tools.web.search" in ended.stderr and "allow" in ended.stderr
            checks.check("it is refused until it is opened, with the key that opens it", right, ended)
    print(f"{checks.passed} passed, {checks.failed} failed")
    sys.exit(1 if checks.failed else 0)


if __name__ == "__main__":
    main()
