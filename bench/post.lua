-- wrk's script: one small chat again and again; at the end one line of JSON with what came of it.
-- `wrk ... URL -- MODEL`

function init(arguments)
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  wrk.headers["User-Agent"] = "OpenAI/Python 2.8.0"
  wrk.headers["Accept"] = "application/json"
  wrk.body = '{"model":"' .. arguments[1] .. '","temperature":0.7,"max_tokens":128,"messages":['
    .. '{"role":"system","content":"You answer in one sentence."},'
    .. '{"role":"user","content":"Why does an owl turn its head and not its eyes?"}]}'
end

function done(summary, latency, requests)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format(
    '{"requests": %d, "failed": %d, "seconds": %.6f, "p50_us": %.1f, "p99_us": %.1f, "max_us": %.1f}\n',
    summary.requests, failed, summary.duration / 1e6,
    latency:percentile(50), latency:percentile(99), latency.max))
end
