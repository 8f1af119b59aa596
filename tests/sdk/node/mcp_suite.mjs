// The official MCP client for Node against Owl's tools. See `tool_doors.py` one folder up for the variables.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { ErrorCode, McpError } from "@modelcontextprotocol/sdk/types.js";

const env = process.env;
const web = env.OWL_TEST_WEB;
const isOpen = env.OWL_TEST_OPEN === "1";
const timeout = 20_000;

function transport() {
  if (env.OWL_TEST_MCP_COMMAND) {
    const [command, ...args] = JSON.parse(env.OWL_TEST_MCP_COMMAND);
    return new StdioClientTransport({ command, args, stderr: "inherit" });
  }
  const headers = { Authorization: `Bearer ${env.OWL_TEST_KEY}` };
  return new StreamableHTTPClientTransport(new URL(env.OWL_TEST_MCP_URL), { requestInit: { headers } });
}

const client = new Client({ name: "owl-tests", version: "0" });
await client.connect(transport());

// The client checks structured content against the output schema by itself.
const call = (name, args, options = {}) => client.callTool({ name, arguments: args }, undefined, { timeout, ...options });
const text = (result) => result.content.filter((piece) => piece.type === "text").map((piece) => piece.text).join("\n");

function assertRefused(result, code) {
  assert.equal(result.isError, true, JSON.stringify(result));
  assert.equal(result._meta["owl/error"].code, code, JSON.stringify(result));
  assert.ok(text(result).length > 10);
}

const checks = {
  async tools_are_listed() {
    const { tools } = await client.listTools();
    assert.deepEqual(tools.map((tool) => tool.name).sort(), ["image", "web_fetch", "web_search"]);
    for (const tool of tools) {
      assert.ok(tool.title && tool.description, tool.name);
      assert.equal(tool.inputSchema.type, "object");
      assert.equal(tool.outputSchema.type, "object");
      assert.equal(tool.annotations.readOnlyHint, true);
      assert.equal(tool.annotations.openWorldHint, true);
      // The web search is opened in both configurations, for its own engine.
      const named = "allowPrivateNetwork" in tool.inputSchema.properties;
      if (tool.name !== "web_search") assert.equal(named, isOpen, tool.name);
    }
    assert.equal(client.getServerVersion().name, "owl");
    assert.match(client.getInstructions(), /untrusted/);
  },
  async a_page_is_read() {
    const result = await call("web_fetch", { url: `${web}/page` });
    if (!isOpen) return assertRefused(result, "url_refused");
    assert.equal(result.isError ?? false, false, JSON.stringify(result));
    assert.match(text(result), /hunt at night/);
    assert.equal(result.structuredContent.status, 200);
    assert.equal(result.structuredContent.externalContent.untrusted, true);
  },
  async a_picture_is_seen() {
    const result = await call("image", { prompt: "What is this?", image: `${web}/picture.png` });
    if (!isOpen) return assertRefused(result, "url_refused");
    const pictures = result.content.filter((piece) => piece.type === "image");
    assert.equal(pictures.length, 1, JSON.stringify(result));
    assert.equal(pictures[0].mimeType, "image/png");
    assert.ok(Buffer.from(pictures[0].data, "base64").subarray(1, 4).equals(Buffer.from("PNG")));
  },
  async the_web_is_searched() {
    const result = await call("web_search", { query: "owls" });
    assert.equal(result.isError ?? false, false, JSON.stringify(result));
    assert.equal(result.structuredContent.results[0].url, "https://owls.example/");
    assert.match(text(result), /All about owls/);
  },
  async a_call_cannot_open_anything() {
    const result = await call("web_fetch", { url: `${web}/page`, allowPrivateNetwork: true });
    if (!isOpen) return assertRefused(result, "invalid_arguments");
    assert.equal(result.isError ?? false, false, JSON.stringify(result));
    assertRefused(await call("web_fetch", { url: `${web}/page`, allowPrivateNetwork: false }), "url_refused");
    assertRefused(await call("image", { prompt: "?", image: `${web}/picture.png`, allowPrivateNetwork: false }), "url_refused");
  },
  async an_unknown_argument_is_named() {
    const result = await call("web_fetch", { url: `${web}/page`, colour: "blue" });
    assertRefused(result, "invalid_arguments");
    assert.match(text(result), /colour/);
  },
  async an_unknown_tool_is_an_error_of_the_protocol() {
    await assert.rejects(call("bash", {}), (error) => error instanceof McpError && error.code === ErrorCode.InvalidParams);
  },
  async progress_is_told() {
    if (!isOpen) return;
    const mark = randomUUID();
    const steps = [];
    // The client forgets who wants progress as soon as it sees the answer: the page waits until the first step was told.
    const onprogress = (step) => {
      steps.push(step);
      if (steps.length === 1) fetch(`${web}/told?${mark}`);
    };
    const result = await call("web_fetch", { url: `${web}/patient?${mark}` }, { onprogress });
    assert.match(text(result), /Whoever waits/);
    assert.ok(steps.length > 0, "nothing was told");
    assert.deepEqual(steps.map((step) => step.progress), steps.map((_, index) => index + 1));
    assert.ok(steps.every((step) => step.message));
  },
  async a_cancelled_call_leaves_the_server() {
    if (!isOpen) return;
    const mark = randomUUID();
    const controller = new AbortController();
    const called = call("web_fetch", { url: `${web}/slow?${mark}` }, { signal: controller.signal });
    const arrived = await fetch(`${web}/arrived?${mark}`);
    assert.equal(await arrived.text(), "yes");
    controller.abort("enough");
    await assert.rejects(called);
    assert.equal(await (await fetch(`${web}/left?${mark}`)).text(), "yes");
  },
};

let failed = 0;
for (const [name, run] of Object.entries(checks)) {
  try {
    await run();
    console.log(`ok   ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL ${name}\n${error.stack}`);
  }
}
await client.close();
process.exit(failed > 0 ? 1 : 0);
