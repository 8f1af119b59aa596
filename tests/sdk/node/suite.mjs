// The real `openai` Node client against a base URL. See `run` one folder up for the variables and the doors.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import OpenAI, { toFile } from "openai";

const env = process.env;
const baseURL = env.OWL_TEST_BASE_URL;
const model = env.OWL_TEST_MODEL;
const sentence = env.OWL_TEST_SENTENCE;
const skipped = new Set((env.OWL_TEST_SKIP ?? "").split(","));
const options = { baseURL, maxRetries: 0, timeout: 20_000 };
if (env.OWL_TEST_AUTHORIZATION) options.defaultHeaders = { Authorization: env.OWL_TEST_AUTHORIZATION };
const client = new OpenAI({ apiKey: env.OWL_TEST_KEY, ...options });

const say = (text) => [{ role: "user", content: text }];
const ask = (text, more = {}, request = {}) =>
  client.chat.completions.create({ model, messages: say(text), temperature: 0, ...more }, request);
const tools = [
  {
    type: "function",
    function: {
      name: "get_weather",
      description: "The weather in a city",
      parameters: {
        type: "object",
        properties: { city: { type: "string" } },
        required: ["city"],
        additionalProperties: false,
      },
    },
  },
];

async function read(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return { chunks, text: chunks.map((chunk) => chunk.choices[0]?.delta?.content ?? "").join("") };
}

async function fails(kind, call) {
  try {
    await call();
  } catch (error) {
    assert.ok(error instanceof kind, `${kind.name} expected, not ${error}`);
    return error;
  }
  assert.fail(`${kind.name} expected, nothing was thrown`);
}

/** Asks the testkit about the request with this mark; it answers when there is something to say. */
async function askControl(question, mark) {
  const url = `http://${env.OWL_TEST_CONTROL}/${question}?${mark}`;
  return (await fetch(url, { signal: AbortSignal.timeout(20_000) })).json();
}

/** Waits until the server has seen the client of the request with this mark leave. */
async function assertLeft(mark) {
  if (env.OWL_TEST_CONTROL) {
    assert.equal((await askControl("closed", mark)).by, "peer");
  } else {
    // A real server with one slot: it answers the next request only if the endless one has ended.
    assert.ok((await ask("hello")).choices[0].message.content);
  }
}

const checks = {
  async models_list_and_retrieve() {
    const ids = [];
    for await (const one of client.models.list()) ids.push(one.id);
    assert.ok(ids.includes(model), ids.join(" "));
    assert.equal((await client.models.retrieve(model)).id, model);
  },
  async chat() {
    const answer = await ask("hello");
    assert.equal(answer.model, model);
    assert.equal(answer.choices[0].message.content.trim(), sentence);
  },
  async stream() {
    const { chunks, text } = await read(await ask("hello", { stream: true }));
    assert.equal(text.trim(), sentence);
    assert.deepEqual([...new Set(chunks.map((chunk) => chunk.model))], [model]);
  },
  async stream_with_usage() {
    const { chunks } = await read(await ask("hello", { stream: true, stream_options: { include_usage: true } }));
    assert.deepEqual(chunks.at(-1).choices, []);
    assert.ok(chunks.at(-1).usage.completion_tokens > 0);
  },
  async stream_of_split_characters() {
    const { text } = await read(await ask("[[utf8]]", { stream: true }));
    for (const part of ["é", "🦉", "日"]) assert.ok(text.includes(part), text);
  },
  async tools() {
    const answer = await ask("what is the weather?", { tools });
    const [call] = answer.choices[0].message.tool_calls;
    assert.equal(call.function.name, "get_weather");
    assert.ok("city" in JSON.parse(call.function.arguments));
  },
  async tools_streamed() {
    const stream = client.chat.completions.stream({ model, messages: say("what is the weather?"), tools, temperature: 0 });
    const final = await stream.finalChatCompletion();
    assert.ok("city" in JSON.parse(final.choices[0].message.tool_calls[0].function.arguments));
  },
  async json_schema() {
    const schema = {
      type: "object",
      properties: { name: { type: "string" }, age: { type: "integer" } },
      required: ["name", "age"],
      additionalProperties: false,
    };
    const format = { type: "json_schema", json_schema: { name: "bird", strict: true, schema } };
    const answer = await client.chat.completions.parse({
      model,
      messages: say("a bird"),
      response_format: format,
      temperature: 0,
      max_tokens: 200,
    });
    const bird = JSON.parse(answer.choices[0].message.content);
    assert.deepEqual([typeof bird.name, typeof bird.age], ["string", "number"]);
  },
  async embeddings() {
    const answer = await client.embeddings.create({ model: env.OWL_TEST_EMBEDDING_MODEL, input: ["one", "two"] });
    assert.equal(answer.data.length, 2);
    assert.equal(typeof answer.data[0].embedding[0], "number");
  },
  async responses() {
    assert.equal((await client.responses.create({ model, input: "hello" })).output_text.trim(), sentence);
    let text = "";
    let last;
    for await (const event of await client.responses.create({ model, input: "hello", stream: true })) {
      if (event.type === "response.output_text.delta") text += event.delta;
      last = event.type;
    }
    assert.deepEqual([text.trim(), last], [sentence, "response.completed"]);
  },
  async transcription() {
    const file = await toFile(Buffer.alloc(76_804, 7), "owl.wav", { type: "audio/wav" });
    const answer = await client.audio.transcriptions.create({ model, file });
    assert.equal(answer.text, `owl.wav: 76804 bytes, for ${answer.model}`);
  },
  async error_wrong_key() {
    const wrong = new OpenAI({ apiKey: "not-the-key", baseURL, maxRetries: 0, timeout: 20_000 });
    const error = await fails(OpenAI.AuthenticationError, () => wrong.models.list());
    if (env.OWL_TEST_WRONG_MODEL) assert.equal(error.code, "invalid_api_key");
  },
  async error_unknown_model() {
    await fails(OpenAI.NotFoundError, () =>
      client.chat.completions.create({ model: "no-such-model", messages: say("hello") }),
    );
  },
  async error_bad_request() {
    const error = await fails(OpenAI.BadRequestError, () => ask("[[error 400]]"));
    assert.equal(error.code, "scripted_bad_request");
  },
  async error_rate_limit() {
    const error = await fails(OpenAI.RateLimitError, () => ask("[[error 429]]"));
    assert.equal(error.headers.get("retry-after"), "7");
  },
  async error_from_the_server() {
    const error = await fails(OpenAI.InternalServerError, () => ask("[[error 503]]"));
    assert.deepEqual([error.status, error.code], [503, "scripted"]);
  },
  async error_upstream_authentication() {
    const error = await fails(OpenAI.InternalServerError, () =>
      client.chat.completions.create({ model: env.OWL_TEST_WRONG_MODEL, messages: say("hello") }),
    );
    assert.deepEqual([error.status, error.code], [502, "upstream_auth_failed"]);
  },
  async cancel_in_mid_stream() {
    const mark = randomUUID();
    const controller = new AbortController();
    const stream = await ask(`[[long]] ${mark}`, { stream: true }, { signal: controller.signal });
    let count = 0;
    for await (const _chunk of stream) {
      count += 1;
      if (count === 3) controller.abort();
    }
    await assertLeft(mark);
  },
  async cancel_while_computing() {
    const mark = randomUUID();
    const controller = new AbortController();
    const answer = fails(OpenAI.APIUserAbortError, () => ask(`[[slow]] ${mark}`, {}, { signal: controller.signal }));
    await askControl("arrived", mark);
    controller.abort();
    await answer;
    await assertLeft(mark);
  },
};

let failed = 0;
for (const [name, run] of Object.entries(checks)) {
  if (skipped.has(name)) {
    console.log(`skip ${name}`);
    continue;
  }
  try {
    await run();
    console.log(`ok   ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL ${name}\n${error.stack}`);
  }
}
process.exit(failed > 0 ? 1 : 0);
