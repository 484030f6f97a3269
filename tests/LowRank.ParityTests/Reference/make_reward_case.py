"""Reference cases of reward models: TRL's own loss on given scores, and twelve steps of an adapter.

    python3 make_reward_case.py OUTPUT     # needs torch, transformers 5, PEFT, TRL, safetensors

scores.json: for each setting of margins and centring the loss of RewardTrainer.compute_loss (TRL 1.10.0.dev0) on given scores, and its
gradients. llama_reward/: see reference_case.py; train.json has chosen_input_ids, rejected_input_ids and margin, and the loss is TRL's.
"""
import json
import os
import sys
from collections import defaultdict
from types import SimpleNamespace

import torch
import transformers as hf
from trl.trainer.reward_trainer import RewardTrainer

from make_task_cases import FAMILIES
from reference_case import fresh, lora_config, make_checkpoint, small, train

PAIRS, CENTRING = 3, 0.05


def loss_of(model, inputs: dict, centring: float | None) -> torch.Tensor:
    same = SimpleNamespace(gather=lambda x: x, gather_for_metrics=lambda x: x)
    trainer = SimpleNamespace(model=SimpleNamespace(training=True), accelerator=same, _total_train_tokens=0,
                              args=SimpleNamespace(center_rewards_coefficient=centring),
                              _metrics=defaultdict(lambda: defaultdict(list)))
    return RewardTrainer.compute_loss(trainer, model, inputs)


def given_scores() -> list[dict]:
    cases = []
    for margin in (None, [0.0, 0.5, 2.0, 1.0]):
        for centring in (None, CENTRING):
            scores = (torch.randn(8) * 3).requires_grad_()
            inputs = dict(attention_mask=torch.ones(8, 1))
            if margin is not None:
                inputs["margin"] = torch.tensor(margin)
            value = loss_of(lambda **_: SimpleNamespace(logits=scores.unsqueeze(-1)), inputs, centring)
            value.backward()
            cases.append(dict(chosen=scores[:4].tolist(), rejected=scores[4:].tolist(), margin=margin, centring=centring or 0,
                              loss=value.item(), gradient=scores.grad.tolist()))
    return cases


def pair_loss(model, batch: dict) -> torch.Tensor:
    ids = torch.cat([batch["chosen_input_ids"], batch["rejected_input_ids"]])
    mask = torch.cat([batch["chosen_attention_mask"], batch["rejected_attention_mask"]])
    return loss_of(model, dict(input_ids=ids, attention_mask=mask, margin=batch["margin"]), CENTRING)


def side(padding: int) -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.randint(5, 200, (PAIRS, 16))
    mask = torch.ones_like(ids)
    ids[1, 16 - padding:], mask[1, 16 - padding:] = 0, 0
    return ids, mask


def batch() -> dict:
    chosen, rejected = side(4), side(7)
    return dict(chosen_input_ids=chosen[0], chosen_attention_mask=chosen[1], rejected_input_ids=rejected[0],
                rejected_attention_mask=rejected[1], margin=torch.rand(PAIRS))


def main() -> None:
    os.chdir(sys.argv[1])
    name, auto = "llama_reward", hf.AutoModelForSequenceClassification
    fresh(name, 19)
    make_checkpoint(name, auto, small("llama", **FAMILIES["llama"], num_labels=1))
    train(name, auto, lora_config("SEQ_CLS", None), [batch() for _ in range(2)], pair_loss, centring=CENTRING)
    with open(f"{name}/scores.json", "w") as file:
        json.dump(given_scores(), file)


main()
