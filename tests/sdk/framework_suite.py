"""LangChain and LlamaIndex, with tools that Owl runs. They have an environment of their own, for they want an older `openai`. See
agent_doors.py."""

import json
import os
import sys
import traceback

from langchain_core.messages import ToolMessage
from langchain_openai import ChatOpenAI
from llama_index.core.llms import ChatMessage
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel

ORIGIN, KEY = os.environ["OWL_TEST_ORIGIN"], os.environ["OWL_TEST_KEY"]
WEB, MODEL = os.environ["OWL_TEST_WEB"], os.environ["OWL_TEST_MODEL"]
PAGE = f"{WEB}/page"
SECONDS = 20
HOSTED = [{"type": "web_search"}, {"type": "web_fetch"}]
CHECKS = []


def check(function):
    """Makes a function one of the checks, under its own name."""
    CHECKS.append(function)
    return function


def plan(*turns):
    return f"[[plan {json.dumps(turns)}]]"


def call(name, **arguments):
    return {"name": name, "arguments": arguments}


ANSWER = f"They hunt at night ([Owls]({PAGE}))."
RESEARCH = plan(
    {"calls": [call("web_search", query="owls")]}, {"text": "I read on.", "calls": [call("web_fetch", url=PAGE)]}, {"text": ANSWER}
)
SEARCH = plan({"calls": [call("web_search", query="owls")]}, {"text": ANSWER})


class Owl(BaseModel):
    name: str
    age: int


def lookup(key: int) -> str:
    """Looks up a key."""
    return f"value {key}"


@check
def langchain_tools():
    model = ChatOpenAI(model=MODEL, base_url=f"{ORIGIN}/v1", api_key=KEY, max_retries=0, timeout=SECONDS)
    bound = model.bind_tools([lookup])
    asked = plan({"calls": [call("lookup", key=7)]}, {"text": "All is known."})
    first = bound.invoke(asked)
    assert first.tool_calls[0]["args"] == {"key": 7}, first
    results = [ToolMessage(content=lookup(7), tool_call_id=first.tool_calls[0]["id"])]
    assert bound.invoke([("user", asked), first, *results]).content == "All is known."
    assert isinstance(model.with_structured_output(Owl).invoke("Name an owl."), Owl)


@check
def langchain_responses():
    model = ChatOpenAI(model=MODEL, base_url=f"{ORIGIN}/v1", api_key=KEY, max_retries=0, timeout=SECONDS, use_responses_api=True)
    bound = model.bind_tools([{"type": "web_search"}])
    answer = bound.invoke(SEARCH)
    assert ANSWER in answer.text, answer
    pieces = [piece.text for piece in bound.stream(SEARCH)]
    assert ANSWER in "".join(pieces), pieces


@check
def llama_index_chat():
    model = OpenAILike(model=MODEL, api_base=f"{ORIGIN}/v1", api_key=KEY, is_chat_model=True, max_retries=0, timeout=SECONDS,
                       additional_kwargs={"tools": HOSTED})  # fmt: skip
    messages = [ChatMessage(role="user", content=RESEARCH)]
    assert ANSWER in model.chat(messages).message.content
    assert ANSWER in "".join(piece.delta or "" for piece in model.stream_chat(messages))


def main():
    for one in CHECKS:
        try:
            one()
        except Exception:
            print(f"FAIL {one.__name__}\n{traceback.format_exc()}", flush=True)
        else:
            print(f"ok {one.__name__}", flush=True)
    sys.exit(0)


main()
