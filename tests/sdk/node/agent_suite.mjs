// The real Node clients of OpenAI, Anthropic and Vercel, with tools that Owl runs. See ../agent_doors.py.

import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, stepCountIs, streamText, tool } from "ai";
import OpenAI from "openai";
import { z } from "zod";

const { OWL_TEST_ORIGIN: origin, OWL_TEST_KEY: apiKey, OWL_TEST_WEB: web, OWL_TEST_MODEL: model } = process.env;
const page = `${web}/page`;
const answer = `They hunt at night ([Owls](${page})).`;
const plan = (...turns) => `[[plan ${JSON.stringify(turns)}]]`;
const call = (name, args) => ({ name, arguments: args });
const research = plan({ calls: [call("web_search", { query: "owls" })] }, { calls: [call("web_fetch", { url: page })] }, { text: answer });
const hosted = [{ type: "web_search" }, { type: "web_fetch" }];
const client = new OpenAI({ baseURL: `${origin}/v1`, apiKey, maxRetries: 0 });
const claude = new Anthropic({ baseURL: origin, apiKey, maxRetries: 0 });
const checks = {
  async chat_streamed() {
    const stream = client.chat.completions.stream({ model, messages: [{ role: "user", content: research }], tools: hosted });
    assert.equal(await stream.finalContent(), answer);
    const last = await stream.finalChatCompletion();
    assert.equal(last.choices[0].finish_reason, "stop");
  },
  async responses() {
    const whole = await client.responses.create({ model, input: research, tools: hosted });
    assert.equal(whole.output_text, answer);
    assert.equal(whole.output.at(-1).content[0].annotations[0].url, page);
    const stream = client.responses.stream({ model, input: research, tools: hosted });
    const kinds = new Set();
    for await (const event of stream) kinds.add(event.type);
    assert.ok(kinds.has("response.web_search_call.completed") && kinds.has("response.completed"));
    assert.equal((await stream.finalResponse()).output_text, answer);
  },
  async claude() {
    const stream = claude.messages.stream({
      model, max_tokens: 100, messages: [{ role: "user", content: research }],
      tools: [{ type: "web_search_20250305", name: "web_search" }, { type: "web_fetch_20250910", name: "web_fetch" }],
    });
    const message = await stream.finalMessage();
    const kinds = message.content.map((block) => block.type);
    assert.deepEqual(kinds, ["server_tool_use", "web_search_tool_result", "server_tool_use", "web_fetch_tool_result", "text"]);
    assert.equal(message.content.at(-1).text, answer);
  },
  async vercel_with_tools_of_its_own() {
    const owl = createOpenAICompatible({ name: "owl", baseURL: `${origin}/v1`, apiKey });
    const lookup = tool({
      description: "Looks up a key", inputSchema: z.object({ key: z.number() }), execute: async ({ key }) => `value ${key}`,
    });
    const prompt = plan({ calls: [call("lookup", { key: 7 })] }, { text: "All is known." });
    const result = streamText({ model: owl(model), prompt, tools: { lookup }, stopWhen: stepCountIs(3), maxRetries: 0 });
    assert.equal(await result.text, "All is known.");
    assert.equal((await result.steps).length, 2);
  },
  async vercel_responses_with_hosted_tools() {
    const owl = createOpenAI({ baseURL: `${origin}/v1`, apiKey });
    const options = { model: owl.responses(model), prompt: plan({ calls: [call("web_search", { query: "owls" })] }, { text: answer.replace(page, "https://owls.example/") }), tools: { web_search: owl.tools.webSearch({}) }, maxRetries: 0 };
    const result = await generateText(options);
    assert.ok(result.text.includes("They hunt at night"));
    assert.ok(result.sources.some((source) => source.url === "https://owls.example/"), JSON.stringify(result.sources));
    const streamed = streamText(options);
    assert.ok((await streamed.text).includes("They hunt at night"));
  },
};

for (const [name, check] of Object.entries(checks)) {
  try {
    await check();
    console.log(`ok ${name}`);
  } catch (error) {
    console.log(`FAIL ${name}\n${error.stack ?? error}`);
  }
}
