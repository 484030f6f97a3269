"""Writes the cases of GgufBlockTests: what ggml packs of the same values, and what it expands that to.

  python3 make_gguf_blocks.py /usr/lib/x86_64-linux-gnu/libggml-base.so.0 > tests/LowRank.Tests/Fixtures/gguf/blocks.json

Values of a row: the sum of three numbers of a linear congruential generator, each (state >> 8) / 2^24 - 1/2, times a
power of two for each group of 64; all exact in float32. The third group is zero, the fourth positive alone.
"""
import base64
import ctypes
import json
import sys

import numpy as np

TYPES = {"q4_0": 2, "q4_1": 3, "q5_0": 6, "q5_1": 7, "q8_0": 8, "q4_K": 12, "q5_K": 13, "q6_K": 14, "mxfp4": 39}
BLOCKS = {"q4_0": (32, 18), "q4_1": (32, 20), "q5_0": (32, 22), "q5_1": (32, 24), "q8_0": (32, 34),
          "q4_K": (256, 144), "q5_K": (256, 176), "q6_K": (256, 210), "mxfp4": (32, 17)}
COUNT = 1024


def values():
    state, made = 1, []
    for i in range(COUNT):
        total = 0.0
        for _ in range(3):
            state = (state * 1664525 + 1013904223) % 2**32
            total += (state >> 8) / 2**24 - 0.5
        group = i // 64
        made.append(0.0 if group == 2 else (abs(total) if group == 3 else total) * 2.0 ** (group % 5 - 6))
    return np.array(made, dtype=np.float64).astype(np.float32)


ggml = ctypes.CDLL(sys.argv[1])
ggml.ggml_quantize_chunk.restype = ctypes.c_size_t
ggml.ggml_quantize_chunk.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64,
                                     ctypes.c_int64, ctypes.c_void_p]
row = values()
cases = {}
for name, code in TYPES.items():
    size, width = BLOCKS[name]
    packed = np.zeros(COUNT // size * width, dtype=np.uint8)
    assert ggml.ggml_quantize_chunk(code, row.ctypes.data, packed.ctypes.data, 0, 1, COUNT, None) == packed.size
    back = np.zeros(COUNT, dtype=np.float32)
    expand = getattr(ggml, "dequantize_row_" + name)
    expand.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
    expand(packed.ctypes.data, back.ctypes.data, COUNT)
    cases[name] = {"packed": base64.b64encode(packed.tobytes()).decode(),
                   "values": base64.b64encode(back.tobytes()).decode()}
json.dump(cases, sys.stdout, indent=1)
