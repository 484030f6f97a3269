"""Writes peft_targets.jsonl: which modules PEFT adapts for many random configs, with which rank, alpha and scale, what it
saves as target_modules, and which tensors it saves. Run with PEFT 0.20.1 or a checkout near it:

    PYTHONPATH=peft/src HF_HUB_OFFLINE=1 python3 make_peft_targets.py > peft_targets.jsonl

First one line for each model with its modules, then one line a case. The models have random weights and few layers.
"""
import json, random, sys, warnings

import torch
import transformers
from peft import LoraConfig, get_peft_model
from peft.utils.save_and_load import get_peft_model_state_dict
from transformers.pytorch_utils import Conv1D

warnings.filterwarnings("ignore")
transformers.utils.logging.set_verbosity_error()

T = transformers
SMALL = dict(hidden_size=8, intermediate_size=12, num_attention_heads=2, vocab_size=10, max_position_embeddings=16)


class Experts(torch.nn.Module):
    """Linear experts inside numbered layers: two numbers in a path."""

    def __init__(self):
        super().__init__()
        linear = lambda: torch.nn.Linear(4, 6, bias=False)
        block = lambda: torch.nn.ModuleDict({"experts": torch.nn.ModuleList([torch.nn.ModuleDict({"w1": linear(), "w2": linear()}) for _ in range(2)]), "gate": linear()})
        self.model = torch.nn.ModuleDict({"layers": torch.nn.ModuleList([block() for _ in range(3)])})
        self.config = {"model_type": "none"}


def models():
    yield "llama", T.LlamaForCausalLM(T.LlamaConfig(num_hidden_layers=3, num_key_value_heads=1, head_dim=4, **SMALL))
    yield "qwen2", T.Qwen2ForCausalLM(T.Qwen2Config(num_hidden_layers=2, num_key_value_heads=1, tie_word_embeddings=True, **SMALL))
    yield "gpt2", T.GPT2LMHeadModel(T.GPT2Config(n_embd=8, n_layer=2, n_head=2, vocab_size=10, n_positions=16))
    yield "roberta", T.RobertaForSequenceClassification(T.RobertaConfig(num_hidden_layers=2, **SMALL))
    yield "t5", T.T5ForConditionalGeneration(T.T5Config(d_model=8, d_kv=4, d_ff=12, num_layers=2, num_heads=2, vocab_size=10))
    yield "experts", Experts()


def kind(module):
    for name, kind in (("Linear", torch.nn.Linear), ("Conv1D", Conv1D), ("Embedding", torch.nn.Embedding)):
        if isinstance(module, kind):
            return name
    return "Other"


def describe(model):
    head = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    table = model.get_input_embeddings() if hasattr(model, "get_input_embeddings") else None
    for path, module in model.named_modules():
        if not path:
            continue
        bias = getattr(module, "bias", None)
        bias = bias if isinstance(bias, torch.Tensor) else None
        what = kind(module)
        if what == "Linear":
            sizes = [module.in_features, module.out_features]
        elif what == "Conv1D":
            sizes = list(module.weight.shape)
        elif what == "Embedding":
            sizes = list(module.weight.shape)
        else:
            sizes = [0, 0 if bias is None else bias.numel()]
        if what == "Other" and bias is None and any(True for _ in module.children()):
            continue  # containers follow from the paths
        yield [path, what, *sizes, bias is not None, module is head, module is table]


def some(rng, items, low, high):
    return rng.sample(items, min(len(items), rng.randint(low, high)))


def names(rng, paths, low, high, bogus=0.15):
    found = []
    for path in some(rng, paths, low, high):
        parts = path.split(".")
        found.append(".".join(parts[-rng.choice([1, 1, 1, 2, 3, len(parts)]):]))
    if rng.random() < bogus:
        found.append(rng.choice(["nothing", "roj", "layers", "proj.q", "0", "norm"]))
    return sorted(set(found))


def pattern(rng, paths):
    path = rng.choice(paths)
    last = path.split(".")[-1]
    escaped = path.replace(".", r"\.")
    return rng.choice([
        rf".*\.{last}", rf".*{last}$", escaped, rf"(?:.*\.)?{last}", r".*\.[01]\..*" + last[-3:], r".*(q|v|k)(_proj)?", rf".*\.(?P<layer>\d+)\..*\.{last}",
        r".*\.\d{,1}\..*" + last, r"(?i).*" + last.upper(), r"[^.]+\.[^.]+\..*" + last, last, r".*", rf".*(?<!x\.){last}\Z", r".*[[\]a-z]" + last[1:],
    ])


def pattern_key(rng, paths):
    path = rng.choice(paths)
    parts = path.split(".")
    return rng.choice([parts[-1], ".".join(parts[-2:]), path, "^" + path, ".*" + parts[-1], r"[a-z_.]*\.1\..*", parts[-1] + "|none", r"\d\..*", "none"])


def case(rng, paths, label):
    config = {"r": rng.choice([1, 2, 4]), "lora_alpha": rng.choice([1, 8, 16, 2.5])}
    roll = rng.random()
    if roll < 0.6:
        config["target_modules"] = names(rng, paths, 1, 4)
    elif roll < 0.65:
        config["target_modules"] = sorted(set(some(rng, paths, 20, 40)))
    elif roll < 0.85:
        config["target_modules"] = pattern(rng, paths)
    elif roll < 0.95:
        config["target_modules"] = rng.choice(["all-linear", "All-Linear"])
    if rng.random() < 0.3:
        config["exclude_modules"] = names(rng, paths, 1, 3) if rng.random() < 0.7 else pattern(rng, paths)
    if rng.random() < 0.25:
        config["layers_to_transform"] = rng.choice([0, 1, [0], [1], [0, 1], [0, 2], [5], []])
        if rng.random() < 0.4:
            config["layers_pattern"] = rng.choice(["layers", "h", "layer", "block", ["layers", "layer"], "lay[a-z]+", "", []])
    for key, values in (("rank_pattern", [1, 3, 6]), ("alpha_pattern", [1, 32, 0.5])):
        if rng.random() < 0.3:
            config[key] = {pattern_key(rng, paths): rng.choice(values) for _ in range(rng.randint(1, 3))}
    if rng.random() < 0.3:
        config["use_rslora"] = True
    if rng.random() < 0.15:
        config["fan_in_fan_out"] = True
    if rng.random() < 0.3:
        config["bias"] = rng.choice(["all", "lora_only"])
    if rng.random() < 0.1:
        config["modules_to_save"] = names(rng, paths, 1, 1, bogus=0)
    if label == "roberta" and rng.random() < 0.7:
        config["task_type"] = "SEQ_CLS"
    return config


def run(model, config):
    try:
        peft = get_peft_model(model, LoraConfig(**config))
    except Exception as failure:  # whatever PEFT refuses, we have to refuse too
        return {"error": type(failure).__name__}
    saved = peft.peft_config["default"]
    targets = {}
    for path, module in peft.base_model.model.named_modules():
        if hasattr(module, "lora_alpha") and "default" in module.scaling:
            targets[path] = [module.r["default"], module.lora_alpha["default"], module.scaling["default"]]
    modules = saved.target_modules
    result = {"targets": targets, "saved": modules if isinstance(modules, str) else sorted(modules), "fan": saved.fan_in_fan_out}
    if "modules_to_save" not in config and config.get("task_type") is None:
        result["tensors"] = {key: list(value.shape) for key, value in sorted(get_peft_model_state_dict(peft).items())}
    return result


def main():
    import copy

    rng = random.Random(7)
    for label, model in models():
        listing = list(describe(model))
        print(json.dumps({"model": label, "modules": listing}, separators=(",", ":")))
        paths = [row[0] for row in listing if row[1] != "Other"]
        for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 60):
            config = case(rng, paths, label)
            if label == "experts" and "target_modules" not in config:
                config["target_modules"] = ["w1"]
            outcome = run(copy.deepcopy(model), copy.deepcopy(config))
            print(json.dumps({"config": config, **outcome}, separators=(",", ":")))


main()
