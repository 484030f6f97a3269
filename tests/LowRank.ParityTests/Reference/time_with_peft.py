"""Times training steps of LoRA with PEFT on PyTorch, as `lowrank bench train` times ours, and prints a JSON object.

    python3 time_with_peft.py [--targets c_attn | --targets all-linear] [--batch 4] [--length 256] [--rank 8] [--steps 5] [--threads 2]

The model is GPT-2 small's shape with random weights, float32, all tokens labelled, no dropout; a step is forward, backward, clipping by the norm 1, AdamW.
Prints to docs/figures/performance/peft.json, with command, machine and commit added from a run of ours beside it. Needs torch, transformers, peft. Run it right before or after `lowrank bench train gpt2-small`, on the same idle machine.
"""
import argparse
import json
import resource
import statistics
import time

import torch
from peft import LoraConfig, get_peft_model
from transformers import GPT2Config, GPT2LMHeadModel

parser = argparse.ArgumentParser()
parser.add_argument("--targets", default="c_attn")
for name, value in (("batch", 4), ("length", 256), ("rank", 8), ("steps", 5), ("threads", 2)):
    parser.add_argument("--" + name, type=int, default=value)
given = parser.parse_args()
torch.set_num_threads(given.threads)
torch.manual_seed(0)
base = GPT2LMHeadModel(GPT2Config(embd_pdrop=0, attn_pdrop=0, resid_pdrop=0))
weights = sum(p.numel() * p.element_size() for p in base.parameters())
targets = "all-linear" if given.targets == "all-linear" else given.targets.split(",")
model = get_peft_model(base, LoraConfig(r=given.rank, lora_alpha=2 * given.rank, target_modules=targets, task_type="CAUSAL_LM")).train()
trained = [p for p in model.parameters() if p.requires_grad]
optimizer = torch.optim.AdamW(trained, lr=1e-4)
seconds = []
for step in range(given.steps + 2):
    ids = torch.randint(0, 50257, (given.batch, given.length))
    start = time.perf_counter()
    model(input_ids=ids, labels=ids).loss.backward()
    torch.nn.utils.clip_grad_norm_(trained, 1.0)
    optimizer.step()
    optimizer.zero_grad()
    if step >= 2:
        seconds.append(time.perf_counter() - start)
middle = statistics.median(seconds)
print(json.dumps({"tokens_per_second": given.batch * given.length / middle, "seconds": seconds, "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
                  "weights_bytes": weights, "torch": torch.__version__, "targets": given.targets}))
