"""What the makers of reference cases share: random checkpoints, batches, adapters and twelve steps of AdamW.

Imported by make_family_cases.py, make_task_cases.py and make_setting_cases.py. Needs torch, transformers 5, PEFT, safetensors.
All models run in float32 on the CPU with eager attention, eager experts and without dropout.
"""
import json
import shutil
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors.torch import save_file
from transformers import AutoConfig

LR, DECAY, CLIP, WARMUP, STEPS = 0.01, 0.01, 1.0, 3, 12
ROWS, LENGTH = 3, 24


def make_checkpoint(name: str, auto, config, std: float = 0.15) -> None:
    """Writes config.json and model.safetensors with random weights, norms and biases that are neither zero nor one."""
    model = auto.from_config(config, attn_implementation="eager").float()
    with torch.no_grad():
        for key, weight in model.named_parameters():
            weight.normal_(std=std) if weight.dim() > 1 else weight.add_(torch.randn_like(weight), alpha=0.1)
    model.save_pretrained(name)
    size = (Path(name) / "model.safetensors").stat().st_size
    assert size < 400_000, f"{name}: {size} bytes"


def load(name: str, auto):
    """The checkpoint as a user's program would open it, on its own: nothing in it may be missing or left over."""
    model, info = auto.from_pretrained(name, attn_implementation="eager", dtype=torch.float32, output_loading_info=True)
    assert not any(info[k] for k in ("missing_keys", "unexpected_keys", "mismatched_keys")), (name, info)
    model.set_experts_implementation("eager")
    assert not any(m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)), f"{name}: dropout in {model.config}"
    return model.eval()


def rows(vocabulary: int, pad: int, padding: int, first: int = 5, length: int = LENGTH) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and mask, [3, length]; row 1 ends in `padding` positions of padding. Ids below `first` occur only as padding."""
    ids = torch.randint(first, vocabulary, (ROWS, length))
    mask = torch.ones_like(ids)
    ids[1, length - padding:], mask[1, length - padding:] = pad, 0
    return ids, mask


def rewrite_config(name: str, change) -> None:
    """Writes config.json anew, as transformers 4 wrote it: the form of the checkpoints that are in use."""
    path = Path(name) / "config.json"
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def greedy(model, start: torch.Tensor, count: int = 16) -> torch.Tensor:
    """The likeliest tokens, each from a forward pass over all before it; the end token is ignored."""
    ids = start
    with torch.no_grad():
        for _ in range(count):
            best = model(input_ids=ids).logits[:, -1:].topk(2)
            assert best.values[0, 0, 0] - best.values[0, 0, 1] > 1e-3, "two tokens are as likely: take another seed"
            ids = torch.cat([ids, best.indices[:, :, 0]], 1)
    return ids


def save_io(name: str, tensors: dict) -> None:
    assert all(torch.isfinite(t).all() for t in tensors.values()), name
    save_file({k: v.detach().contiguous().clone() for k, v in tensors.items()}, Path(name) / "io.safetensors")


def lora_config(task: str | None, targets: list[str] | None) -> LoraConfig:
    """Rank 4, alpha 8; no targets: PEFT's default for the family. PEFT adds modules_to_save by the task."""
    return LoraConfig(r=4, lora_alpha=8, lora_dropout=0.0, target_modules=targets, task_type=task)


def save_adapter(model: PeftModel, folder: Path) -> None:
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    settle(folder)


def settle(folder: Path) -> None:
    """The version without the mark of an unpackaged source tree, and sets in an order: the same file at each run.

    PEFT adds the modules of the task once more whenever it opens an adapter, hence the sets.
    """
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text())
    config["peft_version"] = config["peft_version"].split(".dev")[0]
    config.update({k: sorted(set(v)) for k, v in config.items() if isinstance(v, list)})
    path.write_text(json.dumps(config, indent=2, sort_keys=True))


def make_adapter(name: str, auto, config: LoraConfig, folder: str) -> None:
    """An adapter whose B is not zero and whose saved modules differ from the base's."""
    model = get_peft_model(load(name, auto), config)
    with torch.no_grad():
        for key, weight in model.named_parameters():
            if weight.requires_grad and "lora_A" not in key:
                weight.add_(torch.randn_like(weight), alpha=0.1)
    save_adapter(model, Path(name) / folder)


def opened(name: str, auto, folder: str) -> PeftModel:
    return PeftModel.from_pretrained(load(name, auto), f"{name}/{folder}").eval()


def rate(step: int) -> float:
    return LR * (step / WARMUP if step < WARMUP else (STEPS - step) / (STEPS - WARMUP))


def steps(name: str, auto, batches: list[dict], loss, dtype) -> tuple[list[dict], PeftModel]:
    """Twelve steps of AdamW from start/ (all trained values decay, gradients are clipped by their norm), and the model after."""
    model = PeftModel.from_pretrained(load(name, auto), f"{name}/start", is_trainable=True).train().to(dtype)
    weights = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=LR, weight_decay=DECAY)
    log = []
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        batch = {k: v.to(dtype) if v.is_floating_point() else v for k, v in batches[step % len(batches)].items()}
        value = loss(model, batch)
        optimizer.zero_grad()
        value.backward()
        norm = torch.nn.utils.clip_grad_norm_(weights, CLIP)
        optimizer.step()
        log.append(dict(lr=rate(step), loss=value.item(), grad_norm=norm.item()))
    return log, model.eval()


def train(name: str, auto, config: LoraConfig, batches: list[dict], loss=lambda model, batch: model(**batch).loss,
          undetermined: tuple[str, ...] = (), **facts) -> PeftModel:
    """start/, train.json and trained/. Fails unless float64 gives the same: else no other float32 code could agree.

    undetermined: keys of the adapter whose gradient is zero but for rounding, which AdamW makes a step of any sign.
    """
    save_adapter(get_peft_model(load(name, auto), config), Path(name) / "start")
    log, model = steps(name, auto, batches, loss, torch.float32)
    exact, double = steps(name, auto, batches, loss, torch.float64)
    deviation = max(abs(a["loss"] - b["loss"]) / abs(b["loss"]) for a, b in zip(log, exact))
    ours, theirs = get_peft_model_state_dict(model), get_peft_model_state_dict(double)
    drift = max((ours[k] - theirs[k]).abs().max().item() for k in ours if k not in undetermined)
    print(f"{name}: loss {log[0]['loss']:.4f} -> {log[-1]['loss']:.4f}; float64: losses {deviation:.1e}, weights {drift:.1e}")
    assert deviation < 2e-5 and drift < 2e-4, name
    assert sum(l["loss"] for l in log[-len(batches):]) < sum(l["loss"] for l in log[:len(batches)]), f"{name} learned nothing"
    save_adapter(model, Path(name) / "trained")
    chosen = [batches[step % len(batches)] for step in range(STEPS)]
    record = dict(optimizer="AdamW", lr=LR, weight_decay=DECAY, betas=[0.9, 0.999], eps=1e-8, clip=CLIP, warmup=WARMUP,
                  steps=STEPS, schedule="linear", **facts, **{k: [b[k].tolist() for b in chosen] for k in batches[0]}, log=log)
    if undetermined:
        record["undetermined"] = undetermined
    (Path(name) / "train.json").write_text(json.dumps(record))
    return model


def fresh(name: str, seed: int) -> None:
    shutil.rmtree(name, ignore_errors=True)
    torch.manual_seed(seed)


def small(model_type: str, **settings):
    return AutoConfig.for_model(model_type, **settings)
