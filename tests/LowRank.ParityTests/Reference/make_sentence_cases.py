"""Reference cases of sentence-transformers' modules behind the model: pooling, Dense, LayerNorm, Normalize.

    PYTHONPATH=/path/to/sentence-transformers python make_sentence_cases.py ../Fixtures/sentences

Writes cases.json (states, masks and what each module gives) and folder/, a pipeline as the library saves it.
"""
import json
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from unittest.mock import MagicMock

import torch
from transformers import PreTrainedModel  # noqa: F401  before the stand-ins below

for name in ("sklearn", "sklearn.metrics", "sklearn.metrics.pairwise", "scipy", "scipy.sparse", "scipy.stats"):  # the library's utilities import them; not used here
    try:
        __import__(name)
    except ImportError:
        sys.modules[name] = MagicMock(__spec__=ModuleSpec(name, None))

from sentence_transformers.base.modules.dense import Dense  # noqa: E402
from sentence_transformers.base.modules.normalize import Normalize  # noqa: E402
from sentence_transformers.sentence_transformer.modules.layer_norm import LayerNorm  # noqa: E402
from sentence_transformers.sentence_transformer.modules.pooling import Pooling  # noqa: E402


def main(target: Path) -> None:
    torch.manual_seed(7)
    states = torch.randn(3, 5, 4)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [0, 0, 1, 1, 1]])
    cases = {"states": states.tolist(), "mask": mask.tolist(), "pooling": {}, "without_prompt": {}, "dense": {}}
    for mode in Pooling.POOLING_MODES:
        features = {"token_embeddings": states, "attention_mask": mask}
        cases["pooling"][mode] = Pooling(4, mode)(dict(features))["sentence_embedding"].tolist()
        features = {"token_embeddings": states[:2], "attention_mask": mask[:2], "prompt_length": 2}
        cases["without_prompt"][mode] = Pooling(4, mode, include_prompt=False)(dict(features))["sentence_embedding"].tolist()
    vectors = torch.randn(2, 8)
    cases["vectors"] = vectors.tolist()
    for name in ("Tanh", "Identity", "ReLU", "GELU", "Sigmoid", "SiLU"):
        layer = Dense(8, 3, bias=name != "Identity", activation_function=getattr(torch.nn, name)(), use_residual=name == "GELU")
        save(layer, target / "dense" / name)
        cases["dense"][name] = layer({"sentence_embedding": vectors})["sentence_embedding"].tolist()

    pooling, dense, norm = Pooling(4, ("mean", "max")), Dense(8, 3), LayerNorm(3)
    with torch.no_grad():
        norm.norm.weight.uniform_(0.5, 2)
        norm.norm.bias.uniform_(-1, 1)
    features = {"token_embeddings": states, "attention_mask": mask}
    for module in (pooling, dense, norm, Normalize()):
        features = module(features)
    cases["pipeline"] = features["sentence_embedding"].tolist()
    folder = target / "folder"
    for module, name in ((pooling, "1_Pooling"), (dense, "2_Dense"), (norm, "3_LayerNorm"), (Normalize(), "4_Normalize")):
        save(module, folder / name)
    paths = ["", "1_Pooling", "2_Dense", "3_LayerNorm", "4_Normalize"]
    kinds = ["sentence_transformers.base.modules.transformer.Transformer", *(f"sentence_transformers.models.{path[2:]}" for path in paths[1:])]
    write(folder / "modules.json", [{"idx": i, "name": str(i), "path": path, "type": kind} for i, (path, kind) in enumerate(zip(paths, kinds))])
    write(folder / "sentence_bert_config.json", {"max_seq_length": 12, "do_lower_case": True})
    write(folder / "config_sentence_transformers.json",
          {"prompts": {"query": "good ", "document": ""}, "default_prompt_name": "query", "similarity_fn_name": "dot"})
    write(target / "cases.json", cases)


def save(module, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    module.save(str(folder))


def write(path: Path, content) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n")


with torch.no_grad():
    main(Path(sys.argv[1]))
