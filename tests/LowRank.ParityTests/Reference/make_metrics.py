"""Writes Fixtures/metrics.json: what the reference implementations measure on published and awkward examples.

usage: PYTHONPATH=SACREBLEU:SEQEVAL:E2E_METRICS python3 make_metrics.py OUTPUT
needs scikit-learn, scipy, and the sources of sacrebleu, seqeval and e2e-metrics
"""
import json
import random
import sys

import scipy.stats
from sklearn import metrics as sk
from sacrebleu.metrics import BLEU, CHRF
from seqeval.metrics import f1_score, precision_score, recall_score
from metrics.pymteval import BLEUScore

random.seed(3)
out = {}

# generation: sacrebleu's own test sentences, E2E-like ones with several references, and edges
HYPOTHESES = [
    ["The dog bit the man.", "It wasn't surprising.", "The man had just bitten him."],
    ["the cat sat on the mat", "", "a"],
    ["Alimentum is a family-friendly place in the city centre.", "The Blue Spice, near Burger King, costs \u00a320-25.", "Prices: 1,000.50 (approx.) - \"cheap\" &amp; good"],
    ["completely different words here", "nothing matches at all"],
    ["\u4f60\u597d \U0001f600 caf\u00e9", "x-ray 3-4 e.g. U.S.A."],
]
REFERENCES = [
    [["The dog bit the man.", "The dog had bit the man."], ["It was not unexpected.", "No one was surprised."], ["The man bit him first.", "The man had bitten the dog."]],
    [["the cat is on the mat", "there is a cat on the mat"], ["an empty answer"], ["a", "a b c"]],
    [["Alimentum is not a family-friendly place, located in city centre .", "In the city centre there is a venue name Alimentum , this is not a family - friendly venue ."],
     ["Near Burger King, Blue Spice costs \u00a320-25.", "Blue Spice is near Burger King"], ["Prices are 1,000.50 - \"cheap\" & good."]],
    [["no overlap whatsoever"], ["zero"]],
    [["\u4f60\u597d \U0001f600 cafe\u0301"], ["x-ray 3-4, e.g. the U.S.A."]],
]
generation = []
for hypotheses, references in zip(HYPOTHESES, REFERENCES):
    width = max(map(len, references))
    streams = [[refs[i] if i < len(refs) else None for refs in references] for i in range(width)]
    case = {"hypotheses": hypotheses, "references": references}
    for name, tokenize in (("13a", "13a"), ("none", "none")):
        for smooth in ("exp", "none"):
            score = BLEU(tokenize=tokenize, smooth_method=smooth).corpus_score(hypotheses, streams)
            case[f"bleu_{name}_{smooth}"] = {"score": score.score, "precisions": score.precisions, "bp": score.bp, "sys_len": score.sys_len, "ref_len": score.ref_len}
    case["chrf"] = CHRF().corpus_score(hypotheses, streams).score
    case["chrf++"] = CHRF(word_order=2).corpus_score(hypotheses, streams).score
    e2e = BLEUScore()
    for hypothesis, refs in zip(hypotheses, references):
        e2e.append(hypothesis, refs)
    case["bleu_e2e"] = 100 * e2e.score()
    generation.append(case)
out["generation"] = generation

classification = []
for classes, count in ((2, 10), (3, 30), (5, 12), (4, 1), (3, 8)):
    truth = [random.randrange(classes) for _ in range(count)]
    predicted = [t if random.random() < 0.6 else random.randrange(classes) for t in truth]
    if count == 8:
        predicted = [1] * 8
    classification.append({
        "classes": classes, "truth": truth, "predicted": predicted, "accuracy": sk.accuracy_score(truth, predicted),
        "macro_f1": sk.f1_score(truth, predicted, average="macro", zero_division=0), "weighted_f1": sk.f1_score(truth, predicted, average="weighted", zero_division=0),
        "matthews": sk.matthews_corrcoef(truth, predicted),
    })
out["classification"] = classification

multi = []
for _ in range(4):
    truth = [[random.randrange(2) for _ in range(4)] for _ in range(9)]
    predicted = [[v if random.random() < 0.7 else 1 - v for v in row] for row in truth]
    multi.append({"truth": truth, "predicted": predicted, "subset_accuracy": sk.accuracy_score(truth, predicted),
                  **{f"{a}_f1": sk.f1_score(truth, predicted, average=a, zero_division=0) for a in ("micro", "macro", "weighted")}})
out["multi_label"] = multi

regression = []
for ties in (False, True):
    truth = [random.gauss(0, 2) if not ties else float(random.randrange(4)) for _ in range(20)]
    predicted = [t + random.gauss(0, 1) if not ties else float(random.randrange(4)) for t in truth]
    regression.append({"truth": truth, "predicted": predicted, "mse": sk.mean_squared_error(truth, predicted), "mae": sk.mean_absolute_error(truth, predicted),
                       "pearson": scipy.stats.pearsonr(truth, predicted)[0], "spearman": scipy.stats.spearmanr(truth, predicted)[0]})
out["regression"] = regression

TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "E-LOC", "S-PER"]
entities = [{"truth": [["O", "O", "O", "B-MISC", "I-MISC", "I-MISC", "O"], ["B-PER", "I-PER", "O"]],
             "predicted": [["O", "O", "B-MISC", "I-MISC", "I-MISC", "I-MISC", "O"], ["B-PER", "I-PER", "O"]]}]
for _ in range(6):
    truth = [[random.choice(TAGS) for _ in range(random.randrange(1, 9))] for _ in range(5)]
    entities.append({"truth": truth, "predicted": [[t if random.random() < 0.7 else random.choice(TAGS) for t in row] for row in truth]})
for case in entities:
    case.update(precision=float(precision_score(case["truth"], case["predicted"], zero_division=0)), recall=float(recall_score(case["truth"], case["predicted"], zero_division=0)),
                f1=float(f1_score(case["truth"], case["predicted"], zero_division=0)))
out["entities"] = entities

json.dump(out, open(sys.argv[1], "w"), indent=1)
