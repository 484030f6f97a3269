"""Writes the fixtures of tests/LowRank.Tests/Fixtures/pickle (torch 2.14). Usage: python3 make_pickles.py OUT"""
import collections
import os
import sys

import torch
from safetensors.torch import save_file
OUT = sys.argv[1]
torch.manual_seed(1)
base = torch.randn(6, 4)
d = collections.OrderedDict(
    a=torch.randn(3, 5), half=torch.randn(2, 3).half(), brain=torch.randn(7).bfloat16(), wide=torch.randn(2, 2).double(),
    counts=torch.arange(6).view(2, 3), small=torch.tensor([-1, 2, 3], dtype=torch.int8), flags=torch.tensor([True, False]),
    bytes=torch.tensor([1, 255], dtype=torch.uint8), scalar=torch.tensor(2.5), empty=torch.zeros(0, 4), shared_top=base[:2], shared_rest=base[2:],
    parameter=torch.nn.Parameter(torch.randn(4)), short=torch.tensor([-300], dtype=torch.int16), int=torch.tensor([70000], dtype=torch.int32))
d._metadata = collections.OrderedDict({"": {"version": 1}})
os.makedirs(OUT, exist_ok=True)
torch.save(d, OUT + "/weights.bin")
torch.save(dict(d), OUT + "/weights4.bin", pickle_protocol=4)
save_file({k: v.detach().clone().contiguous() for k, v in d.items()}, OUT + "/weights.safetensors")
class Evil:
    def __reduce__(self): return (os.system, ("echo hacked",))
torch.save({"a": Evil()}, OUT + "/evil.bin")
torch.save({"a": torch.randn(4, 3).t()}, OUT + "/turned.bin")
torch.save({"state_dict": d, "epoch": 3}, OUT + "/nested.bin")
torch.save(d, OUT + "/legacy.bin", _use_new_zipfile_serialization=False)
