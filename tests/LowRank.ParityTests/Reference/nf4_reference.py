"""NF4 with double quantisation and int8 as bitsandbytes defines them (functional.py: create_dynamic_map, quantize_4bit, QuantState.as_dict;
backends/default/ops.py: quantize_4bit, quantize_blockwise, int8_vectorwise_quant), written in plain torch; bitsandbytes itself is not needed.
The one liberty: the mean of the scales is taken in float64, so that every machine gets the same.
"""
import json
import torch

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
