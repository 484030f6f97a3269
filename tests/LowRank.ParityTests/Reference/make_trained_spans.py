"""Writes trained_spans.jsonl: conversations, the assistant's spans, and which tokens overlap them by the offsets of Hugging Face's tokenizers.

Run beside the folder of tokenizer fixtures: python3 make_trained_spans.py tokenizers > trained_spans.jsonl
"""
import json, random, sys
from tokenizers import Tokenizer

random.seed(7)
WORDS = ["Hello", "wörld", "東京は", "😀👍🏽", "don't", "42", "x=1;", "naïve", "\n\nNew", "«ж»", "the cat", "tab\tbed", "ﬁne", "A", "!?", "</s>", "is"]
MARKS = [("<|user|>\n", "<|assistant|>\n", "<|end|>\n"), ("[INST] ", " [/INST]", "</s>"), ("Q:", "A:", "\n"), ("", "->", ""), ("(", "[", "]")]
for name in ["gpt2", "llama3", "qwen2", "llama2", "mistral", "gemma", "roberta"]:
    tokenizer = Tokenizer.from_file(f"{sys.argv[1]}/{name}/tokenizer.json")
    for _ in range(40):
        user, assistant, end = random.choice(MARKS)
        text, spans = "", []
        for _ in range(random.randint(1, 3)):
            text += user + " ".join(random.choices(WORDS, k=random.randint(1, 4))) + assistant
            start = len(text)
            text += " ".join(random.choices(WORDS, k=random.randint(1, 4))).lstrip() + end
            spans.append((start, len(text)))
        encoding = tokenizer.encode(text, add_special_tokens=False)
        mask = [int(any(a < e and b > s for s, e in spans)) for a, b in encoding.offsets]
        utf16 = lambda p: len(text[:p].encode("utf-16-le")) // 2
        print(json.dumps({"tokenizer": name, "text": text, "spans": [[utf16(s), utf16(e) - utf16(s)] for s, e in spans], "ids": encoding.ids, "trained": mask}))
