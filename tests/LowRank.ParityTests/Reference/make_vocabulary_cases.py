"""Reference cases of adapters on a base with added tokens: what PEFT 0.20.1 saves and computes.

Run where the goldens lie: python3 make_vocabulary_cases.py GOLDENS OUTPUT. For each case a folder with the adapter and
io.safetensors (input_ids with added tokens among them, attention_mask, logits, logits.merged).
"""
import json
import shutil
import sys
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from reference_case import settle

goldens, output = Path(sys.argv[1]), Path(sys.argv[2])
ADDED = 3


def base(name):
    model = AutoModelForCausalLM.from_pretrained(goldens / name, attn_implementation="eager", dtype=torch.float32).eval()
    torch.manual_seed(7)
    model.resize_token_embeddings(model.config.vocab_size + ADDED, mean_resizing=False)
    return model


def case(case, name, **config):
    torch.manual_seed(1)
    folder = output / case
    shutil.rmtree(folder, ignore_errors=True)
    model = get_peft_model(base(name), LoraConfig(r=4, lora_alpha=8, task_type="CAUSAL_LM", **config))
    with torch.no_grad():
        for weight in (p for p in model.parameters() if p.requires_grad):
            weight.add_(torch.randn_like(weight), alpha=0.1)
    model.eval().save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    settle(folder)
    path = folder / "adapter_config.json"
    written = json.loads(path.read_text())
    written["base_model_name_or_path"] = Path(written["base_model_name_or_path"]).name
    path.write_text(json.dumps(written, indent=2, sort_keys=True))
    model = PeftModel.from_pretrained(base(name), folder).eval()
    io = load_file(goldens / name / "io.safetensors")
    ids, mask = io["input_ids"][[0, 2], :12].clone(), io["attention_mask"][[0, 2], :12].contiguous()
    rows = model.config.vocab_size
    ids[0, 3:6] = torch.tensor([rows - 1, rows - 3, rows - 2])
    ids[-1, 1] = rows - 2
    given = dict(input_ids=ids, attention_mask=mask)
    with torch.no_grad():
        tensors = {"logits": model(**given).logits, "logits.merged": model.merge_and_unload()(**given).logits}
    save_file({k: v.contiguous().clone() for k, v in {**tensors, **given}.items()}, folder / "io.safetensors")
    print(case, {k: tuple(v.shape) for k, v in load_file(folder / "adapter_model.safetensors").items() if ".layers." not in k and ".h." not in k})


vocabulary = json.loads((goldens / "qwen2" / "config.json").read_text())["vocab_size"]
new = list(range(vocabulary, vocabulary + ADDED))
case("added_tokens_untied", "qwen2", target_modules=["q_proj", "v_proj"], trainable_token_indices={"embed_tokens": [5, *new], "lm_head": new})
case("added_tokens_tied", "gpt2", target_modules=["c_attn"], trainable_token_indices=[5, *new])
case("added_tokens_whole", "qwen2", target_modules=["q_proj"], modules_to_save=["embed_tokens", "lm_head"])
case("added_tokens_pair", "qwen2", target_modules=["q_proj", "embed_tokens"])
case("added_tokens_resting", "qwen2", target_modules=["q_proj"])
