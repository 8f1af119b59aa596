"""The real Python clients of OpenAI and Anthropic, with tools that Owl runs. See agent_doors.py."""

import json
import os
import sys
import traceback
import urllib.request

import anthropic
import openai
from pydantic import BaseModel

ORIGIN, KEY = os.environ["OWL_TEST_ORIGIN"], os.environ["OWL_TEST_KEY"]
WEB, MODEL = os.environ["OWL_TEST_WEB"], os.environ["OWL_TEST_MODEL"]
PAGE = f"{WEB}/page"
SECONDS = 20

client = openai.OpenAI(base_url=f"{ORIGIN}/v1", api_key=KEY, max_retries=0, timeout=SECONDS)
claude = anthropic.Anthropic(base_url=ORIGIN, api_key=KEY, max_retries=0, timeout=SECONDS)
HOSTED = [{"type": "web_search"}, {"type": "web_fetch"}]
PARAMETERS = {"type": "object", "properties": {"key": {"type": "integer"}}, "required": ["key"]}
CHECKS = []


def check(function):
    """Makes a function one of the checks, under its own name."""
    CHECKS.append(function)
    return function


def plan(*turns):
    return f"[[plan {json.dumps(turns)}]]"


def call(name, **arguments):
    return {"name": name, "arguments": arguments}


RESEARCH = plan(
    {"reasoning": "I should search.", "calls": [call("web_search", query="owls")]},
    {"text": "I read on.", "calls": [call("web_fetch", url=PAGE)]},
    {"text": f"They hunt at night ([Owls]({PAGE}))."},
)
ANSWER = f"They hunt at night ([Owls]({PAGE}))."
MIXED = plan(
    {"calls": [call("web_search", query="owls"), call("lookup", key=7)]},
    {"text": "All is known."},
)


@check
def chat_with_hosted_tools():
    answer = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": RESEARCH}], tools=HOSTED)
    message = answer.choices[0].message
    assert message.content == f"I read on.\n\n{ANSWER}", message
    assert message.annotations[0].url_citation.url == PAGE
    assert [one["name"] for one in answer.owl["tool_calls"]] == ["web_search", "web_fetch"]
    assert answer.usage.total_tokens > 0


@check
def chat_streamed():
    stream = client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": RESEARCH}], tools=[{"type": "web_search_preview"}, {"type": "web_fetch"}],
        stream=True, stream_options={"include_usage": True},
    )  # fmt: skip
    chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == f"I read on.\n\n{ANSWER}", text
    last = [chunk for chunk in chunks if chunk.choices][-1]
    assert last.choices[0].finish_reason == "stop" and len(last.owl["tool_calls"]) == 2
    assert chunks[-1].usage.total_tokens > 0


@check
def chat_with_functions_of_its_own():
    function = {"type": "function", "function": {"name": "lookup", "parameters": PARAMETERS}}
    messages = [{"role": "user", "content": MIXED}]
    first = client.chat.completions.create(model=MODEL, messages=messages, tools=[*HOSTED, function])
    calls = first.choices[0].message.tool_calls
    assert [one.function.name for one in calls] == ["lookup"] and first.choices[0].finish_reason == "tool_calls"
    messages += [first.choices[0].message, {"role": "tool", "tool_call_id": calls[0].id, "content": "value"}]
    second = client.chat.completions.create(model=MODEL, messages=messages, tools=[*HOSTED, function])
    assert second.choices[0].message.content == "All is known."


@check
def responses_search_and_cite():
    response = client.responses.create(model=MODEL, input=RESEARCH, tools=HOSTED)
    assert [item.type for item in response.output] == ["reasoning", "web_search_call", "message", "web_search_call", "message"]
    assert response.output[1].action.type == "search" and response.output[3].action.type == "open_page"
    citation = response.output[-1].content[0].annotations[0]
    assert citation.type == "url_citation" and citation.url == PAGE
    assert response.output[-1].content[0].text[citation.start_index : citation.end_index] == f"[Owls]({PAGE})"
    assert response.status == "completed" and response.usage.total_tokens > 0


@check
def responses_streamed():
    with client.responses.stream(model=MODEL, input=RESEARCH, tools=HOSTED) as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert [event.sequence_number for event in events] == list(range(len(events)))
    kinds = {event.type for event in events}
    for kind in ("response.created", "response.web_search_call.searching", "response.output_text.annotation.added", "response.completed"):
        assert kind in kinds, kind
    assert final.output[-1].content[0].text == ANSWER


@check
def responses_go_on():
    tools = [*HOSTED, {"type": "function", "name": "lookup", "parameters": PARAMETERS, "strict": False}]
    first = client.responses.create(model=MODEL, input=MIXED, tools=tools)
    asked = next(item for item in first.output if item.type == "function_call")
    output = [{"type": "function_call_output", "call_id": asked.call_id, "output": "value"}]
    second = client.responses.create(model=MODEL, input=output, tools=tools, previous_response_id=first.id)
    assert second.output_text == "All is known."
    assert client.responses.retrieve(second.id).output_text == second.output_text
    assert client.responses.input_items.list(second.id).data[0].call_id == asked.call_id
    client.responses.delete(second.id)
    try:
        client.responses.retrieve(second.id)
    except openai.NotFoundError as error:
        assert error.code == "response_not_found"
    else:
        raise AssertionError("it is still there")


@check
def responses_carried_by_the_client():
    tools = [{"type": "function", "name": "lookup", "parameters": PARAMETERS, "strict": False}]
    items = [{"role": "user", "content": plan({"reasoning": "hm", "calls": [call("lookup", key=1)]}, {"text": "Done."})}]
    first = client.responses.create(model=MODEL, input=items, tools=tools, store=False)
    items += first.output
    asked = next(item for item in first.output if item.type == "function_call")
    items.append({"type": "function_call_output", "call_id": asked.call_id, "output": "value"})
    assert client.responses.create(model=MODEL, input=items, tools=tools, store=False).output_text == "Done."


class Owl(BaseModel):
    name: str
    age: int


@check
def responses_structured():
    parsed = client.responses.parse(model=MODEL, input="Name an owl.", text_format=Owl)
    assert isinstance(parsed.output_parsed, Owl), parsed


@check
def responses_in_the_background():
    begun = client.responses.create(model=MODEL, input="[[slow]]", background=True)
    assert begun.status == "in_progress"
    assert client.responses.cancel(begun.id).status == "cancelled"


# What the compliance suite of Open Responses asks for (openresponses.org), request by request: the members that every response
# and every event has to have.
RESPONSE = {
    "id", "object", "created_at", "completed_at", "status", "incomplete_details", "model", "previous_response_id", "instructions",
    "output", "error", "tools", "tool_choice", "truncation", "parallel_tool_calls", "text", "top_p", "presence_penalty",
    "frequency_penalty", "top_logprobs", "temperature", "reasoning", "user", "usage", "max_output_tokens", "max_tool_calls", "store",
    "background", "service_tier", "metadata", "safety_identifier", "prompt_cache_key",
}  # fmt: skip
EVENTS = {
    "response.created": {"response"}, "response.in_progress": {"response"}, "response.completed": {"response"},
    "response.output_item.added": {"output_index", "item"}, "response.output_item.done": {"output_index", "item"},
    "response.content_part.added": {"item_id", "output_index", "content_index", "part"},
    "response.content_part.done": {"item_id", "output_index", "content_index", "part"},
    "response.output_text.delta": {"item_id", "output_index", "content_index", "delta", "logprobs"},
    "response.output_text.done": {"item_id", "output_index", "content_index", "text", "logprobs"},
    "response.function_call_arguments.delta": {"item_id", "output_index", "delta"},
    "response.function_call_arguments.done": {"item_id", "output_index", "arguments"},
}  # fmt: skip
WEATHER = [{
    "type": "function", "name": "get_weather", "description": "Get the current weather for a location",
    "parameters": {"type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"]},
}]  # fmt: skip
PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def raw(body):
    """The response to a request, and the events if it is streamed."""
    request = urllib.request.Request(f"{ORIGIN}/v1/responses", json.dumps({"model": MODEL} | body).encode())
    request.add_header("Authorization", f"Bearer {KEY}")
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:
        text = answer.read().decode()
    if not body.get("stream"):
        return json.loads(text), []
    data = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    assert data.pop() == "[DONE]"
    events = [json.loads(one) for one in data]
    return events[-1]["response"], events


def said(text, role="user"):
    return {"type": "message", "role": role, "content": text}


def complies(name, body, kind="message"):
    def run():
        response, events = raw(body)
        assert RESPONSE <= response.keys(), RESPONSE - response.keys()
        assert response["object"] == "response" and response["status"] == "completed"
        assert kind in [item["type"] for item in response["output"]], response["output"]
        for item in response["output"]:
            assert item["id"] and item["status"] == "completed", item
        for tool in response["tools"]:
            assert {"name", "description", "parameters", "strict"} <= tool.keys()
        for event in events:
            assert EVENTS[event["type"]] <= event.keys(), event
        if kind == "function_call" and events:
            kinds = [event["type"] for event in events]
            assert {"response.function_call_arguments.delta", "response.function_call_arguments.done"} <= set(kinds)
            for step in ("added", "done"):
                items = [event["item"]["type"] for event in events if event["type"] == f"response.output_item.{step}"]
                assert "function_call" in items

    run.__name__ = f"open_responses_{name}"
    CHECKS.append(run)


complies("basic_response", {"input": [said("Say hello in exactly 3 words.")]})
complies("streaming_response", {"input": [said("Count from 1 to 5.")], "stream": True})
complies("system_prompt", {"input": [said("You are a pirate.", "system"), said("Say hello.")]})
complies("tool_calling", {"input": [said("What is the weather in Bonn?")], "tools": WEATHER}, "function_call")
complies("tool_calling_streaming", {"input": [said("What is the weather in Bonn?")], "tools": WEATHER, "stream": True}, "function_call")
complies("image_input", {"input": [said([{"type": "input_text", "text": "What is it?"}, {"type": "input_image", "image_url": PIXEL}])]})
complies("multi_turn", {"input": [said("My name is Alice."), said("Hello Alice!", "assistant"), said("What is my name?")]})


@check
def claude_says_hello():
    message = claude.messages.create(model=MODEL, max_tokens=100, system="Be brief.", messages=[{"role": "user", "content": "[[think]]"}])
    assert [block.type for block in message.content] == ["thinking", "text"], message
    assert message.stop_reason == "end_turn" and message.usage.input_tokens > 0


@check
def claude_streamed_with_tools():
    tools = [{"name": "lookup", "description": "Looks up", "input_schema": PARAMETERS}, {"type": "web_search_20250305", "name": "web_search"}]
    messages = [{"role": "user", "content": MIXED}]
    with claude.messages.stream(model=MODEL, max_tokens=100, messages=messages, tools=tools) as stream:
        first = stream.get_final_message()
    assert sorted(block.type for block in first.content) == ["server_tool_use", "tool_use", "web_search_tool_result"], first
    assert first.stop_reason == "tool_use"
    used = next(block for block in first.content if block.type == "tool_use")
    assert used.input == {"key": 7}
    results = [{"type": "tool_result", "tool_use_id": used.id, "content": "value"}]
    messages += [{"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
    second = claude.messages.create(model=MODEL, max_tokens=100, messages=messages, tools=tools)
    assert second.content[0].text == "All is known."


@check
def claude_sees_a_picture():
    source = {"type": "base64", "media_type": "image/png", "data": PIXEL.split(",")[1]}
    content = [{"type": "image", "source": source}, {"type": "text", "text": "What is it?"}]
    message = claude.messages.create(model=MODEL, max_tokens=100, messages=[{"role": "user", "content": content}])
    assert message.content[0].text == "I see an image."


@check
def claude_counts():
    counted = claude.messages.count_tokens(model=MODEL, messages=[{"role": "user", "content": "one two three"}])
    assert counted.input_tokens == 3


@check
def claude_gets_its_errors():
    for text, kind in (("[[error 429]]", anthropic.RateLimitError), ("[[error 400]]", anthropic.BadRequestError)):
        try:
            claude.messages.create(model=MODEL, max_tokens=1, messages=[{"role": "user", "content": text}])
        except kind as error:
            assert error.body["type"] == "error" and error.request_id, error
        else:
            raise AssertionError(f"{text} is no {kind}")
    try:
        anthropic.Anthropic(base_url=ORIGIN, api_key="wrong", max_retries=0).messages.create(model=MODEL, max_tokens=1, messages=[])
    except anthropic.AuthenticationError as error:
        assert error.body["error"]["type"] == "authentication_error"
    else:
        raise AssertionError("a wrong key")


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
