"""Writes a tiny model whose next token depends on the current token alone: `generate_model.py FILE.gguf`.

It is a llama-architecture GGUF with one block that does nothing (attention and feed-forward weights are zero), one-hot
embeddings, and an output matrix that holds the logarithms of a transition table. So a real server runs its real
tokenizer, sampler, grammars, parsers and event stream, and yet says what the tests expect. The chat template ends every
prompt with a token that chooses the path:

    (nothing)  one sentence, then the end          [[long]]   one to nine, for ever
    [[utf8]]   characters, a byte at a time        weather, and tools: a tool call
"""

import sys

import numpy
from gguf import GGUFWriter, TokenType

SENTENCE = ["The", " small", " grey", " owl", " reads", " every", " question", " twice", "."]
NUMBERS = [" one", " two", " three", " four", " five", " six", " seven", " eight", " nine"]
CHARACTERS = "é🦉日語"  # no byte in it is followed by two different ones
START, END = "<|im_start|>", "<|im_end|>"
SAY, COUNT, ACT, SPELL = "<|say|>", "<|count|>", "<|act|>", "<|spell|>"
CALL, CALL_END = "<tool_call>", "</tool_call>"
CONTROL = ["<|endoftext|>", START, END, SAY, COUNT, ACT, SPELL]
VISIBLE = [*SENTENCE, *NUMBERS, "bird", CALL, CALL_END]
UNLIKELY = 1e-6

TEMPLATE = """
{%- set ns = namespace(last='') -%}
{%- for m in messages -%}
  {%- if m.role == 'user' and m.content is string -%}{%- set ns.last = m.content -%}{%- endif -%}
{%- endfor -%}
{%- if tools -%}
  {{- '<|im_start|>system\\nYou may call functions. Their signatures:\\n<tools>' -}}
  {%- for tool in tools -%}{{- '\\n' + (tool | tojson) -}}{%- endfor -%}
  {{- '\\n</tools>\\nA call looks like this:\\n<tool_call>\\n{"name": ..., "arguments": ...}\\n</tool_call><|im_end|>\\n' -}}
{%- endif -%}
{%- for m in messages -%}
  {{- '<|im_start|>' + m.role + '\\n' -}}
  {%- if m.content -%}{{- m.content -}}{%- endif -%}
  {%- if m.tool_calls -%}
    {%- for call in m.tool_calls -%}
      {{- '<tool_call>\\n{"name": "' + call.function.name + '", "arguments": ' -}}
      {%- if call.function.arguments is string -%}{{- call.function.arguments -}}
      {%- else -%}{{- call.function.arguments | tojson -}}{%- endif -%}
      {{- '}\\n</tool_call>' -}}
    {%- endfor -%}
  {%- endif -%}
  {{- '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
  {{- '<|im_start|>assistant\\n' -}}
  {%- if tools and 'weather' in ns.last and messages[-1].role != 'tool' -%}{{- '<|act|>' -}}
  {%- elif '[[long]]' in ns.last -%}{{- '<|count|>' -}}
  {%- elif '[[utf8]]' in ns.last -%}{{- '<|spell|>' -}}
  {%- else -%}{{- '<|say|>' -}}
  {%- endif -%}
{%- endif -%}
""".strip()


def byte_tokens():
    """The 256 characters with which GPT-2's tokenizer writes bytes."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in shown]
    names = {byte: chr(byte) for byte in shown} | {byte: chr(256 + nth) for nth, byte in enumerate(hidden)}
    return [names[byte] for byte in range(256)]


class Table:
    """What follows what, and how likely."""

    def __init__(self, vocabulary):
        self.number = {token: nth for nth, token in enumerate(vocabulary)}
        self.bytes = byte_tokens()
        self.likely = numpy.full((len(vocabulary), len(vocabulary)), UNLIKELY)

    def find(self, token):
        """A token by its text; a single ASCII character is its byte."""
        return self.number[self.bytes[ord(token)] if len(token) == 1 and token.isascii() else token]

    def path(self, *tokens):
        for this, following in zip(tokens, tokens[1:]):
            self.follow(this, following)

    def follow(self, this, *following):
        """The first is the likeliest; the others are for a grammar that forbids it."""
        for nth, token in enumerate(following):
            self.likely[self.find(this), self.find(token)] += 0.25**nth

    def greedy(self, start):
        said, current = [], self.find(start)
        names = {number: token for token, number in self.number.items()}
        for _ in range(40):
            current = int(self.likely[current].argmax())
            if names[current] == END:
                break
            said.append(names[current])
        return said


def transitions(vocabulary):
    table = Table(vocabulary)
    for byte in map(chr, range(0x20, 0x7F)):  # inside a JSON string, the best is to end it
        if byte not in '":,{}[].0123456789 ':
            table.follow(byte, '"')
    table.path(SAY, *SENTENCE, END)
    table.path(COUNT, *NUMBERS, NUMBERS[0])
    table.path(SPELL, *[table.bytes[byte] for byte in CHARACTERS.encode()], END)
    table.path(ACT, CALL, "\n")
    table.path(CALL_END, END)
    # JSON, where a grammar (of a schema or of a tool's parameters) forbids all that does not fit.
    table.path("bird", '"')
    table.follow('"', "bird", "}", "]", ",", ":")
    table.follow(":", '"', "7", "{", "[", "t", " ")
    table.follow(" ", '"', "7", "{", "[", "t")
    table.follow("{", '"', "}")
    table.follow("[", '"', "7", "{", "]")
    table.follow(",", '"', "7", "{", " ")
    table.follow("}", "}", "]", ",", "\n", CALL_END, END)
    table.follow("]", "}", "]", ",", END)
    table.follow("\n", CALL_END, "{", '"', "}")
    for digit in "0123456789":
        table.follow(digit, "}", "]", ",", "\n", END)
    table.likely /= table.likely.sum(axis=1, keepdims=True)
    assert table.greedy(SAY) == SENTENCE, table.greedy(SAY)
    assert table.greedy(SPELL) == [table.bytes[byte] for byte in CHARACTERS.encode()], table.greedy(SPELL)
    assert table.greedy(COUNT)[:10] == [*NUMBERS, NUMBERS[0]], table.greedy(COUNT)
    return table


def write(path):
    # llama.cpp wants at least one merge; this one, of two spaces, changes nothing here.
    space = byte_tokens()[0x20]
    plain = [*byte_tokens(), space + space]
    vocabulary = [*plain, *(token for token in VISIBLE if token not in plain), *CONTROL]
    kinds = [TokenType.NORMAL] * len(plain)
    kinds += [TokenType.USER_DEFINED] * (len(vocabulary) - len(plain) - len(CONTROL))
    kinds += [TokenType.CONTROL] * len(CONTROL)
    table = transitions(vocabulary)
    size, width, head = len(vocabulary), -(-len(vocabulary) // 64) * 64, 32

    file = GGUFWriter(path, "llama")
    file.add_name("tiny-chat")
    file.add_context_length(131072)
    file.add_embedding_length(width)
    file.add_block_count(1)
    file.add_feed_forward_length(head)
    file.add_head_count(1)
    file.add_head_count_kv(1)
    file.add_key_length(head)
    file.add_value_length(head)
    file.add_rope_dimension_count(head)
    file.add_layer_norm_rms_eps(1e-5)
    file.add_vocab_size(size)
    file.add_file_type(0)
    file.add_tokenizer_model("gpt2")
    file.add_tokenizer_pre("gpt-2")
    file.add_token_list(vocabulary)
    file.add_token_types(kinds)
    file.add_token_merges([f"{space} {space}"])
    file.add_bos_token_id(table.number["<|endoftext|>"])
    file.add_eos_token_id(table.number[END])
    file.add_pad_token_id(table.number["<|endoftext|>"])
    file.add_add_bos_token(False)
    file.add_chat_template(TEMPLATE)

    def zeros(*shape):
        return numpy.zeros(shape, numpy.float32)

    embeddings, output = zeros(size, width), zeros(size, width)
    embeddings[numpy.arange(size), numpy.arange(size)] = 1
    # The norm before the output scales a one-hot vector by the square root of its width.
    output[:, :size] = numpy.log(table.likely).T / numpy.sqrt(width)
    tensors = {
        "token_embd": embeddings,
        "output_norm": zeros(width) + 1,
        "output": output,
        "blk.0.attn_norm": zeros(width) + 1,
        "blk.0.attn_q": zeros(head, width),
        "blk.0.attn_k": zeros(head, width),
        "blk.0.attn_v": zeros(head, width),
        "blk.0.attn_output": zeros(width, head),
        "blk.0.ffn_norm": zeros(width) + 1,
        "blk.0.ffn_gate": zeros(head, width),
        "blk.0.ffn_up": zeros(head, width),
        "blk.0.ffn_down": zeros(width, head),
    }
    for name, tensor in tensors.items():
        file.add_tensor(f"{name}.weight", tensor)
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()


write(sys.argv[1])
