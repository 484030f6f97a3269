"""Opens what LowRank wrote with PEFT and transformers and compares logits: the largest deviation of each is printed.

    python3 check_with_peft.py MODEL ADAPTER MERGED LOGITS_ADAPTER LOGITS_MERGED TOKENS

MODEL, ADAPTER, MERGED: folders (the base, `lowrank train`'s adapter, `lowrank merge`'s output); LOGITS_*: files that
`lowrank logits --input TOKENS` wrote with the adapter and on the merged folder; TOKENS: the safetensors file with input_ids.
Needs torch, transformers, peft, safetensors. Exits with 1 when a deviation is above 1e-4.
"""
import sys

import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

model, adapter, merged, logits_adapter, logits_merged, tokens = sys.argv[1:7]
inputs = {k: v for k, v in load_file(tokens).items() if k in ("input_ids", "attention_mask")}
worst = 0.0
with torch.no_grad():
    base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    ours = load_file(logits_adapter)["logits"]
    theirs = PeftModel.from_pretrained(base, adapter).eval()(**inputs).logits
    print("adapter in PEFT:", d := (ours - theirs).abs().max().item())
    worst = max(worst, d)
    ours = load_file(logits_merged)["logits"]
    theirs = AutoModelForCausalLM.from_pretrained(merged, dtype=torch.float32).eval()(**inputs).logits
    print("merged in transformers:", d := (ours - theirs).abs().max().item())
    worst = max(worst, d)
sys.exit(worst > 1e-4)
