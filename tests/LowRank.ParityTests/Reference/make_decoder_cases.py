"""Reference cases that Fixtures/goldens lacks: rotary variants, biases, windows, as transformers computes them.

    python3 make_decoder_cases.py OUTPUT     # needs torch, transformers 5, safetensors

Each case is a folder config.json, model.safetensors, io.safetensors (input_ids, attention_mask, logits, greedy) in the
form of the other goldens. Random weights; no licence.
"""
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

BASE = dict(vocab_size=128, hidden_size=48, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=16, bos_token_id=1, eos_token_id=2, pad_token_id=0,
            initializer_range=0.2)
CASES = {
    "rope_linear": ("llama", dict(rope_parameters=dict(rope_type="linear", factor=2.5, rope_theta=10000.0))),
    "rope_dynamic": ("llama", dict(rope_parameters=dict(rope_type="dynamic", factor=4.0, rope_theta=10000.0))),
    "rope_yarn": ("llama", dict(rope_parameters=dict(rope_type="yarn", factor=4.0, rope_theta=10000.0,
                                                     original_max_position_embeddings=8))),
    "rope_yarn_mscale": ("llama", dict(rope_parameters=dict(rope_type="yarn", factor=4.0, rope_theta=10000.0, mscale=0.7,
                                                            mscale_all_dim=1.3, beta_fast=16, beta_slow=2, truncate=False,
                                                            original_max_position_embeddings=8))),
    "llama_biases": ("llama", dict(attention_bias=True, mlp_bias=True, head_dim=20, tie_word_embeddings=True)),
    "qwen2_windows": ("qwen2", dict(use_sliding_window=True, sliding_window=5, max_window_layers=1)),
    "qwen3_biases": ("qwen3", dict(attention_bias=True, head_dim=16)),
    "mistral_no_window": ("mistral", dict(sliding_window=None)),
}


def main(output: Path) -> None:
    for name, (model_type, settings) in CASES.items():
        torch.manual_seed(7)
        config = AutoConfig.for_model(model_type, **{**BASE, **settings})
        model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval().float()
        for key, weight in model.named_parameters():
            if key.endswith("bias"):
                torch.nn.init.normal_(weight, std=0.2)
        folder = output / name
        model.save_pretrained(folder)
        ids = torch.randint(3, 128, (3, 24))
        mask = torch.ones_like(ids)
        # Four positions of padding: fewer than any window, so that each query sees a token and has a defined result.
        ids[1, 20:], mask[1, 20:] = 0, 0
        with torch.no_grad():
            # Greedy first: with dynamic rope, transformers 5.12 keeps the frequencies of the longest sequence it has seen
            # for shorter ones that follow (its reset never fires), so a fresh model is the only defined reference.
            greedy = ids[:1, :8]
            for _ in range(16):
                greedy = torch.cat([greedy, model(input_ids=greedy).logits[:, -1:].argmax(-1)], 1)
            logits = model(input_ids=ids, attention_mask=mask).logits
        save_file(dict(input_ids=ids, attention_mask=mask, logits=logits.contiguous(), greedy=greedy),
                  folder / "io.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
