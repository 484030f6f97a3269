"""Writes loftq_nf4.safetensors: logits of the golden qwen2 with every linear layer of its blocks in NF4 with double quantisation, without
and with the pairs that PEFT 0.20.1's replace_lora_weights_loftq gives it.

Run: python3 make_loftq_nf4_case.py GOLDENS OUTPUT   (torch, transformers, safetensors, peft). PEFT asks bitsandbytes for the expanded
weights, on a GPU; this stands those of nf4_reference.py in their place and runs PEFT's own _loftq_init_new on the processor.
"""
import inspect
import sys
import types

import peft.utils.loftq_utils as loftq_utils
import torch
from nf4_reference import nf4
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

goldens, output = sys.argv[1:]
loftq_utils.plain = types.SimpleNamespace(functional=types.SimpleNamespace(dequantize_4bit=lambda data, _: data))
loftq_utils.is_bnb_4bit_available = lambda: True
source = inspect.getsource(loftq_utils._loftq_init_new).replace('"cuda"', '"cpu"').replace("import bitsandbytes as bnb", "bnb = plain")
exec(source, loftq_utils.__dict__)

model = AutoModelForCausalLM.from_pretrained(f"{goldens}/qwen2", attn_implementation="eager", dtype=torch.float32).eval()
stored = {path: module.weight.detach().clone() for path, module in model.named_modules() if isinstance(module, torch.nn.Linear) and path != "lm_head"}
with torch.no_grad():
    for path, weight in stored.items():
        model.get_submodule(path).weight.copy_(nf4(weight)[1])
io = load_file(f"{goldens}/qwen2/io.safetensors")
given = dict(input_ids=io["input_ids"], attention_mask=io["attention_mask"])
model = get_peft_model(model, LoraConfig(r=4, lora_alpha=4, target_modules=["q_proj", "v_proj", "down_proj"])).eval()
with torch.no_grad():
    for name, module in model.named_modules():
        if not hasattr(module, "lora_A") or not isinstance(module.lora_A, torch.nn.ModuleDict): continue
        base = types.SimpleNamespace(data=module.base_layer.weight.data, quant_state=None)
        a, b = loftq_utils._loftq_init_new(base, stored[name.removeprefix("base_model.model.")], num_bits=4, reduced_rank=4)
        module.lora_A["default"].weight.data, module.lora_B["default"].weight.data = a, b
    tensors = {"logits": model(**given).logits}
    with model.disable_adapter():
        tensors["logits.quantized"] = model(**given).logits
print("deviation from the base:", *((tensors[key] - io["logits"]).abs().max().item() for key in ("logits.quantized", "logits")))
save_file({key: value.contiguous() for key, value in tensors.items()}, output)
