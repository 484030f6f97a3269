"""Reference cases of preferences, made with TRL: losses and gradients on given logits, and five steps of a tiny model.

    PYTHONPATH=trl:peft/src python3 make_preference_cases.py GOLDENS/llama OUTPUT.json

TRL's trainers are used without their setup: their loss functions need few attributes. TRL imports datasets, pandas and
pyarrow, which modules without content can stand in for.
"""
import json
import sys
from collections import defaultdict
from types import SimpleNamespace

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM
from trl.experimental.cpo.cpo_trainer import CPOTrainer
from trl.experimental.orpo.orpo_trainer import ORPOTrainer
from trl.trainer.dpo_trainer import DPOTrainer
from trl.trainer.kto_trainer import KTOTrainer

LOSSES = ["sigmoid", "hinge", "ipo", "robust", "sigmoid_norm", "exo_pair", "apo_zero", "apo_down", "aot", "sft"]


class Accelerator:
    """One process."""
    device = torch.device("cpu")

    def gather(self, value):
        return value

    gather_for_metrics = gather

    def unwrap_model(self, model):
        return model


class Logits(torch.nn.Module):
    """Gives stored logits for stored tokens."""

    def __init__(self, *cases):
        super().__init__()
        self.cases = cases

    def forward(self, input_ids, **_):
        return next(SimpleNamespace(logits=logits) for ids, logits in self.cases
                    if ids.shape == input_ids.shape and torch.equal(ids, input_ids))


def trainer(kind, **attributes):
    made = object.__new__(kind)
    defaults = dict(
        accelerator=Accelerator(), aux_loss_enabled=False, ld_alpha=None, precompute_ref_logps=True,
        f_divergence_type="reverse_kl", use_weighting=False, label_smoothing=0.0, beta=0.1, loss_types=["sigmoid"],
        loss_weights=[1.0], _metrics=defaultdict(lambda: defaultdict(list)), _total_train_tokens=0, args=SimpleNamespace(),
        calculate_KL=True, loss_type="kto", desirable_weight=1.0, undesirable_weight=1.0, use_liger_kernel=False,
        is_encoder_decoder=False, padding_value=0, pad_token_id=0, label_pad_token_id=-100, simpo_gamma=0.5, alpha=0.0,
        cpo_alpha=1.0, use_logits_to_keep=False, padding_free=False, max_length=None)
    for name, value in {**defaults, **attributes}.items():
        object.__setattr__(made, name, value)
    return made


def batch(rows):
    """Rows of (prompt, completion), padded on the right."""
    length = max(len(p) + len(c) for p, c in rows)
    ids = torch.zeros(len(rows), length, dtype=torch.long)
    mask, completion = torch.zeros_like(ids), torch.zeros_like(ids)
    for i, (p, c) in enumerate(rows):
        ids[i, :len(p) + len(c)] = torch.tensor(p + c)
        mask[i, :len(p) + len(c)] = 1
        completion[i, len(p):len(p) + len(c)] = 1
    return ids, mask, completion


def pairs_of(rows):
    return [(p, c) for p, c, _ in rows] + [(p, r) for p, _, r in rows]


def concatenated(rows):
    """The batch of ORPO and CPO: chosen and rejected, padded on their own."""
    made = {}
    for name, own in (("chosen", [(p, c) for p, c, _ in rows]), ("rejected", [(p, r) for p, _, r in rows])):
        ids, mask, completion = batch(own)
        made[f"{name}_input_ids"], made[f"{name}_attention_mask"] = ids, mask
        made[f"{name}_labels"] = torch.where(completion == 1, ids, torch.full_like(ids, -100))
    return made


def logps(model, ids, mask, completion):
    with torch.no_grad():
        each = model(input_ids=ids, attention_mask=mask).logits[:, :-1].log_softmax(-1)
        each = each.gather(2, ids[:, 1:].unsqueeze(2)).squeeze(2)
    return (each * completion[:, 1:]).sum(1)


def loss_of(objective, model, rows, reference):
    """TRL's loss of an objective, and its metrics."""
    kind, settings = objective["type"], objective.get("trl", {})
    model.train()
    if kind == "dpo":
        ids, mask, completion = batch(pairs_of(rows))
        chosen, rejected = reference(ids, mask, completion).chunk(2)
        made = trainer(DPOTrainer, model=model, **settings)
        inputs = dict(input_ids=ids, attention_mask=mask, completion_mask=completion, ref_chosen_logps=chosen,
                      ref_rejected_logps=rejected)
        loss = made._compute_loss(model, inputs, False)
        return loss, {name: values[-1] for name, values in made._metrics["train"].items()}
    if kind == "kto":
        ids, mask, completion = batch([(p, c) for p, c, _ in rows])
        # Each prompt with the completion of the row before it.
        other = batch([(p, rows[i - 1][1]) for i, (p, _, _) in enumerate(rows)])
        made = trainer(KTOTrainer, model=model, **settings)
        inputs = dict(input_ids=ids, attention_mask=mask, completion_mask=completion,
                      label=torch.tensor([wanted for _, _, wanted in rows]), KL_input_ids=other[0],
                      KL_attention_mask=other[1], KL_completion_mask=other[2],
                      ref_logps=reference(ids, mask, completion), ref_KL_logps=reference(*other))
        loss = made._compute_loss(model, inputs, False)
        return loss, {name: values[-1] for name, values in made._metrics["train"].items() if values}
    made = trainer(ORPOTrainer if kind == "orpo" else CPOTrainer, model=model, **settings)
    loss, metrics = made.get_batch_loss_metrics(model, concatenated(rows), train_eval="train")
    return loss, {name: float(value) for name, value in metrics.items()}


OBJECTIVES = (
    [{"type": "dpo", "loss": [name.removesuffix("_pair")], "beta": 0.3,
      "label_smoothing": 0.1 if name in ("robust", "exo_pair", "aot") else 0,
      "trl": {"loss_types": [name], "beta": 0.3, "label_smoothing": 0.1 if name in ("robust", "exo_pair", "aot") else 0}}
     for name in LOSSES]
    + [{"type": "dpo", "loss": ["sigmoid", "apo_down", "sft"], "loss_weights": [0.7, 0.2, 0.5], "beta": 0.1,
        "trl": {"loss_types": ["sigmoid", "apo_down", "sft"], "loss_weights": [0.7, 0.2, 0.5]}},
       {"type": "kto", "beta": 0.2, "desirable_weight": 1.5, "undesirable_weight": 0.7,
        "trl": {"beta": 0.2, "desirable_weight": 1.5, "undesirable_weight": 0.7}},
       {"type": "orpo", "beta": 0.4, "trl": {"beta": 0.4}},
       {"type": "cpo", "beta": 0.2, "label_smoothing": 0.1, "trl": {"beta": 0.2, "label_smoothing": 0.1,
                                                                   "loss_type": "sigmoid", "cpo_alpha": 1.0}},
       {"type": "simpo", "beta": 2, "gamma": 0.6, "trl": {"beta": 2.0, "loss_type": "simpo", "simpo_gamma": 0.6,
                                                         "cpo_alpha": 0}}])


def draw(generator, count, vocabulary, rated):
    """Rows of prompt, completion, and another completion or whether it is wanted."""
    def tokens(least, most):
        return torch.randint(1, vocabulary, (int(torch.randint(least, most + 1, (), generator=generator)),),
                             generator=generator).tolist()
    return [(tokens(2, 5), tokens(2, 6), bool(i % 2 == 0) if rated else tokens(2, 6)) for i in range(count)]


def on_logits(objective):
    generator = torch.Generator().manual_seed(7)
    rows = draw(generator, 4, 7, objective["type"] == "kto")
    def logits(ids):
        return torch.randn(*ids.shape, 7, generator=generator)
    if objective["type"] in ("orpo", "cpo", "simpo"):
        own = concatenated(rows)
        length = max(own["chosen_input_ids"].shape[1], own["rejected_input_ids"].shape[1])
        def padded(x):
            return torch.nn.functional.pad(x, (0, length - x.shape[1]))
        ids = torch.cat([padded(own["chosen_input_ids"]), padded(own["rejected_input_ids"])])
    else:
        ids = batch([(p, c) for p, c, _ in rows] if objective["type"] == "kto" else pairs_of(rows))[0]
    cases = [(ids, logits(ids).requires_grad_())]
    known = {}
    if objective["type"] == "kto":
        other = batch([(p, rows[i - 1][1]) for i, (p, _, _) in enumerate(rows)])[0]
        cases.append((other, logits(other)))

    def reference(ids, mask, completion):
        given = torch.randn(ids.shape[0], generator=generator) - 8
        known[len(known)] = given
        return given
    loss, metrics = loss_of(objective, Logits(*cases), rows, reference)
    loss.backward()
    return {"rows": rows, "ids": ids.tolist(), "logits": cases[0][1].tolist(), "gradient": cases[0][1].grad.tolist(),
            "other_ids": cases[1][0].tolist() if len(cases) > 1 else None,
            "other_logits": cases[1][1].tolist() if len(cases) > 1 else None,
            "reference": [given.tolist() for given in known.values()], "loss": loss.item(), "metrics": metrics}


def trajectory(objective, folder):
    torch.manual_seed(0)
    base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    model = PeftModel.from_pretrained(base, folder + "/start", is_trainable=True)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    rows = draw(torch.Generator().manual_seed(3), 4, base.config.vocab_size, objective["type"] == "kto")

    def reference(*given):
        with model.disable_adapter():
            return logps(model, *given)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.02, weight_decay=0.0)
    losses, metrics = [], None
    for _ in range(5):
        loss, metrics = loss_of(objective, model, rows, reference)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return {"rows": rows, "losses": losses, "last_metrics": metrics}


def main():
    folder, output = sys.argv[1:]
    cases = [{**{key: value for key, value in objective.items() if key != "trl"}, "case": on_logits(objective),
              "trajectory": trajectory(objective, folder)} for objective in OBJECTIVES]
    with open(output, "w", encoding="utf-8") as file:
        json.dump(json.loads(json.dumps(cases), parse_float=lambda x: float(f"{float(x):.9g}")), file,
                  separators=(",", ":"))


main()
