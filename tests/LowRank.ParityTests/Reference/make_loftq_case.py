"""Reference case of LoftQ: what PEFT 0.20.1's own alternation gives with an NF4 that is written out here.

Run: python3 make_loftq_case.py GOLDENS OUTPUT. PEFT asks bitsandbytes for the quantisation, on a GPU; this stands a plain NF4 of
blocks of 64 in its place and runs PEFT's code on the processor. Writes loftq/io.safetensors: a weight with Q, A and B after one
and three rounds, and the logits of qwen2 whose targets are quantised, without and with PEFT's pairs.
"""
import inspect
import sys
import types
from pathlib import Path

import peft.utils.loftq_utils as loftq_utils
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

goldens, output = Path(sys.argv[1]), Path(sys.argv[2])
LEVELS = torch.tensor([-1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
                       -0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
                       0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1])


def nf4(weight):
    blocks = weight.reshape(-1, 64)
    largest = blocks.abs().amax(1, keepdim=True)
    nearest = ((blocks / largest).unsqueeze(-1) - LEVELS).abs().argmin(-1)
    return (LEVELS[nearest] * largest).reshape(weight.shape)


class Params4bit:
    def __init__(self, data, **_):
        self.data, self.quant_state = nf4(data), None

    def to(self, _):
        return self


loftq_utils.plain = types.SimpleNamespace(nn=types.SimpleNamespace(Params4bit=Params4bit), functional=types.SimpleNamespace(dequantize_4bit=lambda data, _: data))
loftq_utils.is_bnb_available = loftq_utils.is_bnb_4bit_available = lambda: True
source = inspect.getsource(loftq_utils.loftq_init).replace('"cuda"', '"cpu"').replace("import bitsandbytes as bnb", "bnb = plain")
exec(source, loftq_utils.__dict__)
import peft.tuners.lora.layer as layer  # noqa: E402

layer.loftq_init = loftq_utils.loftq_init

torch.manual_seed(3)
weight = torch.randn(48, 32)
tensors = {"weight": weight}
for rounds in (1, 3):
    q, a, b = loftq_utils.loftq_init(weight, num_bits=4, reduced_rank=4, num_iter=rounds)
    tensors |= {f"quantized.{rounds}": q, f"a.{rounds}": a, f"b.{rounds}": b}
    print(rounds, "missing:", (weight - q).norm().item(), "with the pair:", (weight - q - b @ a).norm().item())

model = AutoModelForCausalLM.from_pretrained(goldens / "qwen2", attn_implementation="eager", dtype=torch.float32).eval()
io = load_file(goldens / "qwen2" / "io.safetensors")
given = dict(input_ids=io["input_ids"], attention_mask=io["attention_mask"])
config = LoraConfig(r=4, lora_alpha=4, target_modules=["q_proj", "v_proj", "down_proj"])
config.init_lora_weights, config.loftq_config = "loftq", dict(loftq_bits=4, loftq_iter=1)  # given at once it asks for scipy, which NF4 does not need
model = get_peft_model(model, config).eval()
with torch.no_grad():
    tensors["logits"] = model(**given).logits
    with model.disable_adapter():
        tensors["logits.quantized"] = model(**given).logits
    print("deviation from the base:", (tensors["logits.quantized"] - io["logits"]).abs().max().item(), "with the pairs:", (tensors["logits"] - io["logits"]).abs().max().item())
(output / "loftq").mkdir(parents=True, exist_ok=True)
save_file({k: v.detach().contiguous().clone() for k, v in {**tensors, **given}.items()}, output / "loftq" / "io.safetensors")
