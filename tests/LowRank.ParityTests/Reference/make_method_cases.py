"""Reference cases of kinds of adapters, their training and their starts: what PEFT 0.20.1 computes with them.

Run where the goldens lie: python3 make_method_cases.py GOLDENS OUTPUT. For each case a folder with the adapter, io.safetensors
(logits, logits.merged), and where it trains log.json and trained/. Batches are those of GOLDENS/qwen2/train.json, labels too.
"""
import json
import shutil
import sys
from pathlib import Path

import peft.optimizers.lorafa
import torch
from peft import (AdaLoraConfig, IA3Config, LoraConfig, PeftModel, PrefixTuningConfig, PromptTuningConfig, VeraConfig, get_peft_model,
                  get_peft_model_state_dict)
from peft.optimizers import create_lorafa_optimizer, create_loraplus_optimizer
from peft.tuners.lora.config import CordaConfig, EvaConfig, LoraGAConfig
from peft.tuners.lora.corda import preprocess_corda
from peft.tuners.lora.eva import initialize_lora_eva_weights
from peft.tuners.lora.loraga import preprocess_loraga
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from reference_case import CLIP, DECAY, LR, STEPS, rate, settle

goldens, output = Path(sys.argv[1]), Path(sys.argv[2])
batches = json.loads((goldens / "qwen2" / "train.json").read_text())


def base(name):
    return AutoModelForCausalLM.from_pretrained(goldens / name, attn_implementation="eager", dtype=torch.float32).eval()


def inputs(name):
    io = load_file(goldens / name / "io.safetensors")
    return dict(input_ids=io["input_ids"], attention_mask=io["attention_mask"])


def batch(step):
    mask = torch.tensor(batches["attention_mask"])
    mask = mask[step % len(mask)] if mask.dim() == 3 else mask
    return dict(input_ids=torch.tensor(batches["input_ids"][step]), attention_mask=mask, labels=torch.tensor(batches["labels"][step]))


def stir(model):
    """Every trained weight away from its start, so that a part left out shows."""
    with torch.no_grad():
        for weight in (p for p in model.parameters() if p.requires_grad):
            weight.add_(torch.randn_like(weight), alpha=0.1)
    return model


def save(model, folder):
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    settle(folder)
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text())
    config["base_model_name_or_path"] = Path(config["base_model_name_or_path"]).name
    path.write_text(json.dumps(config, indent=2, sort_keys=True))


def write(case, **tensors):
    save_file({k: v.detach().contiguous().clone() for k, v in tensors.items()}, output / case / "io.safetensors")


def logits_case(case, name, config, seed=1, merges=True):
    torch.manual_seed(seed)
    shutil.rmtree(output / case, ignore_errors=True)
    model = stir(get_peft_model(base(name), config)).eval()
    save(model, output / case)
    model = PeftModel.from_pretrained(base(name), output / case).eval()
    given = inputs(name)
    with torch.no_grad():
        tensors = {"logits": model(**given).logits}
        if merges:
            tensors["logits.merged"] = model.merge_and_unload()(**given).logits
    write(case, **tensors, **{k: v for k, v in given.items()})
    print(case, {k: tuple(v.shape) for k, v in tensors.items()})


def train_case(case, model, optimizer=None, after=None, clip=CLIP):
    """Twelve steps from the adapter in case/; after is called as PEFT's docs say, between the step and the next."""
    weights = [p for p in model.parameters() if p.requires_grad]
    optimizer = optimizer or torch.optim.AdamW(weights, lr=LR, weight_decay=DECAY)
    factors = [group["lr"] / LR for group in optimizer.param_groups]
    log = []
    model.train()
    for step in range(STEPS):
        for group, factor in zip(optimizer.param_groups, factors):
            group["lr"] = rate(step) * factor
        loss = model(**batch(step)).loss
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_([w for w in weights if w.grad is not None], clip)
        optimizer.step()
        if after:
            after(step + 1)
        log.append(dict(loss=loss.item(), grad_norm=norm.item()))
    (output / case / "log.json").write_text(json.dumps(log))
    save(model.eval(), output / case / "trained")
    print(case, [round(entry["loss"], 4) for entry in log][:3], "…", round(log[-1]["loss"], 4))
    return model


def fresh(case, name, config, seed=3, stirs=True):
    torch.manual_seed(seed)
    shutil.rmtree(output / case, ignore_errors=True)
    model = get_peft_model(base(name), config)
    if stirs:
        stir(model)
    save(model, output / case)
    return model


lora = dict(r=4, lora_alpha=8, task_type="CAUSAL_LM")
targets = ["q_proj", "v_proj", "down_proj"]
logits_case("lora_bias", "qwen2", LoraConfig(**lora, target_modules=["q_proj", "v_proj"], lora_bias=True))
logits_case("tied_tokens", "gpt2", LoraConfig(**lora, target_modules=["c_attn"], trainable_token_indices=[5, 9, 200]))
# Merging in PEFT changes the head too, which shares the weight: only the unmerged logits are a reference.
logits_case("tied_embedding", "gpt2", LoraConfig(**lora, target_modules=["wte", "c_attn"]), merges=False)
logits_case("tied_head", "gpt2", LoraConfig(**lora, target_modules=["lm_head", "c_attn"]), merges=False)
logits_case("dora_gpt2", "gpt2", LoraConfig(**lora, target_modules=["c_attn", "c_fc"], use_dora=True))
logits_case("ia3_gpt2", "gpt2", IA3Config(task_type="CAUSAL_LM", target_modules=["c_attn", "mlp.c_proj"], feedforward_modules=["mlp.c_proj"]))
logits_case("vera_gpt2", "gpt2", VeraConfig(r=6, target_modules=["c_attn", "c_fc"], task_type="CAUSAL_LM", save_projection=False, projection_prng_key=7))
logits_case("adalora_gpt2", "gpt2", AdaLoraConfig(init_r=5, target_r=3, total_step=10, lora_alpha=8, target_modules=["c_attn"], task_type="CAUSAL_LM"))
logits_case("prompt_tuning", "llama", PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=5), merges=False)
logits_case("prompt_tuning_gpt2", "gpt2", PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=5), merges=False)
logits_case("prefix_tuning", "llama", PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=5), merges=False)
logits_case("prefix_tuning_gpt2", "gpt2", PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=5), merges=False)

# Bias on B, trained. AdamW decays it as everything else.
train_case("lora_bias_trained", fresh("lora_bias_trained", "qwen2", LoraConfig(**lora, target_modules=["q_proj", "v_proj"], lora_bias=True)))
train_case("prompt_tuning_trained", fresh("prompt_tuning_trained", "qwen2", PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=5)))
train_case("prefix_tuning_trained", fresh("prefix_tuning_trained", "qwen2", PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=5)))

# AdaLoRA: budget from 6 a layer to 3 over steps 3 to 9, three final steps. Steps are counted from 1.
model = fresh("adalora_trained", "qwen2", AdaLoraConfig(init_r=6, target_r=3, tinit=2, tfinal=3, deltaT=1, total_step=STEPS, beta1=0.85, beta2=0.85,
              orth_reg_weight=0.5, lora_alpha=8, target_modules=targets, task_type="CAUSAL_LM"))
model = train_case("adalora_trained", model, after=model.base_model.update_and_allocate)
reloaded = PeftModel.from_pretrained(base("qwen2"), output / "adalora_trained" / "trained").eval()
with torch.no_grad():
    write("adalora_trained", logits=reloaded(**inputs("qwen2")).logits, **inputs("qwen2"))

model = fresh("lora_plus_trained", "qwen2", LoraConfig(**lora, target_modules=targets))
train_case("lora_plus_trained", model, create_loraplus_optimizer(model, torch.optim.AdamW, lr=LR, loraplus_lr_ratio=4, loraplus_weight_decay=DECAY))

# PEFT multiplies in bfloat16 wherever torch can; the case is what its formula gives in float32.
peft.optimizers.lorafa.is_bf16_available = lambda: False
model = fresh("lora_fa_trained", "qwen2", LoraConfig(**lora, target_modules=targets))
optimizer = create_lorafa_optimizer(model, r=4, lora_alpha=8, lr=LR, weight_decay=0)  # which it would apply after the step, AdamW before
for group in optimizer.param_groups:
    group["eps"] = 1e-14  # it is added before the bias correction here, after it in AdamW
train_case("lora_fa_trained", model, optimizer)


def start_case(case, prepare, config):
    """Weights as a start makes them from the first batch, one row at a time without its padding; labelled positions for EVA."""
    torch.manual_seed(7)
    shutil.rmtree(output / case, ignore_errors=True)
    model = prepare(base("qwen2"), config)
    state = {k: v for k, v in get_peft_model_state_dict(model).items()}
    (output / case).mkdir(parents=True)
    save_file({k: v.contiguous() for k, v in state.items()}, output / case / "weights.safetensors")
    kept = model.peft_config["default"]
    (output / case / "ranks.json").write_text(json.dumps(dict(rank_pattern=kept.rank_pattern, alpha_pattern=kept.alpha_pattern)))
    print(case, len(state), kept.rank_pattern)


def alone(step):
    """The rows of a batch, each without its padding."""
    whole = batch(step)
    for row in range(len(whole["input_ids"])):
        length = int(whole["attention_mask"][row].sum())
        yield {k: v[row:row + 1, :length] for k, v in whole.items()}


def run_corda(model, config):
    preprocess_corda(model, config, run_model=lambda: [model(input_ids=row["input_ids"]) for row in alone(0)])
    return get_peft_model(model, config)


def run_ga(model, config):
    def step():
        # The gradient of the mean over all labels, as one backward pass: PEFT divides by the number of passes.
        rows = list(alone(0))
        labels = sum(int((row["labels"][:, 1:] != -100).sum()) for row in rows)
        total = sum(torch.nn.functional.cross_entropy(model(input_ids=row["input_ids"]).logits[0, :-1], row["labels"][0, 1:], reduction="sum") for row in rows)
        (total / labels).backward()
    preprocess_loraga(model, config, step)
    for _, module in model.named_modules():
        if hasattr(module, "_peft_loraga_grad"):
            module._peft_loraga_grad *= len(list(alone(0)))  # three forward passes were one mean
    return get_peft_model(model, config)


def run_eva(model, config):
    """One batch of all labelled positions of the rows: PEFT's incremental analysis is then one analysis."""
    model = get_peft_model(model, config)
    whole = batch(0)
    initialize_lora_eva_weights(model, [whole, whole])
    return model


# PEFT decomposes the gradient at random; close directions then mix. The case is what its formula gives with an exact one.
torch.svd_lowrank = lambda matrix, q, niter: (lambda u, s, vh: (u[:, :q], s[:q], vh[:q].T))(*torch.linalg.svd(matrix, full_matrices=False))
start_case("corda_ipm", run_corda, LoraConfig(**lora, target_modules=targets, init_lora_weights="corda", corda_config=CordaConfig(corda_method="ipm")))
start_case("corda_kpm", run_corda, LoraConfig(**lora, target_modules=targets, init_lora_weights="corda", corda_config=CordaConfig(corda_method="kpm")))
start_case("lora_ga", run_ga, LoraConfig(**lora, target_modules=targets, init_lora_weights="lora_ga", lora_ga_config=LoraGAConfig()))
start_case("eva", run_eva, LoraConfig(**lora, target_modules=targets, init_lora_weights="eva", eva_config=EvaConfig(rho=2.0)))
