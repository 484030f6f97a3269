"""Writes eight_bit_case.json: AdamW with 8-bit moments by bitsandbytes' formulas (arXiv 2110.02861).

Run: python3 make_eight_bit_case.py BITSANDBYTES/bitsandbytes/functional.py > eight_bit_case.json

The map of numbers is bitsandbytes' own function, taken from the file (the package itself needs CUDA or a build). The step is its kernel
kOptimizerStatic8bit2StateBlockwise (csrc/kernels.cu) in torch's float32 operations: expand, update, change the weight with the moments before
they are rounded, new scales, nearest numbers, signs kept. Without weight decay, which bitsandbytes applies after the update and PyTorch before.
"""
import ast
import json
import sys

import torch

source = open(sys.argv[1]).read()
function = next(node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef) and node.name == "create_dynamic_map")
names = {"torch": torch}
exec(compile(ast.Module([function], []), sys.argv[1], "exec"), names)
signed, unsigned = names["create_dynamic_map"](signed=True), names["create_dynamic_map"](signed=False)

BLOCK, COUNT, STEPS, BETA1, BETA2, EPSILON = 256, 5000, 6, 0.9, 0.999, 1e-8


def pseudo(step):  # the test computes the same numbers
    return torch.tensor([((i * 7919 + step * 104729) % 1009 - 504) / 1009 * 10.0 ** ((i * 31 + step) % 5 - 4) for i in range(COUNT)], dtype=torch.float32)


def blocks(values):
    return torch.nn.functional.pad(values, (0, -COUNT % BLOCK)).view(-1, BLOCK)


def quantize(values, table):
    rows = blocks(values)
    scales = rows.abs().amax(1)
    unit = rows / torch.where(scales == 0, torch.ones_like(scales), scales).unsqueeze(1)
    codes = (unit.unsqueeze(-1) > (table[1:] + table[:-1]) * 0.5).sum(-1)
    wrong = torch.signbit(table[codes]) != torch.signbit(unit)
    codes = torch.where(wrong & (unit < 0), codes - 1, codes)
    return codes.view(-1)[:COUNT], scales


def expand(codes, scales, table):
    return table[codes] * scales.repeat_interleave(BLOCK)[:COUNT]


weight = pseudo(99)
zero = (int((signed == 0).nonzero()), int((unsigned == 0).nonzero()))
state = [(torch.full((COUNT,), zero[0]), torch.zeros(20)), (torch.full((COUNT,), zero[1]), torch.zeros(20))]
for step in range(1, STEPS + 1):
    gradient, rate = pseudo(step), 0.01 / step
    mean = expand(*state[0], signed) * BETA1 + (1 - BETA1) * gradient
    square = expand(*state[1], unsigned) * BETA2 + (1 - BETA2) * gradient * gradient
    correction1, correction2 = 1 - BETA1**step, (1 - BETA2**step) ** 0.5
    weight = weight - rate * correction2 / correction1 * (mean / (square.sqrt() + correction2 * EPSILON))
    state = [quantize(mean, signed), quantize(square, unsigned)]
json.dump({"signed": signed.tolist(), "unsigned": unsigned.tolist(), "steps": STEPS, "weight": weight.tolist()[::7],
           "mean_codes": bytes(state[0][0].tolist()).hex(), "mean_scales": state[0][1].tolist(),
           "square_codes": bytes(state[1][0].tolist()).hex(), "square_scales": state[1][1].tolist()}, sys.stdout)
