"""Reference cases of decoders whose layers are variations of Llama's, small enough to keep one or two a family.

    python3 make_plain_decoder_cases.py OUTPUT [NAME ...]     # needs torch, transformers 5, PEFT, safetensors

Each case is a folder in the form of the other goldens (see reference_case.py): those named after a family with an adapter on all
its linear layers and a trajectory, the others with the logits and the greedy tokens of the base alone.

- ministral3: 24 positions are three times original_max_position_embeddings, so that queries are scaled.
- falcon_rw is computed with sdpa attention, transformers' default: its eager attention adds the biases twice.
- falcon_rw, bloom, bloom_heads: positions as biases on the scores; six heads need a second series of slopes.
- falcon_groups has the two norms of 40B and 180B, falcon_one_norm the one of Falcon 2.
- phi_norms, stablelm_parallel: queries and keys normalised, as Stable LM 2 12B does it.
"""
import os
import sys

import torch
from transformers import AutoModelForCausalLM

from make_family_cases import router_margin
from reference_case import fresh, greedy, load, lora_config, make_adapter, make_checkpoint, opened, rows, save_io, small, train

PADDING = 4  # fewer positions than any window
TOKENS = dict(bos_token_id=1, eos_token_id=2, pad_token_id=0)
SIZES = dict(TOKENS, vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=64)
FOUR = dict(SIZES, num_hidden_layers=4)
MIXED = ["sliding_attention", "full_attention", "sliding_attention", "full_attention"]
NO_DROPOUT = dict(hidden_dropout=0.0, attention_dropout=0.0)
PHI = dict(SIZES, num_key_value_heads=4, resid_pdrop=0.0, embd_pdrop=0.0)
STARCODER2 = dict(SIZES, sliding_window=None, residual_dropout=0.0, embedding_dropout=0.0)
STABLELM = dict(SIZES, **NO_DROPOUT)
FALCON = dict(TOKENS, **NO_DROPOUT, vocab_size=64, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, ffn_hidden_size=48,
              max_position_embeddings=64)
BLOOM = dict(TOKENS, **NO_DROPOUT, vocab_size=64, hidden_size=32, n_layer=2, n_head=4)
QWEN2_MOE = dict(SIZES, moe_intermediate_size=24, shared_expert_intermediate_size=40, num_experts=4, num_experts_per_tok=2)
GATED = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
ATTENTION = GATED[:4]
FUSED = ["query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"]

FAMILIES = {
    "gemma": (dict(SIZES, num_key_value_heads=1, head_dim=16), GATED),
    "granite": (dict(SIZES, embedding_multiplier=6.0, attention_multiplier=0.3, residual_multiplier=0.4, logits_scaling=3.0), GATED),
    "smollm3": (dict(SIZES, no_rope_layers=[1, 0]), GATED),
    "olmo2": (SIZES, GATED),
    "olmo3": (dict(SIZES, sliding_window=5, layer_types=MIXED[:2]), GATED),
    "ministral3": (dict(SIZES, head_dim=16, max_position_embeddings=32, rope_parameters=dict(
        rope_type="yarn", type="yarn", rope_theta=1000000.0, factor=4.0, original_max_position_embeddings=8,
        max_position_embeddings=32, beta_fast=32.0, beta_slow=1.0, mscale=1.0, mscale_all_dim=1.0, llama_4_scaling_beta=0.5)), GATED),
    "glm4": (dict(SIZES, head_dim=16), ATTENTION + ["gate_up_proj", "down_proj"]),
    "phi": (PHI, ["q_proj", "k_proj", "v_proj", "dense", "fc1", "fc2"]),
    "starcoder2": (dict(STARCODER2, sliding_window=5), ATTENTION + ["c_fc", "c_proj"]),
    "stablelm": (dict(STABLELM, use_qkv_bias=True), GATED),
    "falcon": (FALCON, FUSED),
    "bloom": (BLOOM, FUSED),
    "gptj": (dict(TOKENS, vocab_size=64, n_embd=32, n_layer=2, n_head=4, n_inner=48, n_positions=64, rotary_dim=4, resid_pdrop=0.0,
                  embd_pdrop=0.0, attn_pdrop=0.0), ["q_proj", "k_proj", "v_proj", "out_proj", "fc_in", "fc_out"]),
    "cohere2": (dict(SIZES, sliding_window=5, layer_types=MIXED[:2]), GATED),
    "qwen2_moe": (QWEN2_MOE, ATTENTION),
}
SETTINGS = {
    "smollm3_windows": ("smollm3", dict(FOUR, no_rope_layer_interval=2, use_sliding_window=True, sliding_window=5)),
    "glm4_plain": ("glm4", dict(SIZES, attention_bias=False, partial_rotary_factor=1.0, head_dim=8, tie_word_embeddings=True)),
    "phi_norms": ("phi", dict(PHI, qk_layernorm=True, num_key_value_heads=2)),
    "starcoder2_plain": ("starcoder2", dict(STARCODER2, use_bias=False, tie_word_embeddings=False)),
    "stablelm_parallel": ("stablelm", dict(STABLELM, qk_layernorm=True, use_parallel_residual=True, use_qkv_bias=False)),
    "falcon_groups": ("falcon", dict(FALCON, new_decoder_architecture=True, num_kv_heads=2, bias=True)),
    "falcon_one_norm": ("falcon", dict(FALCON, new_decoder_architecture=True, num_kv_heads=2, num_ln_in_parallel_attn=1)),
    "falcon_rw": ("falcon", dict(FALCON, alibi=True, multi_query=False, parallel_attn=False, bias=True, num_kv_heads=4)),
    "bloom_heads": ("bloom", dict(BLOOM, hidden_size=48, n_head=6)),
    "cohere2_biases": ("cohere2", dict(FOUR, sliding_window=6, attention_bias=True, logit_scale=0.4)),
    "qwen2_moe_plain": ("qwen2_moe", dict(QWEN2_MOE, num_hidden_layers=3, norm_topk_prob=True, mlp_only_layers=[1], qkv_bias=False,
                                          use_sliding_window=True, sliding_window=5, max_window_layers=2)),
}


def base(name: str, model_type: str, settings: dict) -> tuple[dict, dict]:
    make_checkpoint(name, AutoModelForCausalLM, small(model_type, **settings), std=0.2)
    attention = "sdpa" if name == "falcon_rw" else "eager"
    model = AutoModelForCausalLM.from_pretrained(name, attn_implementation=attention, dtype=torch.float32).eval()
    ids, mask = rows(settings["vocab_size"], 0, PADDING)
    inputs = dict(input_ids=ids, attention_mask=mask)
    with torch.no_grad():
        if model_type == "qwen2_moe":
            assert router_margin(model, ids, mask) > 1e-3, "two experts are as likely: take another seed"
        return inputs, dict(inputs, logits=model(**inputs).logits, greedy=greedy(model, ids[:1, :8]))


def family(name: str) -> None:
    settings, targets = FAMILIES[name]
    inputs, tensors = base(name, name, settings)
    config = lambda: lora_config("CAUSAL_LM", targets)
    with torch.no_grad():
        make_adapter(name, AutoModelForCausalLM, config(), "lora")
        model = opened(name, AutoModelForCausalLM, "lora")
        tensors["logits.lora"] = model(**inputs).logits
        tensors["logits.merged"] = model.merge_and_unload()(**inputs).logits
    batches = []
    for _ in range(3):
        ids, mask = rows(settings["vocab_size"], 0, PADDING)
        labels = ids.masked_fill(mask == 0, -100)
        labels[:, :6] = -100
        batches.append(dict(input_ids=ids, attention_mask=mask, labels=labels))
    train(name, AutoModelForCausalLM, config(), batches, task="CAUSAL_LM")
    save_io(name, tensors)


def main() -> None:
    os.makedirs(sys.argv[1], exist_ok=True)
    os.chdir(sys.argv[1])
    for name in sys.argv[2:] or [*FAMILIES, *SETTINGS]:
        for seed in range(1, 40):
            try:
                fresh(name, seed)
                family(name) if name in FAMILIES else save_io(name, base(name, *SETTINGS[name])[1])
                break
            except AssertionError as problem:
                print(f"{name}: seed {seed}: {problem}")
        else:
            raise SystemExit(f"{name}: no seed gives a defined case")


if __name__ == "__main__":
    main()
