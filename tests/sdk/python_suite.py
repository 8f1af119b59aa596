"""The real `openai` Python client against a base URL. See `run` beside this file for the variables and the doors."""

import asyncio
import json
import os
import sys
import traceback
import urllib.request
import uuid

import openai
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

BASE_URL = os.environ["OWL_TEST_BASE_URL"]
KEY = os.environ["OWL_TEST_KEY"]
MODEL = os.environ["OWL_TEST_MODEL"]
EMBEDDING_MODEL = os.environ.get("OWL_TEST_EMBEDDING_MODEL", "")
WRONG_MODEL = os.environ.get("OWL_TEST_WRONG_MODEL", "")
CONTROL = os.environ.get("OWL_TEST_CONTROL", "")
AUTHORIZATION = os.environ.get("OWL_TEST_AUTHORIZATION", "")
SKIPPED = set(filter(None, os.environ.get("OWL_TEST_SKIP", "").split(",")))
SENTENCE = os.environ["OWL_TEST_SENTENCE"]
SECONDS = 20

OPTIONS = {"base_url": BASE_URL, "max_retries": 0, "timeout": SECONDS}
if AUTHORIZATION:
    OPTIONS["default_headers"] = {"Authorization": AUTHORIZATION}
client = OpenAI(api_key=KEY, **OPTIONS)

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "The weather in a city",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
                "additionalProperties": False,
            },
        },
    }
]
CHECKS = []


def check(function):
    """Makes a function one of the checks, under its own name."""
    CHECKS.append(function)
    return function


def say(text):
    return [{"role": "user", "content": text}]


def ask(text, **more):
    return client.chat.completions.create(model=MODEL, messages=say(text), temperature=0, **more)


def raises(kind, call):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} expected, nothing was raised")


def ask_control(question, mark):
    """Asks the testkit about the request with this mark; it answers when there is something to say."""
    with urllib.request.urlopen(f"http://{CONTROL}/{question}?{mark}", timeout=SECONDS) as answer:
        return json.load(answer)


def assert_left(mark):
    """Waits until the server has seen the client of the request with this mark leave."""
    if CONTROL:
        assert ask_control("closed", mark)["by"] == "peer"
    else:
        # A real server with one slot: it answers the next request only if the endless one has ended.
        assert ask("hello").choices[0].message.content


@check
def models_list_and_retrieve():
    ids = [model.id for model in client.models.list()]
    assert MODEL in ids, ids
    assert client.models.retrieve(MODEL).id == MODEL


@check
def chat():
    answer = ask("hello")
    assert answer.model == MODEL, answer.model
    assert answer.choices[0].message.content.strip() == SENTENCE, answer
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


@check
def stream():
    chunks = list(ask("hello", stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text.strip() == SENTENCE, text
    assert {chunk.model for chunk in chunks} == {MODEL}
    assert len(chunks) > 3, len(chunks)


@check
def stream_with_usage():
    chunks = list(ask("hello", stream=True, stream_options={"include_usage": True}))
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens > 0, chunks[-1]


@check
def stream_of_split_characters():
    chunks = ask("[[utf8]]", stream=True)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert "é" in text and "🦉" in text and "日" in text, text


@check
def reasoning():
    message = ask("[[think]]").choices[0].message
    assert message.model_extra["reasoning_content"], message


@check
def tools():
    answer = ask("what is the weather?", tools=TOOLS)
    (call,) = answer.choices[0].message.tool_calls
    assert call.function.name == "get_weather" and "city" in call.function.arguments, call
    assert answer.choices[0].finish_reason == "tool_calls"
    history = say("what is the weather?") + [
        answer.choices[0].message.to_dict(),
        {"role": "tool", "tool_call_id": call.id, "content": "rain"},
    ]
    last = client.chat.completions.create(model=MODEL, messages=history, tools=TOOLS, temperature=0)
    assert last.choices[0].message.content, last


@check
def tools_streamed():
    name, arguments = "", ""
    for chunk in ask("what is the weather?", tools=TOOLS, stream=True):
        for call in (chunk.choices[0].delta.tool_calls or []) if chunk.choices else []:
            name += call.function.name or ""
            arguments += call.function.arguments or ""
    assert name == "get_weather" and "city" in arguments, (name, arguments)


@check
def json_schema():
    class Bird(BaseModel):
        name: str
        age: int

    answer = client.chat.completions.parse(
        model=MODEL, messages=say("a bird"), response_format=Bird, temperature=0, max_tokens=200
    )
    assert isinstance(answer.choices[0].message.parsed, Bird), answer


@check
def completions():
    assert client.completions.create(model=MODEL, prompt="hello", max_tokens=20, temperature=0).choices[0].text


@check
def image():
    url = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    parts = [{"type": "text", "text": "what is it?"}, {"type": "image_url", "image_url": {"url": url}}]
    answer = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": parts}])
    assert "image" in answer.choices[0].message.content, answer


@check
def embeddings():
    answer = client.embeddings.create(model=EMBEDDING_MODEL, input=["one", "two"])
    assert len(answer.data) == 2 and all(isinstance(number, float) for number in answer.data[0].embedding)
    floats = client.embeddings.create(model=EMBEDDING_MODEL, input="one", encoding_format="float")
    assert floats.data[0].embedding == answer.data[0].embedding


@check
def responses():
    answer = client.responses.create(model=MODEL, input="hello")
    assert answer.output_text.strip() == SENTENCE, answer
    events = list(client.responses.create(model=MODEL, input="hello", stream=True))
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text.strip() == SENTENCE and events[-1].type == "response.completed", events[-1]


@check
def transcription():
    upload = ("owl.wav", b"RIFF" + bytes(range(256)) * 300, "audio/wav")
    answer = client.audio.transcriptions.create(model=MODEL, file=upload)
    assert answer.text == f"owl.wav: 76804 bytes, for {answer.model_extra['model']}", answer


@check
def images():
    assert client.images.generate(model=MODEL, prompt="an owl").data[0].b64_json


@check
def rerank():
    body = {"model": MODEL, "query": "owl", "documents": ["a", "b"]}
    answer = client.post("/rerank", body=body, cast_to=object)
    assert [result["index"] for result in answer["results"]] == [1, 0], answer


@check
def error_wrong_key():
    wrong = OpenAI(api_key="not-the-key", base_url=BASE_URL, max_retries=0, timeout=SECONDS)
    error = raises(openai.AuthenticationError, wrong.models.list)
    assert error.status_code == 401
    if WRONG_MODEL:
        assert error.code == "invalid_api_key", error.body


@check
def error_unknown_model():
    error = raises(
        openai.NotFoundError, lambda: client.chat.completions.create(model="no-such-model", messages=say("hello"))
    )
    assert "no-such-model" in str(error), error


@check
def error_bad_request():
    error = raises(openai.BadRequestError, lambda: ask("[[error 400]]"))
    assert error.code == "scripted_bad_request", error.body


@check
def error_rate_limit():
    error = raises(openai.RateLimitError, lambda: ask("[[error 429]]"))
    assert error.response.headers["retry-after"] == "7"


@check
def error_from_the_server():
    error = raises(openai.InternalServerError, lambda: ask("[[error 503]]"))
    assert error.status_code == 503 and error.code == "scripted", error.body


@check
def error_upstream_authentication():
    error = raises(
        openai.APIStatusError, lambda: client.chat.completions.create(model=WRONG_MODEL, messages=say("hello"))
    )
    assert error.status_code == 502 and error.code == "upstream_auth_failed", error.body


@check
def cancel_in_mid_stream():
    mark = str(uuid.uuid4())
    with ask(f"[[long]] {mark}", stream=True) as chunks:
        for count, _chunk in enumerate(chunks):
            if count == 3:
                break
    assert_left(mark)


@check
def cancel_while_computing():
    mark = str(uuid.uuid4())

    async def leave():
        async with AsyncOpenAI(api_key=KEY, **OPTIONS) as patient:
            task = asyncio.create_task(patient.chat.completions.create(model=MODEL, messages=say(f"[[slow]] {mark}")))
            await asyncio.to_thread(ask_control, "arrived", mark)
            task.cancel()

    asyncio.run(leave())
    assert_left(mark)


@check
def asynchronous_client():
    async def talk():
        async with AsyncOpenAI(api_key=KEY, **OPTIONS) as friend:
            several = [friend.chat.completions.create(model=MODEL, messages=say("hello")) for _ in range(4)]
            for answer in await asyncio.gather(*several):
                assert answer.choices[0].message.content.strip() == SENTENCE
            chunks = await friend.chat.completions.create(model=MODEL, messages=say("hello"), stream=True)
            text = "".join([chunk.choices[0].delta.content or "" async for chunk in chunks if chunk.choices])
            assert text.strip() == SENTENCE, text

    asyncio.run(talk())


def main():
    failed = 0
    for function in CHECKS:
        name = function.__name__
        if name in SKIPPED:
            print(f"skip {name}", flush=True)
            continue
        try:
            function()
            print(f"ok   {name}", flush=True)
        except Exception as error:  # a check may fail in any way, and the others still say something
            failed += 1
            where = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == __file__]
            print(f"FAIL {name}\n     line {where[-1].lineno}: {type(error).__name__}: {error}", flush=True)
    sys.exit(failed > 0)


main()
