"""Writes nf4_cases.safetensors: matrices, what NF4 with double quantisation and int8 make of them (nf4_reference.py), tensor by tensor as
bitsandbytes stores them, and their expanded values; and logits of the golden llama and gpt2 on expanded weights.

Run: python3 make_nf4_cases.py GOLDENS OUTPUT   (torch, transformers, safetensors)
"""
import sys, torch
from nf4_reference import int8, nf4
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

goldens, output = sys.argv[1:]
torch.manual_seed(7)
cases = {
    "normal": torch.randn(160, 128) * 0.02,                  # 320 blocks: the nested scales have an incomplete block
    "half": (torch.randn(64, 96) * 0.05).bfloat16(),
    "odd": torch.randn(7, 9),                                # an incomplete block of an odd number of values
    "outliers": torch.randn(32, 64) * torch.tensor([0.01, 100.0]).repeat(32),
    "zeros": torch.cat([torch.zeros(4, 64), torch.randn(4, 64), torch.full((4, 64), -3e-5)]),
}
result = {}
for name, weight in cases.items():
    result[name] = weight
    for format, quantise in (("nf4", nf4), ("int8", int8)):
        tensors, expanded = quantise(weight)
        result |= {f"{name}.{format}.{key}": value for key, value in tensors.items()}
        result[f"{name}.{format}.expanded"] = expanded

for family in ("llama", "gpt2"):
    folder = f"{goldens}/{family}"
    inputs = load_file(f"{folder}/io.safetensors")
    for format, quantise in (("nf4", nf4), ("int8", int8)):
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
        with torch.no_grad():
            for path, module in model.named_modules():
                if path == "lm_head" or type(module).__name__ not in ("Linear", "Conv1D"): continue
                transposed = type(module).__name__ == "Conv1D"
                _, expanded = quantise(module.weight.T.contiguous() if transposed else module.weight)
                module.weight.copy_(expanded.T if transposed else expanded)
            result[f"logits.{family}.{format}"] = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits
save_file({name: value.detach().contiguous() for name, value in result.items()}, output)
