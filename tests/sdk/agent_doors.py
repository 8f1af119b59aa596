"""Tools that Owl runs, tried by the clients of OpenAI, Anthropic, LangChain, LlamaIndex and Vercel, each as it is.

`run` beside this file calls `try_agent_doors`. The model is the testkit's, whose turns a plan in the last message scripts; the search
engine and the pages are those of tool_doors.py. The responses are also held against the assertions of the Open Responses suite.
"""

import json
import shutil

import tool_doors

HERE = tool_doors.HERE


def write_configuration(folder, web, server, key):
    provider = {"baseUrl": f"{server}/v1", "apiKey": key, "allowPrivateNetwork": True, "responses": "chat", "messages": "chat"}
    search = {"engine": "searxng", "baseUrl": web.origin, "allowPrivateNetwork": True}
    configuration = {
        "gateway": {"listen": "127.0.0.1:0", "keys": [{"name": "sdk", "key": tool_doors.KEY}]},
        "models": {"providers": {"owl": provider}},
        "tools": {"web": {"fetch": {"allowHosts": [web.origin.removeprefix("http://")]}, "search": search}},
        "store": str(folder / "agent.db"),
    }
    path = folder / "agent.json5"
    path.write_text(json.dumps(configuration, indent=2))
    return path


def try_agent_doors(arguments, folder, server, key, start_owl_with, run_suite, totals):
    """Runs everything; `start_owl_with` starts `owl serve`, `run_suite` a suite whose lines are counted."""
    shutil.copy(HERE / "node" / "agent_suite.mjs", arguments.node_folder)  # it looks for modules where it lies
    with tool_doors.Web() as web, start_owl_with(write_configuration(folder, web, server, key)) as owl:
        origin = owl.line(r"listening\b.*?(http://127\.0\.0\.1:\d+)")[1]
        print(f"agent: {origin}", flush=True)
        environment = tool_doors.environment_of(
            # What OpenAI's own models of a response do not know is told on standard error otherwise.
            PYTHONWARNINGS="ignore",
            OWL_TEST_ORIGIN=origin, OWL_TEST_KEY=tool_doors.KEY, OWL_TEST_WEB=web.origin, OWL_TEST_MODEL="tiny-chat",
        )  # fmt: skip
        run_suite("python", [arguments.python, HERE / "agent_suite.py"], environment, totals)
        if arguments.frameworks:
            run_suite("frameworks", [arguments.frameworks, HERE / "framework_suite.py"], environment, totals)
        run_suite("node", ["node", "agent_suite.mjs"], environment, totals, cwd=arguments.node_folder)
