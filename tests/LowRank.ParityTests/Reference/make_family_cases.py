"""Reference cases of families that the shared goldens lack, with an adapter and a trajectory each.

    python3 make_family_cases.py OUTPUT [NAME ...]     # needs torch, transformers 5, PEFT, safetensors

Each case is a folder in the form of the other goldens (see reference_case.py). The mixtures of experts have in addition
lora_experts/, an adapter as PEFT wrote it with transformers 4 (one Linear an expert), and logits.lora_experts: what the model
gives when s·B·A is added to each weight of the checkpoint.
"""
import os
import sys
import tempfile
from pathlib import Path

import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from reference_case import (fresh, greedy, load, lora_config, make_adapter, make_checkpoint, opened, rewrite_config, rows, save_io,
                            settle, small, train)

EXPERTS = dict(vocab_size=200, hidden_size=32, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64,
               bos_token_id=1, eos_token_id=2, pad_token_id=0, output_router_logits=False)
QWEN3_MOE = dict(EXPERTS, intermediate_size=48, moe_intermediate_size=24, num_hidden_layers=3, head_dim=16, num_experts=4,
                 num_experts_per_tok=2, decoder_sparse_step=1, mlp_only_layers=[1])
ENCODER = dict(vocab_size=200, hidden_size=32, intermediate_size=64, num_attention_heads=4, max_position_embeddings=66, num_labels=3)


def qwen3_moe_of_transformers_4(config: dict) -> None:
    config["num_experts"] = config.pop("num_local_experts")
    config.update(rope_theta=config.pop("rope_parameters")["rope_theta"], rope_scaling=None, torch_dtype=config.pop("dtype"))


CASES = {
    "mixtral": dict(model_type="mixtral", seed=1, settings=dict(EXPERTS, intermediate_size=48, num_hidden_layers=2, num_local_experts=4,
                                                        num_experts_per_tok=2, router_jitter_noise=0.0, sliding_window=None)),
    "qwen3_moe": dict(model_type="qwen3_moe", seed=2, settings=dict(QWEN3_MOE, norm_topk_prob=True)),
    "qwen3_moe_unnormalized": dict(model_type="qwen3_moe", seed=3, rewrite=qwen3_moe_of_transformers_4,
                                   settings=dict(QWEN3_MOE, norm_topk_prob=False)),
    "modernbert": dict(model_type="modernbert", seed=4, padding=3, targets=["Wqkv"], settings=dict(
        ENCODER, num_hidden_layers=4, local_attention=8, pad_token_id=0, bos_token_id=1, eos_token_id=2, cls_token_id=1, sep_token_id=2,
        layer_types=["full_attention", "sliding_attention", "sliding_attention", "full_attention"])),
    "xlm-roberta": dict(model_type="xlm-roberta", seed=5, settings=dict(
        ENCODER, num_hidden_layers=2, type_vocab_size=1, pad_token_id=1, bos_token_id=0, eos_token_id=2, hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0)),
}


def router_margin(model, ids, mask) -> float:
    """How far the last expert chosen is from the first that is not: close ones would make the reference a matter of rounding."""
    outputs = model(input_ids=ids, attention_mask=mask, output_router_logits=True)
    chosen = model.config.num_experts_per_tok
    best = [layer.softmax(-1).topk(chosen + 1).values for layer in outputs.router_logits if layer is not None]
    return min((b[:, chosen - 1] - b[:, chosen]).min().item() for b in best)


def load_changed(name: str, auto, weights: dict):
    """The model of a case with other weights, by way of a checkpoint."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_bytes((Path(name) / "config.json").read_bytes())
        save_file(weights, Path(folder) / "model.safetensors", metadata=dict(format="pt"))
        return load(folder, auto)


def add_expert_adapter(name: str, auto, ids, mask) -> torch.Tensor:
    """lora_experts/ in transformers 4's form, and the logits of a checkpoint to which its s·B·A were added."""
    weights = load_file(Path(name) / "model.safetensors")
    leaves = ("w1", "w2", "w3") if name == "mixtral" else ("gate_proj", "up_proj", "down_proj")
    config = lora_config("CAUSAL_LM", list(leaves))
    config.base_model_name_or_path, config.inference_mode = name, True
    config.save_pretrained(f"{name}/lora_experts")
    settle(Path(name) / "lora_experts")
    adapter, merged = {}, dict(weights)
    for key in sorted(k for k in weights if k.split(".")[-2] in leaves):
        out, into = weights[key].shape
        a, b = torch.randn(config.r, into) * 0.15, torch.randn(out, config.r) * 0.15
        module = "base_model.model." + key.removesuffix(".weight")
        adapter[module + ".lora_A.weight"], adapter[module + ".lora_B.weight"] = a, b
        merged[key] = weights[key] + config.lora_alpha / config.r * (b @ a)
    assert any(".experts." in key for key in adapter), name
    save_file(adapter, Path(name) / "lora_experts" / "adapter_model.safetensors", metadata=dict(format="pt"))
    with torch.no_grad():
        model = load_changed(name, auto, merged)
        print(f"{name}: margin of the router with lora_experts {router_margin(model, ids, mask):.1e}")
        logits = model(input_ids=ids, attention_mask=mask).logits
        # PEFT 0.20.1 converts the experts' share and drops that of mlp_only_layers in silence: those are added to its base.
        base = load_changed(name, auto, {k: w if ".experts." in k else merged[k] for k, w in weights.items()})
        in_peft = PeftModel.from_pretrained(base, f"{name}/lora_experts").eval()(input_ids=ids, attention_mask=mask).logits
    assert (logits - in_peft).abs().max() < 1e-5, name
    return logits


def make(name: str, model_type: str, settings: dict, seed: int, padding: int = 7, targets: list[str] | None = None,
         rewrite=None) -> None:
    fresh(name, seed)
    causal = model_type in ("mixtral", "qwen3_moe")
    auto = AutoModelForCausalLM if causal else AutoModelForSequenceClassification
    task = "CAUSAL_LM" if causal else "SEQ_CLS"
    targets = ["q_proj", "v_proj"] if causal else targets
    config = small(model_type, **settings)
    make_checkpoint(name, auto, config)
    if rewrite:
        rewrite_config(name, rewrite)
    model = load(name, auto)
    ids, mask = rows(config.vocab_size, config.pad_token_id, padding)
    tensors = dict(input_ids=ids, attention_mask=mask)
    inputs = dict(tensors)
    with torch.no_grad():
        tensors["logits"] = model(**inputs).logits
        if causal:
            print(f"{name}: margin of the router {router_margin(model, ids, mask):.1e}")
            tensors["greedy"] = greedy(model, ids[:1, :8])
            tensors["logits.lora_experts"] = add_expert_adapter(name, auto, ids, mask)
        make_adapter(name, auto, lora_config(task, targets), "lora")
        model = opened(name, auto, "lora")
        tensors["logits.lora"] = model(**inputs).logits
        tensors["logits.merged"] = model.merge_and_unload()(**inputs).logits
    batches = []
    for _ in range(3):
        ids, mask = rows(config.vocab_size, config.pad_token_id, padding)
        labels = torch.randint(0, 3, (3,))
        if causal:
            labels = ids.masked_fill(mask == 0, -100)
            labels[:, :6] = -100
        batches.append(dict(input_ids=ids, attention_mask=mask, labels=labels))
    trained = train(name, auto, lora_config(task, targets), batches, task=task)
    with torch.no_grad():
        tensors["logits.trained"] = trained(**inputs).logits
    save_io(name, tensors)


def main() -> None:
    os.makedirs(sys.argv[1], exist_ok=True)
    os.chdir(sys.argv[1])
    for name in sys.argv[2:] or CASES:
        make(name, **CASES[name])


if __name__ == "__main__":
    main()
