"""Reference cases of the tasks: heads, losses and what PEFT trains beside the adapter.

    python3 make_task_cases.py OUTPUT [NAME ...]     # needs torch, transformers 5, PEFT, safetensors

Each case is a folder config.json, model.safetensors, io.safetensors (inputs, what the base gives, and the same with the suffix
.trained for the adapter in trained/), start/, train.json (task, batches and the log of each step), trained/; see reference_case.py.

- question answering: train.json has start_positions and end_positions; the outputs are start_logits and end_logits.
  A softmax over positions does not see qa_outputs.bias, so that what training makes of it is rounding: "undetermined" in train.json.
- masked language models: labels are -100 except where the input is the mask token 4; PEFT has no task type for them.
- t5_*: decoder_input_ids are the first 12 input ids; in training they are the labels shifted to the right by transformers.
- roberta_embedding: embeddings are last hidden states, averaged over the mask and scaled to length 1; logits are 20 times the
  cosines of each row of input_ids with each row of positive_input_ids, and the loss is the cross-entropy with the diagonal.
"""
import os
import sys
from pathlib import Path

import torch
import transformers as hf
from safetensors.torch import load_file, save_file
from torch.nn.functional import cross_entropy, normalize

from reference_case import fresh, greedy, load, lora_config, make_checkpoint, rewrite_config, rows, save_io, small, train

MASK_TOKEN = 4
SIZES = dict(vocab_size=200, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=66)
DECODER = dict(SIZES, num_key_value_heads=2, bos_token_id=1, eos_token_id=2, pad_token_id=0, attention_dropout=0.0,
               classifier_dropout=0.0)
FAMILIES = {
    "bert": dict(SIZES, type_vocab_size=2, pad_token_id=0, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0),
    "roberta": dict(SIZES, type_vocab_size=1, pad_token_id=1, bos_token_id=0, eos_token_id=2, hidden_dropout_prob=0.0,
                    attention_probs_dropout_prob=0.0),
    "distilbert": dict(vocab_size=200, dim=32, hidden_dim=64, n_layers=2, n_heads=4, max_position_embeddings=66, pad_token_id=0,
                       dropout=0.0, attention_dropout=0.0, qa_dropout=0.0, seq_classif_dropout=0.0),
    "modernbert": dict(SIZES, num_hidden_layers=4, local_attention=8, pad_token_id=0, bos_token_id=1, eos_token_id=2, cls_token_id=1,
                       sep_token_id=2),
    "llama": DECODER,
    "qwen2": DECODER,
    "gpt2": dict(vocab_size=200, n_embd=32, n_layer=2, n_head=4, n_positions=66, bos_token_id=1, eos_token_id=2, pad_token_id=0,
                 embd_pdrop=0.0, resid_pdrop=0.0, attn_pdrop=0.0, classifier_dropout=0.0, summary_first_dropout=0.0),
    "t5": dict(vocab_size=200, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_decoder_layers=3, num_heads=4, dropout_rate=0.0,
               relative_attention_num_buckets=8, relative_attention_max_distance=16, pad_token_id=0, eos_token_id=1,
               decoder_start_token_id=0),
}
TARGETS = {"distilbert": ["q_lin", "v_lin"], "modernbert": ["Wqkv"]}  # the rest have a default in PEFT
SEQUENCE, TOKEN, QUESTION, MASKED = (hf.AutoModelForSequenceClassification, hf.AutoModelForTokenClassification,
                                     hf.AutoModelForQuestionAnswering, hf.AutoModelForMaskedLM)
TASK_TYPES = {SEQUENCE: "SEQ_CLS", TOKEN: "TOKEN_CLS", QUESTION: "QUESTION_ANS", MASKED: None, hf.AutoModelForSeq2SeqLM: "SEQ_2_SEQ_LM",
              hf.AutoModel: "FEATURE_EXTRACTION"}
CASES = {
    "bert_token_classification": ("bert", TOKEN, dict(num_labels=5)),
    "bert_question_answering": ("bert", QUESTION, {}),
    "bert_masked_lm": ("bert", MASKED, {}),
    "roberta_token_classification": ("roberta", TOKEN, dict(num_labels=5)),
    "roberta_masked_lm": ("roberta", MASKED, {}),
    "distilbert_masked_lm": ("distilbert", MASKED, {}),
    "distilbert_question_answering": ("distilbert", QUESTION, {}),
    "modernbert_token_classification": ("modernbert", TOKEN, dict(num_labels=5)),
    "modernbert_masked_lm": ("modernbert", MASKED, {}),
    "llama_sequence_classification": ("llama", SEQUENCE, dict(num_labels=3)),
    "gpt2_sequence_classification": ("gpt2", SEQUENCE, dict(num_labels=3)),
    "qwen2_token_classification": ("qwen2", TOKEN, dict(num_labels=5)),
    "gpt2_token_classification": ("gpt2", TOKEN, dict(num_labels=5)),
    "bert_regression": ("bert", SEQUENCE, dict(num_labels=1)),
    "bert_multi_label": ("bert", SEQUENCE, dict(num_labels=4, problem_type="multi_label_classification")),
    "t5_gated": ("t5", hf.AutoModelForSeq2SeqLM, dict(feed_forward_proj="gated-gelu", tie_word_embeddings=False)),
    "t5_plain": ("t5", hf.AutoModelForSeq2SeqLM, dict(feed_forward_proj="relu", tie_word_embeddings=True)),
    "roberta_embedding": ("roberta", hf.AutoModel, {}),
    "bert_sequence_pairs": ("bert", SEQUENCE, dict(num_labels=3)),
}


def labels_of(name: str, auto, config, ids, mask) -> dict:
    """What the loss compares with. Padding is ignored; a masked model's inputs are replaced in place where it is asked."""
    if auto is TOKEN:
        labels = torch.randint(0, config.num_labels, ids.shape).masked_fill(mask == 0, -100)
        labels[:, 0] = -100
        return dict(labels=labels)
    if auto is QUESTION:
        start = torch.randint(1, 8, (3,))
        return dict(start_positions=start, end_positions=start + torch.randint(0, 8, (3,)))
    if auto is MASKED:
        chosen = (torch.rand(ids.shape) < 0.25) & (mask == 1)
        labels = ids.masked_fill(~chosen, -100)
        ids[chosen] = MASK_TOKEN
        return dict(labels=labels)
    if auto is hf.AutoModelForSeq2SeqLM:
        labels = ids[:, :12].clone()
        labels[:, :6] = -100
        return dict(labels=labels)
    if auto is hf.AutoModel:
        return dict(labels=torch.arange(3))
    if name == "bert_regression":
        return dict(labels=torch.randn(3))
    if name == "bert_multi_label":
        return dict(labels=torch.randint(0, 2, (3, config.num_labels)).float())
    return dict(labels=torch.randint(0, config.num_labels, (3,)))


def batch_of(name: str, auto, config) -> dict:
    # No more padding than modernbert's window reaches over, so that each query sees a token and has a defined result.
    padding = 3 if config.model_type == "modernbert" else 7
    ids, mask = rows(config.vocab_size, config.pad_token_id, padding)
    batch = dict(input_ids=ids, attention_mask=mask)
    if name == "bert_sequence_pairs":
        batch["token_type_ids"] = (torch.arange(24) >= torch.tensor([[9], [6], [13]])).long() * mask
    if auto is hf.AutoModel:
        batch["positive_input_ids"], batch["positive_attention_mask"] = rows(config.vocab_size, config.pad_token_id, 4)
    return batch | labels_of(name, auto, config, ids, mask)


def embed(model, ids, mask) -> torch.Tensor:
    hidden, mask = model(input_ids=ids, attention_mask=mask).last_hidden_state, mask.unsqueeze(-1)
    return normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)


def similarities(model, batch: dict) -> tuple[torch.Tensor, torch.Tensor]:
    anchors = embed(model, batch["input_ids"], batch["attention_mask"])
    return anchors, 20 * anchors @ embed(model, batch["positive_input_ids"], batch["positive_attention_mask"]).T


def contrastive(model, batch: dict) -> torch.Tensor:
    return cross_entropy(similarities(model, batch)[1], batch["labels"])


def outputs_of(auto, model, inputs: dict) -> dict:
    with torch.no_grad():
        if auto is hf.AutoModel:
            return dict(zip(("embeddings", "logits"), similarities(model, inputs)))
        found = model(**inputs)
    return {k: found[k] for k in (("start_logits", "end_logits") if auto is QUESTION else ("logits",))}


def continuation(model, ids, mask) -> torch.Tensor:
    """The likeliest 16 tokens that a decoder beside row 0 gives, after its start token; the end token is ignored."""
    return greedy(lambda input_ids: model(input_ids=ids[:1], attention_mask=mask[:1], decoder_input_ids=input_ids),
                  torch.full((1, 1), model.config.decoder_start_token_id))


def modernbert_of_transformers_4(config: dict) -> None:
    """The form of the published checkpoints, with the layers' kinds by a period."""
    rotary = config.pop("rope_parameters")
    assert config.pop("layer_types") == ["full_attention", "sliding_attention", "sliding_attention", "full_attention"]
    config.update(global_attn_every_n_layers=3, global_rope_theta=rotary["full_attention"]["rope_theta"],
                  local_rope_theta=rotary["sliding_attention"]["rope_theta"], torch_dtype=config.pop("dtype"))


def untie_t5(name: str) -> None:
    """The form of T5 1.1 and Flan-T5: an output head of its own. transformers 5 writes no such file, but reads it."""
    path = Path(name) / "model.safetensors"
    weights = load_file(path)
    weights["lm_head.weight"] = torch.randn_like(weights["shared.weight"]) * 0.15
    save_file(weights, path, metadata=dict(format="pt"))

    def change(config: dict) -> None:
        assert config.pop("scale_decoder_outputs") is False
        config["tie_word_embeddings"] = False

    rewrite_config(name, change)
    model = load(name, hf.AutoModelForSeq2SeqLM)
    assert model.config.scale_decoder_outputs is False
    assert torch.equal(model.lm_head.weight, weights["lm_head.weight"]) and torch.equal(model.shared.weight, weights["shared.weight"])


def make(name: str, seed: int) -> None:
    family, auto, settings = CASES[name]
    fresh(name, seed)
    config = small(family, **{**FAMILIES[family], **settings})
    make_checkpoint(name, auto, config)
    if name == "modernbert_masked_lm":
        rewrite_config(name, modernbert_of_transformers_4)
    if name == "t5_gated":
        untie_t5(name)
    batch = batch_of(name, auto, config)
    inputs = {k: v for k, v in batch.items() if k not in ("labels", "start_positions", "end_positions")}
    if family == "t5":
        inputs["decoder_input_ids"] = inputs["input_ids"][:, :12]
    model = load(name, auto)
    tensors = inputs | outputs_of(auto, model, inputs)
    if family == "t5":
        tensors["greedy"] = continuation(model, inputs["input_ids"], inputs["attention_mask"])
    # The first batch is the one of io.safetensors, so that a test of the loss alone has its logits.
    batches = [batch] + [batch_of(name, auto, config) for _ in range(2)]
    more = dict(loss=contrastive) if auto is hf.AutoModel else {}
    if auto is QUESTION:
        more = dict(undetermined=("base_model.model.qa_outputs.bias",))
    task = TASK_TYPES[auto]
    trained = train(name, auto, lora_config(task, TARGETS.get(family)), batches, task=task or "MASKED_LM", **more)
    save_io(name, tensors | {f"{k}.trained": v for k, v in outputs_of(auto, trained, inputs).items()})


def main() -> None:
    os.makedirs(sys.argv[1], exist_ok=True)
    os.chdir(sys.argv[1])
    for name in sys.argv[2:] or CASES:
        make(name, seed=100 + list(CASES).index(name))


if __name__ == "__main__":
    main()
