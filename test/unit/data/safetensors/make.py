"""Damaged safetensors files, and what the official reader says of each.

python make.py [COUNT [SEED]] prints one JSON object a line: {"header": base64, "length": what the
prefix claims, "data": bytes after the header, "accepted": bool}. verdicts.jsonl holds the named
cases and the first 300 random ones (`python make.py 300 > verdicts.jsonl`; safetensors 0.8.0).
"""

import base64
import json
import random
import struct
import sys

from safetensors import deserialize

TENSOR = '{"dtype":"F32","shape":[16],"data_offsets":[0,64]}'
DTYPES = (
    "BOOL F4 F6_E2M3 F6_E3M2 U8 I8 F8_E5M2 F8_E4M3 F8_E8M0 F8_E4M3FNUZ F8_E5M2FNUZ I16 U16 F16 BF16 "
    "I32 U32 F32 C64 F64 I64 U64 C128 U4 f32 F31"
).split()


def entry(dtype="F32", shape="[16]", offsets="[0,64]", more=""):
    return '{"dtype":"%s","shape":%s,"data_offsets":%s%s}' % (dtype, shape, offsets, more)


def named():
    wrap = lambda body: '{"a":%s}' % body
    yield wrap(TENSOR)
    yield " \n" + wrap(TENSOR) + "\t "
    yield '{"a":%s,"a":%s}' % (TENSOR, TENSOR)
    yield '{"a":%s,"a":%s}' % (entry(shape="[8]", offsets="[0,32]"), entry(shape="[8]", offsets="[32,64]"))
    yield wrap('{"dtype":"F32","dtype":"F32","shape":[16],"data_offsets":[0,64]}')
    yield wrap('{"dtype":"F32","shape":[16],"shape":[16],"data_offsets":[0,64]}')
    yield wrap('{"dtype":"F32","sh\\u0061pe":[16],"shape":[16],"data_offsets":[0,64]}')
    for shape in ("[16.0]", "[16e0]", "[-0]", "[-16]", "[true]", "[null]", "[]", "[4,4]", "[4,[4]]", "16", '["16"]'):
        yield wrap(entry(shape=shape))
    for offsets in ("[0,64.0]", "[0]", "[0,64,64]", "[64,0]", "[0,63]", "[-0,64]", "[1,65]", "null"):
        yield wrap(entry(offsets=offsets))
    for more in (',"x":1', ',"x":1e999', ',"x":"\\ud800"', ',"x":-1.5e3', ',"x":{"dtype":1,"dtype":2}',
                 ',"x":%s' % ("[" * 120 + "]" * 120), ',"x":%s' % ("[" * 200 + "]" * 200), ',"x":[0.5]'):
        yield wrap(entry(more=more))
    for meta in ("null", "{}", '{"a":"b"}', '{"a":1}', '{"a":null}', '{"a":{}}', "[]", '"x"', '{"a":"b","a":"c"}',
                 '{"shape":"1","shape":"2"}'):
        yield '{"__metadata__":%s,"a":%s}' % (meta, TENSOR)
    yield '{"__metadata__":{},"__metadata__":{},"a":%s}' % TENSOR
    yield '{"a":%s,"\\u005f_metadata__":{"b":2}}' % TENSOR
    for text in ("", "{}", "[]", "null", "\ufeff" + wrap(TENSOR), '{"a":null}', '{"a":{}}', '{"a":%s,}' % TENSOR,
                 '{/**/"a":%s}' % TENSOR, wrap(TENSOR) + "\0", wrap(TENSOR) + "x", '{"a\tb":%s}' % TENSOR,
                 '{"":%s}' % TENSOR, '{"\\ud800":%s}' % TENSOR, '{"\\udc00":%s}' % TENSOR,
                 '{"\\ud83d\\ude00":%s}' % TENSOR, '{"__proto__":%s}' % TENSOR, "{'a':%s}" % TENSOR):
        yield text
    yield b'{"a\xff":' + TENSOR.encode() + b"}"
    yield b'{"a\xc0\x80":' + TENSOR.encode() + b"}"
    yield b'{"a\xed\xa0\x80":' + TENSOR.encode() + b"}"
    yield '{"a":%s,"b":%s}' % (entry(shape="[8]", offsets="[0,32]"), entry(shape="[4]", offsets="[48,64]"))
    yield '{"a":%s,"b":%s}' % (entry(shape="[8]", offsets="[0,32]"), entry(shape="[12]", offsets="[16,64]"))
    yield '{"b":%s,"a":%s}' % (entry(shape="[8]", offsets="[32,64]"), entry(shape="[8]", offsets="[0,32]"))
    yield wrap(entry(shape="[8]", offsets="[0,32]"))
    for at in (0, 32, 64, 65):
        yield '{"z":%s,"a":%s}' % (entry(shape="[0]", offsets="[%d,%d]" % (at, at)), TENSOR)
    for shape in ("[0,9007199254740991]", "[4294967296,4294967296,0]", "[0,4294967296,4294967296]",
                  "[18446744073709551616,0]", "[1000000000,0]"):
        yield '{"z":%s,"a":%s}' % (entry(shape=shape, offsets="[0,0]"), TENSOR)
    for dtype in DTYPES:
        for count in (127, 128, 64, 32, 16, 8, 4):
            yield wrap(entry(dtype=dtype, shape="[%d]" % count))


def mutated(rng):
    count = rng.randint(1, 4)
    tensors, at = {}, 0
    for i in range(count):
        dtype, size = rng.choice([("F32", 4), ("F16", 2), ("BF16", 2), ("U8", 1), ("I64", 8)])
        shape = [rng.randint(0 if rng.random() < 0.1 else 1, 4) for _ in range(rng.randint(0, 3))]
        length = size
        for extent in shape:
            length *= extent
        tensors["t%d" % i] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + length]}
        at += length
    if rng.random() < 0.3:
        tensors["__metadata__"] = {"format": "pt"}
    data = at
    kind = rng.random()
    if kind < 0.35:
        name = rng.choice([n for n in tensors if n != "__metadata__"])
        target = rng.choice(["shape", "data_offsets", "dtype"])
        if target == "dtype":
            tensors[name]["dtype"] = rng.choice(DTYPES + [None, 3])
        else:
            values = tensors[name][target]
            if values and rng.random() < 0.8:
                i = rng.randrange(len(values))
                values[i] = rng.choice([values[i] + 1, values[i] - 1, 0, -1, 1.0, "1", None, 2**40, 2**63, values[i]])
            else:
                values.append(rng.choice([0, 1, 2]))
    text = json.dumps(tensors, separators=rng.choice([(",", ":"), (", ", ": ")])).encode()
    if kind >= 0.35 and kind < 0.8:
        raw = bytearray(text)
        for _ in range(rng.randint(1, 2)):
            i = rng.randrange(len(raw))
            action = rng.random()
            if action < 0.4:
                raw[i] = rng.choice(b'0123456789.eE-+"{}[],: \t\n\\u\xff\x80az')
            elif action < 0.6:
                del raw[i]
            elif action < 0.8:
                raw.insert(i, rng.choice(b'0123456789.e-"{}[],: \\'))
            else:
                j = min(len(raw), i + rng.randint(1, 12))
                raw[i:i] = raw[i:j]
        text = bytes(raw)
    if rng.random() < 0.3:
        text += b" " * (-len(text) % 8)
    length = len(text)
    if rng.random() < 0.1:
        data = max(0, data + rng.choice([-1, 1, 8]))
    if rng.random() < 0.05:
        length += rng.choice([-1, 1, 100, 2**40])
    return text, length, data


def verdict(text, length, data):
    blob = struct.pack("<Q", length) + text + b"\0" * data
    try:
        deserialize(blob)
        return True
    except Exception:
        return False


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    rng = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    cases = []
    for text in named():
        raw = text if isinstance(text, bytes) else text.encode("utf8", "surrogatepass")
        cases.append((raw, len(raw), 64))
    cases.append((b'{"a":' + TENSOR.encode() + b"}", len(TENSOR) + 6, 65))
    cases.append((b'{"a":' + TENSOR.encode() + b"}", len(TENSOR) + 6, 63))
    cases += [mutated(rng) for _ in range(count)]
    for text, length, data in cases:
        print(json.dumps({
            "header": base64.b64encode(text).decode(), "length": length, "data": data,
            "accepted": verdict(text, length, data),
        }))


main()
