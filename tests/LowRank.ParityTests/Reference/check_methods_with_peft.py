"""Opens adapters of every kind that LowRank wrote with PEFT, and their merged models with transformers, and compares logits.

    python3 check_methods_with_peft.py RUNS

RUNS holds a folder for each case: model.txt (the base's folder, seen from RUNS), adapter/, input.safetensors (input_ids, attention_mask),
logits.safetensors (lowrank logits with the adapter) and, where it merges, merged/ and merged.safetensors (lowrank logits on it).
Prints the largest deviation of each; exits with 1 when one is above 1e-4 of the largest logit. Needs torch, transformers, peft.
"""
import sys
import warnings
from pathlib import Path

import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

warnings.simplefilter("ignore")
logging.disable_progress_bar()
logging.set_verbosity_error()
runs = Path(sys.argv[1])
bad = []


def model_of(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()


for case in sorted(p for p in runs.iterdir() if (p / "adapter").is_dir()):
    given = load_file(case / "input.safetensors")
    try:
        base = model_of(runs / (case / "model.txt").read_text().strip())
        if (case / "adapter" / "tokenizer.json").exists():  # as PEFT's AutoPeftModel does
            tokens = len(AutoTokenizer.from_pretrained(case / "adapter"))
            if tokens > base.config.vocab_size:
                base.resize_token_embeddings(tokens)
        with torch.no_grad():
            theirs = PeftModel.from_pretrained(base, case / "adapter").eval()(**given).logits
            ours = load_file(case / "logits.safetensors")["logits"]
            theirs = theirs[:, -ours.shape[1]:]
            deviations = [(ours - theirs).abs().max().item()]
            plain = model_of(runs / (case / "model.txt").read_text().strip())
            change = (plain(**given).logits - ours[..., :plain.config.vocab_size]).abs().max().item()
            if (case / "merged").is_dir():
                theirs = model_of(case / "merged")(**given).logits
                deviations.append((load_file(case / "merged.safetensors")["logits"] - theirs).abs().max().item())
                deviations.append((ours - theirs).abs().max().item())
    except Exception as failure:  # the next cases are still worth knowing
        print(f"{case.name:24} refused: {failure}")
        bad.append(case.name)
        continue
    largest = ours.abs().max().item()
    print(f"{case.name:24} in PEFT {deviations[0]:.1e}" + (f"   merged in transformers {deviations[1]:.1e}, from unmerged {deviations[2]:.1e}" if len(deviations) > 1 else "")
          + f"   (changes logits by {change:.2g}, largest {largest:.3g})")
    if max(deviations) > 1e-4 * max(1, largest) or change == 0:
        bad.append(case.name)
print("all within 1e-4" if not bad else f"NOT within 1e-4: {', '.join(bad)}")
sys.exit(bool(bad))
