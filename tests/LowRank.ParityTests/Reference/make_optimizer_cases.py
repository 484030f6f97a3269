"""Writes optimizer_cases.json: AdamW with clipping by PyTorch, and transformers' learning-rate schedules.

Run: python3 make_optimizer_cases.py > optimizer_cases.json
"""
import json, torch, transformers

torch.manual_seed(1)
runs = []
for decay, limit, betas, eps in [(0.0, 1.0, (0.9, 0.999), 1e-8), (0.1, 0.5, (0.8, 0.95), 1e-6), (0.01, 0.0, (0.9, 0.999), 1e-8)]:
    weights = [torch.randn(3, 4, requires_grad=True), torch.randn(5, requires_grad=True)]
    run = {"weight_decay": decay, "limit": limit, "beta1": betas[0], "beta2": betas[1], "epsilon": eps, "start": [w.flatten().tolist() for w in weights], "steps": []}
    optimizer = torch.optim.AdamW(weights, lr=1.0, betas=betas, eps=eps, weight_decay=decay)
    for step in range(5):
        rate = 0.01 * (step + 1)
        gradients = [torch.randn_like(w) * 10 ** (1 - step) for w in weights]
        for w, g in zip(weights, gradients): w.grad = g.clone()
        norm = torch.nn.utils.clip_grad_norm_(weights, limit if limit > 0 else float("inf")).item()
        for group in optimizer.param_groups: group["lr"] = rate
        optimizer.step()
        run["steps"].append({"rate": rate, "gradients": [g.flatten().tolist() for g in gradients], "norm": norm,
                             "clipped": [w.grad.flatten().tolist() for w in weights], "weights": [w.detach().flatten().tolist() for w in weights]})
    runs.append(run)

schedules = []
for kind in ["Constant", "Linear", "Cosine"]:
    for warmup, total in [(0, 10), (3, 10), (10, 10), (0, 1), (5, 20)]:
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2e-4)
        make = getattr(transformers, f"get_{kind.lower()}_schedule_with_warmup")
        schedule = make(optimizer, warmup) if kind == "Constant" else make(optimizer, warmup, total)
        rates = []
        for _ in range(total):
            rates.append(schedule.get_last_lr()[0])
            optimizer.step(); schedule.step()
        schedules.append({"kind": kind, "warmup": warmup, "total": total, "rates": rates})
print(json.dumps({"adamw": runs, "schedules": schedules}))
