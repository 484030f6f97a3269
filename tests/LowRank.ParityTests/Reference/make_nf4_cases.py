"""Writes nf4_cases.safetensors: matrices, what NF4 with double quantisation and int8 make of them, tensor by tensor as bitsandbytes
stores them, and their expanded values; and logits of the golden llama and gpt2 on expanded weights.

Written from bitsandbytes' definition (functional.py: create_dynamic_map, quantize_4bit, QuantState.as_dict; backends/default/ops.py:
quantize_4bit, quantize_blockwise, int8_vectorwise_quant), in plain torch; bitsandbytes itself is not needed. The one liberty: the mean
of the scales is taken in float64, so that every machine gets the same.

Run: python3 make_nf4_cases.py GOLDENS OUTPUT   (torch, transformers, safetensors)
"""
import json, sys, torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

goldens, output = sys.argv[1:]
LEVELS = torch.tensor([-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
                       -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
                       0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0])


def dynamic_map():
    values = []
    for power in range(7):
        edges = torch.linspace(0.1, 1, 2 ** power + 1)
        middles = (edges[:-1] + edges[1:]) / 2.0
        values += (10 ** (power - 6) * middles).tolist() + (-(10 ** (power - 6)) * middles).tolist()
    return torch.tensor(sorted(values + [0, 1.0]))


def blockwise(values, size, table):
    """The places of scaled values among the table's, and the largest of each block."""
    flat, whole = values.reshape(-1).float(), values.numel() // size * size
    blocks = flat[:whole].reshape(-1, size)
    largest = blocks.abs().amax(1)
    scaled = torch.clamp(blocks * (1.0 / largest.clamp(min=1e-38)).unsqueeze(1), -1, 1).reshape(-1)
    if whole < flat.numel():
        rest = flat[whole:].abs().max().clamp(min=1e-38)
        largest = torch.cat([largest, rest.unsqueeze(0)])
        scaled = torch.cat([scaled, torch.clamp(flat[whole:] / rest, -1, 1)])
    return torch.bucketize(scaled, (table[:-1] + table[1:]) / 2), largest


def expand(codes, scales, size, table):
    return table[codes] * scales.repeat_interleave(size)[:codes.numel()]


def nf4(weight):
    codes, scales = blockwise(weight, 64, LEVELS)
    expanded_codes = codes
    if codes.numel() % 2: codes = torch.cat([codes, torch.tensor([7])])  # a zero fills the last byte
    codes = codes.to(torch.uint8)
    offset = scales.double().mean().float()
    assert abs(offset - scales.mean()) <= 2e-7 * offset.abs()
    table = dynamic_map()
    nested_codes, nested_scales = blockwise(scales - offset, 256, table)
    state = {"quant_type": "nf4", "blocksize": 64, "dtype": str(weight.dtype).removeprefix("torch."), "shape": list(weight.shape),
             "nested_blocksize": 256, "nested_dtype": "float32", "nested_offset": offset.item()}
    tensors = {"weight": (codes[::2] << 4 | codes[1::2]).unsqueeze(1), "weight.absmax": nested_codes.to(torch.uint8), "weight.quant_map": LEVELS.clone(),
               "weight.nested_absmax": nested_scales, "weight.nested_quant_map": table,
               "weight.quant_state.bitsandbytes__nf4": torch.tensor(list(json.dumps(state).encode()), dtype=torch.uint8)}
    back = expand(nested_codes, nested_scales, 256, table) + offset
    return tensors, expand(expanded_codes, back, 64, LEVELS).reshape(weight.shape)


def int8(weight):
    largest = weight.float().abs().amax(1)
    values = torch.round(weight.float() * torch.where(largest > 0, 127.0 / largest, 0.0).unsqueeze(1)).to(torch.int8)
    return {"weight": values, "SCB": largest, "weight_format": torch.tensor(0, dtype=torch.uint8)}, values.float() * (largest * (1 / 127.0)).unsqueeze(1)


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
