"""Reference cases of sampling: what transformers' processors of logits leave of random logits.

Run: python3 make_sampling_cases.py OUTPUT. Writes sampling.json: logits, the prompt's and the written tokens, the settings, the
logits after bias and penalties, and the probabilities to draw by. Bias and repetition penalty come in transformers' order.
The frequency and presence penalties, which transformers lacks, are OpenAI's: mu[j] - c[j] * frequency - (c[j] > 0) * presence
(API reference, "Frequency and presence penalties"). Temperature, min-p, top-k, top-p come in vLLM's order (v1/sample/sampler.py).
"""
import json
import random
import sys
from pathlib import Path

import torch
from transformers import (MinPLogitsWarper, RepetitionPenaltyLogitsProcessor, SequenceBiasLogitsProcessor, TemperatureLogitsWarper,
                          TopKLogitsWarper, TopPLogitsWarper)

random.seed(17)
torch.manual_seed(17)
SIZE = 60
SETTINGS = [
    {},
    {"min_p": 0.1}, {"min_p": 0.5}, {"min_p": 0.02, "temperature": 2.0}, {"min_p": 0.2, "temperature": 0.5},
    {"repetition_penalty": 1.3}, {"repetition_penalty": 0.8},
    {"frequency_penalty": 0.7}, {"frequency_penalty": -1.5}, {"presence_penalty": 1.1}, {"presence_penalty": -0.4},
    {"frequency_penalty": 0.5, "presence_penalty": 0.25, "repetition_penalty": 1.2},
    {"logit_bias": {3: 5.0, 7: -100.0, 11: 1.5}},
    {"logit_bias": {3: 2.0, 7: -3.0, 11: -0.5}, "repetition_penalty": 1.5, "presence_penalty": 0.6},
    {"top_k": 5}, {"top_k": 30, "top_p": 0.8}, {"top_k": 1000},
    {"temperature": 1.7, "min_p": 0.05, "top_k": 20, "top_p": 0.9, "repetition_penalty": 1.1, "frequency_penalty": 0.3,
     "presence_penalty": 0.2, "logit_bias": {0: 1.0, 59: -2.0}},
]


def case(settings):
    logits = torch.randn(1, SIZE) * 3
    # Each case has tokens that come once, several times, only in the prompt, and with logits of both signs.
    prompt = [random.randrange(SIZE) for _ in range(12)] + [3, 11]
    written = [random.randrange(12) for _ in range(15)]
    ids = torch.tensor([prompt + written])
    scores = logits
    if bias := settings.get("logit_bias"):
        scores = SequenceBiasLogitsProcessor({(token,): value for token, value in bias.items()})(ids, scores)
    if penalty := settings.get("repetition_penalty"):
        scores = RepetitionPenaltyLogitsProcessor(penalty)(ids, scores)
    scores = scores.clone()
    for token in set(written):
        scores[0, token] -= (written.count(token) * settings.get("frequency_penalty", 0) + settings.get("presence_penalty", 0))
    changed = scores
    if temperature := settings.get("temperature"):
        scores = TemperatureLogitsWarper(temperature)(ids, scores)
    if min_p := settings.get("min_p"):
        scores = MinPLogitsWarper(min_p)(ids, scores)
    if top_k := settings.get("top_k"):
        scores = TopKLogitsWarper(top_k)(ids, scores)
    if top_p := settings.get("top_p"):
        scores = TopPLogitsWarper(top_p)(ids, scores)
    return {"prompt": prompt, "written": written, "settings": settings, "logits": logits[0].tolist(), "changed": changed[0].tolist(),
            "probabilities": scores.double().softmax(-1)[0].tolist()}


(Path(sys.argv[1]) / "sampling.json").write_text("[\n" + ",\n".join(json.dumps(case(settings)) for settings in SETTINGS) + "\n]\n")
