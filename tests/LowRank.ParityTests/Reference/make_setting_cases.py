"""Reference cases of further settings of decoders: logits of the base alone.

    python3 make_setting_cases.py OUTPUT [NAME ...]     # needs torch, transformers 5, PEFT, safetensors

Each case is a folder config.json, model.safetensors, io.safetensors (input_ids, attention_mask, logits, greedy: 16 tokens after
the first 8 of row 0). Every forward pass has a model opened for it and no key-value cache: a frequency that follows the length of
the sequence is then defined by the tokens of the pass alone.

- *_windows: the window (5) is shorter than the sequence; row 1 ends in four positions of padding, which still see a token.
- phi3_longrope*: original_max_position_embeddings is 16. input_ids (24 positions, padding counted) use long_factor;
  short.input_ids (12 positions) use short_factor and give short.logits. greedy begins with 8 tokens and passes 16 on its way: each
  token is from a pass over all before it, with the factors of that length (at most 16: short). short.greedy stays below: 8 tokens
  after the first 4.
- gemma3_windows, phi3_longrope_partial, gpt_neox_parallel have config.json in the form of transformers 4.
"""
import os
import sys

import torch
from transformers import AutoModelForCausalLM

from reference_case import fresh, greedy, load, make_checkpoint, rewrite_config, rows, save_io, small

SIZES = dict(vocab_size=200, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, bos_token_id=1,
             eos_token_id=2, pad_token_id=0, max_position_embeddings=64)
GEMMA = dict(SIZES, num_hidden_layers=4, num_key_value_heads=2, head_dim=16, sliding_window=5, query_pre_attn_scalar=24)
PHI3 = dict(SIZES, num_key_value_heads=2, hidden_size=64, sliding_window=None)
LONG = dict(rope_type="longrope", rope_theta=10000.0)
SHORT_FACTOR, LONG_FACTOR = [1.0, 1.05, 1.1, 1.3, 1.5, 1.9, 2.0, 2.4], [1.2, 1.7, 2.1, 3.0, 4.0, 5.5, 6.0, 8.0]
OPT = dict({k: v for k, v in SIZES.items() if k != "intermediate_size"}, ffn_dim=64, dropout=0.0, attention_dropout=0.0, layerdrop=0.0)


def gemma3_of_transformers_4(config: dict) -> None:
    rotary = config.pop("rope_parameters")
    assert config.pop("layer_types") == ["sliding_attention", "full_attention"] * 2
    config.pop("_sliding_window_pattern", None)
    config.update(rope_theta=rotary["full_attention"]["rope_theta"], rope_local_base_freq=rotary["sliding_attention"]["rope_theta"],
                  rope_scaling=dict(rope_type="linear", factor=rotary["full_attention"]["factor"]), sliding_window_pattern=2,
                  torch_dtype=config.pop("dtype"))


def phi3_of_transformers_4(config: dict) -> None:
    rotary = config.pop("rope_parameters")
    config.update(rope_theta=rotary["rope_theta"], partial_rotary_factor=rotary["partial_rotary_factor"],
                  rope_scaling=dict(type="longrope", short_factor=rotary["short_factor"], long_factor=rotary["long_factor"]),
                  torch_dtype=config.pop("dtype"))


def gpt_neox_of_transformers_4(config: dict) -> None:
    rotary = config.pop("rope_parameters")
    config.update(rotary_emb_base=rotary["rope_theta"], rotary_pct=rotary["partial_rotary_factor"], torch_dtype=config.pop("dtype"))


CASES = {
    "gemma2_windows": ("gemma2", dict(GEMMA, attn_logit_softcapping=20.0, final_logit_softcapping=15.0,
                                      layer_types=["sliding_attention", "full_attention"] * 2), None),
    "gemma3_windows": ("gemma3_text", dict(GEMMA, layer_types=["sliding_attention", "full_attention"] * 2, rope_parameters=dict(
        full_attention=dict(rope_type="linear", factor=8.0, rope_theta=1000000.0),
        sliding_attention=dict(rope_type="default", rope_theta=5000.0))), gemma3_of_transformers_4),
    "phi3_longrope": ("phi3", dict(PHI3, original_max_position_embeddings=16, rope_parameters=dict(
        LONG, short_factor=SHORT_FACTOR, long_factor=LONG_FACTOR)), None),
    "phi3_longrope_partial": ("phi3", dict(PHI3, original_max_position_embeddings=16, rope_parameters=dict(
        LONG, short_factor=SHORT_FACTOR[:6], long_factor=LONG_FACTOR[:6], partial_rotary_factor=0.75)), phi3_of_transformers_4),
    "phi3_partial": ("phi3", dict(PHI3, rope_parameters=dict(rope_type="default", rope_theta=10000.0, partial_rotary_factor=0.5)), None),
    "gpt_neox_sequential": ("gpt_neox", dict(SIZES, hidden_size=64, use_parallel_residual=False, hidden_dropout=0.0, attention_dropout=0.0,
                                             rope_parameters=dict(rope_type="default", rope_theta=10000.0, partial_rotary_factor=0.25)),
                            None),
    "gpt_neox_parallel": ("gpt_neox", dict(SIZES, hidden_size=64, use_parallel_residual=True, hidden_dropout=0.0, attention_dropout=0.0,
                                           rope_parameters=dict(rope_type="default", rope_theta=5000.0, partial_rotary_factor=0.25)),
                          gpt_neox_of_transformers_4),
    "opt_norm_after": ("opt", dict(OPT, do_layer_norm_before=False, word_embed_proj_dim=24), None),
}


class Reopened:
    """Stands for the model, opened anew for each pass."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, **inputs):
        with torch.no_grad():
            return load(self.name, AutoModelForCausalLM)(**inputs, use_cache=False)


def make(name: str, seed: int) -> None:
    model_type, settings, rewrite = CASES[name]
    fresh(name, seed)
    config = small(model_type, **settings)
    make_checkpoint(name, AutoModelForCausalLM, config)
    before = load(name, AutoModelForCausalLM)
    if rewrite:
        rewrite_config(name, rewrite)
    model = Reopened(name)
    ids, mask = rows(config.vocab_size, config.pad_token_id, padding=4)
    logits = model(input_ids=ids, attention_mask=mask).logits
    assert torch.equal(logits, before(input_ids=ids, attention_mask=mask, use_cache=False).logits), f"{name}: config.json reads otherwise"
    tensors = dict(input_ids=ids, attention_mask=mask, logits=logits, greedy=greedy(model, ids[:1, :8]))
    if "longrope" in name:
        ids, mask = rows(config.vocab_size, config.pad_token_id, padding=4, length=12)
        logits = model(input_ids=ids, attention_mask=mask).logits
        tensors |= {"short.input_ids": ids, "short.attention_mask": mask, "short.logits": logits,
                    "short.greedy": greedy(model, ids[:1, :4], 8)}
    save_io(name, tensors)
    print(name, (tensors["logits"].std()).item(), tensors["greedy"].tolist())


def main() -> None:
    os.makedirs(sys.argv[1], exist_ok=True)
    os.chdir(sys.argv[1])
    for name in sys.argv[2:] or CASES:
        make(name, seed=200 + list(CASES).index(name))


if __name__ == "__main__":
    main()
