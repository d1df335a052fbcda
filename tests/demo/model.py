"""Makes two small real model directories below the given folder: base, and tuned (base with one
tensor changed). safetensors: u64 little-endian header length, JSON header, tensors."""
import json
import os
import struct
import sys


def safetensors(path, tensors):
    header, data, at = {}, b"", 0
    for name, values in tensors.items():
        raw = struct.pack(f"<{len(values)}f", *values)
        header[name] = {"dtype": "F32", "shape": [len(values)], "data_offsets": [at, at + len(raw)]}
        data += raw
        at += len(raw)
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(head)) + head + data)


def model(folder, bias):
    os.makedirs(folder)
    weights = [i / 4096 for i in range(65536)]
    safetensors(os.path.join(folder, "model.safetensors"), {"w": weights, "b": [bias] * 256})
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as f:
        json.dump({"architectures": ["Demo"], "hidden_size": 256}, f)


model(os.path.join(sys.argv[1], "base"), 0.0)
model(os.path.join(sys.argv[1], "tuned"), 0.5)
