"""Reference cases of weights that layers share, and of config keys that change the mathematics.

    python3 make_sharing_cases.py OUTPUT     # needs torch, transformers 5.12, PEFT, safetensors

OUTPUT/sharing/NAME: a checkpoint whose file and config disagree about what is shared, with io.safetensors (inputs, logits).
OUTPUT/tied: a llama that ties its head, and PEFT's adapters on it (a folder each), with their logits and the merged model's.
OUTPUT/config_keys/FAMILY: a checkpoint, variants.json (changes of config.json by name) and io.safetensors (logits.NAME of each).
"""
import json
import shutil
import sys
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSeq2SeqLM

from reference_case import settle

OUT = Path(sys.argv[1])
V, H = 20, 8
DECODER = dict(vocab_size=V, hidden_size=H, intermediate_size=12, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1,
               max_position_embeddings=16, bos_token_id=1, eos_token_id=2, pad_token_id=0)
ENCODER = dict(vocab_size=V, hidden_size=H, intermediate_size=12, num_hidden_layers=1, num_attention_heads=2, max_position_embeddings=18,
               pad_token_id=0, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
T5 = dict(vocab_size=V, d_model=H, d_kv=4, d_ff=12, num_layers=1, num_heads=2, dropout_rate=0.0, decoder_start_token_id=0, pad_token_id=0)
GPT2 = dict(vocab_size=V, n_embd=H, n_layer=1, n_head=2, n_positions=16, bos_token_id=1, eos_token_id=2)
DISTIL = dict(vocab_size=V, dim=H, n_layers=1, n_heads=2, hidden_dim=12, max_position_embeddings=16, pad_token_id=0, dropout=0.0, attention_dropout=0.0)
MODERN = dict(vocab_size=V, hidden_size=H, intermediate_size=12, num_hidden_layers=2, num_attention_heads=2, max_position_embeddings=16, pad_token_id=0,
              bos_token_id=1, eos_token_id=2, cls_token_id=1, sep_token_id=2, layer_types=["full_attention", "sliding_attention"])


def draw(model):
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(std=0.3) if weight.dim() > 1 else weight.add_(torch.randn_like(weight), alpha=0.2)
    return model


def inputs():
    ids = torch.randint(5, V, (2, 5))
    mask = torch.ones_like(ids)
    ids[1, 4:], mask[1, 4:] = 0, 0
    return ids, mask


def logits(model, ids, mask):
    if hasattr(model, "set_experts_implementation"):
        model.set_experts_implementation("eager")
    kwargs = dict(input_ids=ids, attention_mask=mask)
    if model.config.is_encoder_decoder:
        kwargs["decoder_input_ids"] = ids.flip(1)
    with torch.no_grad():
        return model.eval()(**kwargs).logits.float()


def save_io(folder, **tensors):
    save_file({k: v.contiguous().clone() for k, v in tensors.items()}, folder / "io.safetensors")


def sharing(name, auto, model_type, settings, change, tie=True):
    """change(weights): what the file holds instead of what transformers would write."""
    torch.manual_seed(len(name))
    folder = OUT / "sharing" / name
    config = AutoConfig.for_model(model_type, **settings)
    config.tie_word_embeddings = tie
    draw(auto.from_config(config)).save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file({k: v.contiguous().clone() for k, v in weights.items()}, folder / "model.safetensors", metadata=dict(format="pt"))
    ids, mask = inputs()
    save_io(folder, input_ids=ids, attention_mask=mask, logits=logits(auto.from_pretrained(folder, dtype=torch.float32), ids, mask))


def own(target, source, factor=1.5):
    def change(weights):
        weights[target] = weights[source] * factor
    return change


def moved(target, source):
    def change(weights):
        weights[target] = weights.pop(source)
    return change


def both(*changes):
    def change(weights):
        for c in changes:
            c(weights)
    return change


def make_sharing():
    causal, masked, pair = AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSeq2SeqLM
    table, head = "model.embed_tokens.weight", "lm_head.weight"
    sharing("llama_head", causal, "llama", DECODER, own(head, table))
    sharing("llama_equal", causal, "llama", DECODER, own(head, table, 1.0))
    sharing("llama_head_only", causal, "llama", DECODER, moved(head, table))
    sharing("gpt2_head", causal, "gpt2", GPT2, own(head, "transformer.wte.weight"))
    bert = "bert.embeddings.word_embeddings.weight"
    sharing("bert_untied", masked, "bert", ENCODER, lambda weights: None, tie=False)
    sharing("bert_head", masked, "bert", ENCODER, own("cls.predictions.decoder.weight", bert))
    sharing("bert_bias", masked, "bert", ENCODER, own("cls.predictions.decoder.bias", "cls.predictions.bias"))
    sharing("bert_bias_only", masked, "bert", ENCODER, moved("cls.predictions.decoder.bias", "cls.predictions.bias"))
    sharing("roberta_head", masked, "roberta", dict(ENCODER, pad_token_id=1), both(
        own("lm_head.decoder.weight", "roberta.embeddings.word_embeddings.weight"), own("lm_head.decoder.bias", "lm_head.bias")))
    sharing("distilbert_head", masked, "distilbert", DISTIL, own("vocab_projector.weight", "distilbert.embeddings.word_embeddings.weight"))
    sharing("modernbert_head", masked, "modernbert", MODERN, own("decoder.weight", "model.embeddings.tok_embeddings.weight"))
    for part in ("encoder", "decoder"):
        sharing(f"t5_{part}", pair, "t5", T5, own(f"{part}.embed_tokens.weight", "shared.weight"))
    sharing("t5_head", pair, "t5", T5, own("lm_head.weight", "shared.weight"))
    sharing("t5_head_unscaled", pair, "t5", T5, own("lm_head.weight", "shared.weight"), tie=False)
    sharing("t5_encoder_only", pair, "t5", T5, moved("encoder.embed_tokens.weight", "shared.weight"))


def make_tied():
    torch.manual_seed(11)
    folder = OUT / "tied"
    config = AutoConfig.for_model("llama", **DECODER, tie_word_embeddings=True)
    draw(AutoModelForCausalLM.from_config(config)).save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    ids, mask = inputs()
    tensors = dict(input_ids=ids, attention_mask=mask)
    for name, settings in {
        "saved_table": dict(modules_to_save=["embed_tokens"]),
        "saved_head": dict(modules_to_save=["lm_head"]),
        "saved_both": dict(modules_to_save=["embed_tokens", "lm_head"]),
        "saved_table_tied": dict(modules_to_save=["embed_tokens"], ensure_weight_tying=True),
        "saved_head_tied": dict(modules_to_save=["lm_head"], ensure_weight_tying=True),
        "pair_table": dict(target_modules=["q_proj", "embed_tokens"]),
        "pair_head": dict(target_modules=["q_proj", "lm_head"]),
        "pair_table_tied": dict(target_modules=["q_proj", "embed_tokens"], ensure_weight_tying=True),
        "pair_head_tied": dict(target_modules=["q_proj", "lm_head"], ensure_weight_tying=True),
    }.items():
        base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        base.config._name_or_path = base.name_or_path = "tied"
        model = get_peft_model(base, LoraConfig(r=2, lora_alpha=4, task_type="CAUSAL_LM", **{"target_modules": ["q_proj"], **settings}))
        with torch.no_grad():
            for weight in model.parameters():
                if weight.requires_grad:
                    weight.add_(torch.randn_like(weight), alpha=0.3)
        model.save_pretrained(folder / name)
        (folder / name / "README.md").unlink(missing_ok=True)
        settle(folder / name)
        opened = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32), folder / name)
        tensors[name] = logits(opened, ids, mask)
        assert torch.allclose(tensors[name], logits(model, ids, mask), atol=1e-6), name
    save_io(folder, **tensors)


ROPE = dict(rope_type="default", rope_theta=10000.0, partial_rotary_factor=0.5)
BOTH = {"is_causal": dict(is_causal=False)}
FAMILIES = {
    "llama": (DECODER, {}), "qwen2": (DECODER, {}), "qwen3": (dict(DECODER, head_dim=4), {}),
    "mistral": (dict(DECODER, sliding_window=3), {}), "mixtral": (dict(DECODER, num_local_experts=2, sliding_window=None), {}),
    "qwen3_moe": (dict(DECODER, head_dim=4, num_experts=2, num_experts_per_tok=1, moe_intermediate_size=6), {}),
    "gemma2": (dict(DECODER, head_dim=4, num_hidden_layers=2, sliding_window=3, query_pre_attn_scalar=4), {}),
    "gemma3_text": (dict(DECODER, head_dim=4, num_hidden_layers=2, sliding_window=4, query_pre_attn_scalar=4, layer_types=["sliding_attention", "full_attention"]), {
        "softcap": dict(attn_logit_softcapping=0.5), "both_ways": dict(use_bidirectional_attention=True)}),
    "phi3": (dict(DECODER, num_attention_heads=2, sliding_window=None), {}),
    "gpt_neox": ({k: v for k, v in dict(DECODER, num_attention_heads=1).items() if k != "num_key_value_heads"}, {}),
    "gpt2": (GPT2, {}), "opt": (dict(vocab_size=V, hidden_size=H, ffn_dim=12, num_hidden_layers=1, num_attention_heads=2, max_position_embeddings=16, word_embed_proj_dim=H,
                                     pad_token_id=1, bos_token_id=2, eos_token_id=2, dropout=0.0), {}),
}


def make_config_keys():
    for family, (settings, extra) in FAMILIES.items():
        torch.manual_seed(len(family))
        folder = OUT / "config_keys" / family
        draw(AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **settings, tie_word_embeddings=True))).save_pretrained(folder)
        (folder / "generation_config.json").unlink(missing_ok=True)
        variants = {"plain": {}, **BOTH, **extra}
        if family == "gemma3_text":
            variants["partial"] = dict(rope_parameters=dict(full_attention=dict(ROPE), sliding_attention=dict(ROPE)))
        elif family not in ("gpt2", "opt"):
            variants["partial"] = dict(rope_parameters=dict(ROPE))
        ids, mask = inputs()
        tensors = dict(input_ids=ids, attention_mask=mask)
        whole = json.loads((folder / "config.json").read_text())
        changed = OUT / "changed"
        for name, change in variants.items():
            shutil.copytree(folder, changed)
            (changed / "config.json").write_text(json.dumps({**whole, **change}))
            of_kind = [logits(AutoModelForCausalLM.from_pretrained(changed, dtype=torch.float32, attn_implementation=kind), ids, mask) for kind in ("eager", "sdpa")]
            seen = mask.bool()
            assert family == "gemma2" or (of_kind[0] - of_kind[1])[seen].abs().max() < 1e-5, (family, name)  # its caps are those of eager attention
            tensors["logits." + name] = of_kind[0]
            shutil.rmtree(changed)
        (folder / "variants.json").write_text(json.dumps(variants, indent=1) + "\n")
        save_io(folder, **tensors)
        print(family, {k: "%.1e" % (v - tensors["logits.plain"])[seen].abs().max() for k, v in tensors.items() if k.startswith("logits.")})


for part in ("sharing", "tied", "config_keys", "changed"):
    shutil.rmtree(OUT / part, ignore_errors=True)
make_sharing()
make_tied()
make_config_keys()
