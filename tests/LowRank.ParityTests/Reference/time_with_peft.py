"""Times training steps of LoRA with PEFT on PyTorch, as `lowrank bench train` times ours, and prints a JSON object.

    lowrank bench train gpt2-small --steps 4 --beside python3 tests/LowRank.ParityTests/Reference/time_with_peft.py

runs it in turn with our steps, in one run. Alone:

    python3 time_with_peft.py [--shape gpt2-small|llama-160m|llama-1b|llama-8b|base] [--targets c_attn | --targets all-linear]
        [--batch 4] [--length 256] [--rank 8] [--steps 4] [--threads 2] [--device cpu] [--dtype float32|tf32|bfloat16]

The model is the shape of that name with random weights, all tokens labelled, no dropout; a step is forward, backward,
clipping by the norm 1, AdamW. bfloat16: a base in bfloat16 under autocast, as PEFT's users have it; the adapter stays
float32. On a GPU several steps follow each other without a wait, as ours do. Needs torch, transformers and peft.
"""
import argparse
import json
import resource
import statistics
import time

import peft
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig

SHAPES = {
    "gpt2-small": (GPT2Config(embd_pdrop=0, attn_pdrop=0, resid_pdrop=0), "c_attn"),
    "llama-160m": (LlamaConfig(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12,
                               num_key_value_heads=12, vocab_size=32000, max_position_embeddings=2048), "q_proj,v_proj"),
    "llama-1b": (LlamaConfig(hidden_size=2048, intermediate_size=5632, num_hidden_layers=22, num_attention_heads=32,
                             num_key_value_heads=4, vocab_size=32000, max_position_embeddings=2048), "q_proj,v_proj"),
    "llama-8b": (LlamaConfig(hidden_size=4096, intermediate_size=14336, num_hidden_layers=32, num_attention_heads=32,
                             num_key_value_heads=8, vocab_size=128256, max_position_embeddings=8192), "q_proj,v_proj"),
    "base": (LlamaConfig(hidden_size=192, intermediate_size=512, num_hidden_layers=5, num_attention_heads=6,
                         num_key_value_heads=3, head_dim=32, vocab_size=4096, max_position_embeddings=512,
                         tie_word_embeddings=True), "q_proj,v_proj"),
}

parser = argparse.ArgumentParser()
parser.add_argument("--shape", default="gpt2-small", choices=list(SHAPES))
parser.add_argument("--targets")
for name, value in (("batch", 4), ("length", 256), ("rank", 8), ("steps", 4), ("threads", 2)):
    parser.add_argument("--" + name, type=int, default=value)
parser.add_argument("--device", default="cpu")
parser.add_argument("--dtype", default="float32", choices=["float32", "tf32", "bfloat16"])
given = parser.parse_args()
is_cuda = given.device.startswith("cuda")
half = given.dtype == "bfloat16"
torch.backends.cuda.matmul.allow_tf32 = given.dtype == "tf32"
torch.set_num_threads(given.threads)
torch.manual_seed(0)
config, default_targets = SHAPES[given.shape]
with torch.device(given.device):
    base = AutoModelForCausalLM.from_config(config, **({"dtype": torch.bfloat16} if half else {}))
weights = sum(p.numel() * p.element_size() for p in base.parameters())
names = given.targets or default_targets
targets = names if names == "all-linear" else names.split(",")
model = get_peft_model(base, LoraConfig(r=given.rank, lora_alpha=2 * given.rank, target_modules=targets, task_type="CAUSAL_LM")).train()
trained = [p for p in model.parameters() if p.requires_grad]
optimizer = torch.optim.AdamW(trained, lr=1e-4)
seconds = []
queued = 4 if is_cuda else 1  # steps of a timed one
for step in range(given.steps + 1):
    ids = torch.randint(0, config.vocab_size, (given.batch, given.length), device=given.device)
    if is_cuda:
        torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(queued):
        with torch.autocast(given.device.split(":")[0], torch.bfloat16, enabled=half):
            loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
    if is_cuda:
        torch.cuda.synchronize()
    if step >= 1:
        seconds.append((time.perf_counter() - start) / queued)
square = torch.rand(2048, 2048)
fastest = float("inf")
for _ in range(4):
    start = time.perf_counter()
    square @ square
    fastest = min(fastest, time.perf_counter() - start)
middle = statistics.median(seconds)
print(json.dumps({"name": "PEFT", "tokens_per_second": given.batch * given.length / middle, "seconds": seconds,
                  "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, "weights_bytes": weights,
                  **({"device_memory_bytes": torch.cuda.max_memory_reserved()} if is_cuda else {}), "dtype": given.dtype,
                  "torch": torch.__version__, "peft": peft.__version__, "targets": names,
                  "blas": next((part.split("=")[1] for part in torch.__config__.show().replace(",", " ").split()
                                if part.startswith("BLAS_INFO=")), "unknown"),
                  "square_flops_per_second": 2 * 2048 ** 3 / fastest}))
