"""The tools' doors, tried by the official MCP clients for Node and Python, over both transports, and by the conformance suite.

`run` beside this file calls `try_tool_doors`. A small web server in this process is what the tools reach: pages, a picture, a
SearXNG. It listens on this machine, so that it is closed to the tools unless the configuration opens it.
"""

import contextlib
import http.server
import json
import os
import pathlib
import shutil
import struct
import subprocess
import threading
import time
import urllib.parse
import zlib

HERE = pathlib.Path(__file__).resolve().parent
KEY = "owl-test-key"
SECONDS = 30
PAGE = """<!doctype html><html lang="en"><head><title>Owls at night</title></head><body>
<nav><a href="/">Home</a></nav><article><h1>Owls at night</h1>
<p>Owls hunt at night. They hear a mouse under the snow, turn in the air without a sound, and seldom miss what they heard.</p>
<p>Their feathers break the air into small pieces, so that what they hunt does not hear them come. The eyes see much of little
light, and do not turn; the head does, three quarters of a circle.</p>
<ul><li>Tawny owl</li><li>Barn owl</li></ul></article></body></html>"""
RESULTS = {
    "query": "owls",
    "results": [{"url": "https://owls.example/", "title": "Owls", "content": "All about owls", "engine": "test"}],
}
# The scenarios of the conformance suite that a server with tools and nothing else can be asked. Left out, because Owl has not
# what they ask for: `logging-set-level`, `completion-complete`, `prompts-*`, `resources-*`; because they call tools of the
# suite's own (`test_simple_text` and so on): `tools-call-*`, `json-schema-2020-12`, `elicitation-*`, `server-sse-polling`.
SCENARIOS = ["server-initialize", "ping", "tools-list", "server-sse-multiple-streams", "dns-rebinding-protection"]


def picture():
    """A PNG of 2 by 2 pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 2, 2, 8, 2, 0, 0, 0)
    rows = (b"\0" + b"\x20\x40\x80" * 2) * 2
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


class Web(http.server.ThreadingHTTPServer):
    """What the tools reach, on a free port."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.arrived, self.left, self.told, self.lock = {}, {}, {}, threading.Lock()
        threading.Thread(target=self.serve_forever, daemon=True).start()
        self.origin = f"http://127.0.0.1:{self.server_port}"

    def event(self, events, mark):
        with self.lock:
            return events.setdefault(mark, threading.Event())

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    """One request."""

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        answers = {
            "/page": ("text/html; charset=utf-8", PAGE.encode()),
            "/picture.png": ("image/png", picture()),
            "/search": ("application/json", json.dumps(RESULTS).encode()),
        }
        if url.path in answers:
            self.answer(*answers[url.path])
        elif url.path == "/slow":
            self.server.event(self.server.arrived, url.query).set()
            with contextlib.suppress(OSError):
                self.rfile.read(1)  # until the other side closes
            self.server.event(self.server.left, url.query).set()
            self.close_connection = True
        elif url.path == "/patient":  # a page for whoever was told that it is being read
            self.server.event(self.server.told, url.query).wait(SECONDS)
            self.answer("text/plain", b"Whoever waits is told.")
        elif url.path == "/told":
            self.server.event(self.server.told, url.query).set()
            self.answer("text/plain", b"yes")
        elif url.path in ("/arrived", "/left"):
            events = self.server.arrived if url.path == "/arrived" else self.server.left
            seen = self.server.event(events, url.query).wait(SECONDS)
            self.answer("text/plain", b"yes" if seen else b"no")
        else:
            self.send_error(404)

    def answer(self, kind, body):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def write_configuration(folder, web, is_open, keys):
    private = {"allowPrivateNetwork": True} if is_open else {}
    search = {"engine": "searxng", "baseUrl": web.origin}
    configuration = {
        "gateway": {"listen": "127.0.0.1:0"} | ({"keys": [{"name": "sdk", "key": KEY}]} if keys else {}),
        # Never asked; the listener wants one.
        "models": {"providers": {"owl": {"baseUrl": "http://127.0.0.1:6999", "allowPrivateNetwork": True}}},
        "tools": {"web": {"fetch": private, "search": search | private}, "image": private},
    }
    if not is_open:
        # A search engine that may not be reached stops the start; see the check of that below.
        configuration["tools"]["web"]["search"]["allowPrivateNetwork"] = True
    path = folder / f"tools-{'open' if is_open else 'closed'}-{'keys' if keys else 'keyless'}.json5"
    path.write_text(json.dumps(configuration, indent=2))
    return path


def environment_of(**more):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("OWL_")}
    return environment | {"PYTHONDONTWRITEBYTECODE": "1"} | more


def run_conformance(arguments, origin, totals):
    started = time.monotonic()
    before = list(totals)
    program = arguments.node_folder / "node_modules/.bin/conformance"
    for scenario in SCENARIOS:
        command = [program, "server", "--url", f"{origin}/mcp", "--scenario", scenario]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=2 * SECONDS, cwd=arguments.node_folder)
        totals[ended.returncode != 0] += 1
        if ended.returncode != 0:
            print(f"    FAIL {scenario}\n{ended.stdout}{ended.stderr}")
    passed, failed = totals[0] - before[0], totals[1] - before[1]
    print(f"  conformance: {passed} passed, {failed} failed, {time.monotonic() - started:.1f} s", flush=True)


def try_tool_doors(arguments, folder, start_owl_with, run_suite, totals):
    """Runs everything; `start_owl_with` starts `owl serve`, `run_suite` a suite whose lines are counted."""
    for name in ["mcp_suite.mjs"]:
        shutil.copy(HERE / "node" / name, arguments.node_folder)  # it looks for modules where it lies
    suites = [
        ("python", [arguments.python, HERE / "mcp_suite.py"], {}),
        ("node", ["node", "mcp_suite.mjs"], {"cwd": arguments.node_folder}),
    ]
    with Web() as web:
        for is_open in (False, True):
            print(f"tools, {'opened' if is_open else 'as they come'}: {web.origin}", flush=True)
            path = write_configuration(folder, web, is_open, keys=True)
            common = {"OWL_TEST_WEB": web.origin, "OWL_TEST_OPEN": "1" if is_open else ""}
            with start_owl_with(path) as owl:
                origin = owl.line(r"listening\b.*?(http://127\.0\.0\.1:\d+)")[1]
                for name, command, more in suites:
                    to_http = environment_of(**common, OWL_TEST_MCP_URL=f"{origin}/mcp", OWL_TEST_KEY=KEY)
                    run_suite(f"{name}, streamable HTTP", command, to_http, totals, **more)
            for name, command, more in suites:
                to_pipe = environment_of(**common, OWL_TEST_MCP_COMMAND=json.dumps([str(arguments.owl), "mcp", "--config", str(path)]))
                run_suite(f"{name}, standard input", command, to_pipe, totals, **more)
        # The suite shows no key.
        with start_owl_with(write_configuration(folder, web, False, keys=False)) as owl:
            run_conformance(arguments, owl.line(r"listening\b.*?(http://127\.0\.0\.1:\d+)")[1], totals)
