"""Writes compute_cases.safetensors: logits, summed loss and gradients of A and B of the golden llama and gpt2 with their LoRA adapters,
where the products with frozen weights (linear layers and the head) take bfloat16: weights, states and output gradients are rounded to
bfloat16, the product is summed in float32 and rounded to bfloat16, as oneDNN and tensor cores do. All else is float32.

Run: python3 make_compute_cases.py GOLDENS OUTPUT   (torch, transformers, safetensors)
"""
import json, sys, torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

goldens, output = sys.argv[1:]


def rounded(x: torch.Tensor) -> torch.Tensor:
    return x.bfloat16().float()


class Product(torch.autograd.Function):
    """x·Wᵀ with a frozen W, [out, in]."""

    @staticmethod
    def forward(ctx, x, weight):
        ctx.weight = rounded(weight)
        return rounded(rounded(x) @ ctx.weight.T)

    @staticmethod
    def backward(ctx, gradient):
        return rounded(rounded(gradient) @ ctx.weight), None


def replace(module, transposed, pair):
    weight = (module.weight.T if transposed else module.weight).detach()

    def forward(x):
        y = Product.apply(x, weight)
        if module.bias is not None: y = y + module.bias
        if pair: y = y + pair["scale"] * ((x @ pair["lora_A"].T) @ pair["lora_B"].T)
        return y

    module.forward = forward


result = {}
for family in ("llama", "gpt2"):
    folder = f"{goldens}/{family}"
    inputs = load_file(f"{folder}/io.safetensors")
    adapter = load_file(f"{folder}/lora/adapter_model.safetensors")
    config = json.load(open(f"{folder}/lora/adapter_config.json"))
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    model.requires_grad_(False)
    for key in adapter: adapter[key].requires_grad_()
    for path, module in model.named_modules():
        if type(module).__name__ not in ("Linear", "Conv1D"): continue
        keys = {part: f"base_model.model.{path}.{part}.weight" for part in ("lora_A", "lora_B")}
        pair = {part: adapter[key] for part, key in keys.items()} | {"scale": config["lora_alpha"] / config["r"]} \
            if keys["lora_A"] in adapter else None
        replace(module, type(module).__name__ == "Conv1D", pair)
    logits = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits
    labels = inputs["input_ids"].masked_fill(inputs["attention_mask"] == 0, -100)
    loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), reduction="sum")
    loss.backward()
    result |= {f"{family}.logits": logits, f"{family}.loss": loss}
    result |= {f"{family}.{key}": value.grad for key, value in adapter.items()}
save_file({name: value.detach().contiguous() for name, value in result.items()}, output)
