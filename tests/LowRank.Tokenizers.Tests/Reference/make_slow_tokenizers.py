"""Makes Fixtures/slow_tokenizers.jsonl: what transformers' classes make of folders without tokenizer.json.

Usage: make_slow_tokenizers.py FIXTURES (the folder with tokenizers/; the file is written into it). Made with transformers 5.12.1, tokenizers
0.23.1 and sentencepiece 0.2.2. A folder's vocabulary is that of tokenizers/BASE; its other files are in the case.
"""
import json, os, shutil, struct, sys, tempfile
os.environ["HF_HUB_OFFLINE"] = "1"
if os.path.exists(shim := os.environ.get("SHIM", "")): sys.path.insert(0, os.path.dirname(shim)); __import__("shim")
import transformers
from transformers import AutoTokenizer

transformers.logging.set_verbosity_error()
FIXTURES = sys.argv[1]
TEXTS = ["Hello world", " Hello  world 12345 ", "a <mask> b<|endoftext|> don't DON'T", "e\u0301te\u0301 \u00e9t\u00e9 \u4f60\u597d", "", "</s> <s>c [MASK] [CLS]<extra_id_0>", "\n\n  tab\tend  ", "new<extra>tok NewÉ tok newé"]


def at(content,**k):
    d=dict(content=content,lstrip=False,rstrip=False,normalized=False,single_word=False); d.update(k); return d
C=[]
def case(name,base,files,**j): C.append(dict(name=name,base=base,files=files,json=j))
bpe=["vocab.json","merges.txt"]
case("gpt2 plain","gpt2",bpe,config={"model_type":"gpt2"})
case("gpt2 prefix space","gpt2",bpe,config={"model_type":"gpt2"},tokenizer_config={"add_prefix_space":True})
case("gpt2 bos eos","gpt2",bpe,config={"model_type":"gpt2"},tokenizer_config={"tokenizer_class":"GPT2Tokenizer","add_bos_token":True,"add_eos_token":True})
case("gpt2 added tokens json","gpt2",bpe,config={"model_type":"gpt2"},added_tokens={"<extra>":2000,"<pad>":2001},special_tokens_map={"pad_token":"<pad>","bos_token":"<|endoftext|>","eos_token":"<|endoftext|>","unk_token":"<|endoftext|>"})
case("gpt2 new special","gpt2",bpe,config={"model_type":"gpt2"},tokenizer_config={"pad_token":"<pad>","additional_special_tokens":["<extra>"]})
case("gpt2 model specific","gpt2",bpe,config={"model_type":"gpt2"},tokenizer_config={"image_token":"<extra>"})
case("opt","roberta",bpe,config={"model_type":"opt"},tokenizer_config={"tokenizer_class":"GPT2Tokenizer","add_bos_token":True,"add_prefix_space":False,**{k:dict(at(v,normalized=True),__type="AddedToken") for k,v in dict(bos_token="</s>",eos_token="</s>",unk_token="</s>",pad_token="<pad>").items()}},special_tokens_map={k:at(v,normalized=True) for k,v in dict(bos_token="</s>",eos_token="</s>",unk_token="</s>",pad_token="<pad>").items()})
case("opt bare","roberta",bpe,config={"model_type":"opt"})
ROB={"0":"<s>","1":"<pad>","2":"</s>","3":"<unk>"}
case("roberta bare","roberta",bpe,config={"model_type":"roberta"})
case("roberta full","roberta",bpe,config={"model_type":"roberta"},tokenizer_config={"tokenizer_class":"RobertaTokenizer","mask_token":"<mask>","bos_token":"<s>","added_tokens_decoder":"ROBERTA"})
case("roberta prefix","roberta",bpe,config={"model_type":"roberta"},tokenizer_config={"add_prefix_space":True,"trim_offsets":True})
case("roberta special map","roberta",bpe,config={"model_type":"roberta"},special_tokens_map={"mask_token":at("<mask>",lstrip=True),"cls_token":"<s>","sep_token":"</s>"})
case("bart","roberta",bpe,config={"model_type":"bart"},tokenizer_config={"tokenizer_class":"BartTokenizer"})
case("bart class only","roberta",bpe,tokenizer_config={"tokenizer_class":"BartTokenizerFast"},config={})
case("roberta eos false","roberta",bpe,config={"model_type":"roberta"},tokenizer_config={"add_bos_token":False,"add_eos_token":False})
case("qwen2 bare","qwen2",bpe,config={"model_type":"qwen2"})
case("qwen2 full","qwen2",bpe,config={"model_type":"qwen2"},tokenizer_config={"tokenizer_class":"Qwen2Tokenizer","added_tokens_decoder":"QWEN","eos_token":"<|im_end|>","pad_token":"<|endoftext|>","unk_token":None,"bos_token":None,"additional_special_tokens":["<|im_start|>","<|im_end|>"],"add_prefix_space":False})
case("neox","gpt2",bpe,config={"model_type":"gpt_neox"})
case("neox bos","gpt2",bpe,config={"model_type":"gpt_neox"},tokenizer_config={"add_bos_token":True,"add_prefix_space":True})
case("codegen","gpt2",bpe,config={"model_type":"phi"},tokenizer_config={"tokenizer_class":"CodeGenTokenizer","add_prefix_space":False})
case("blenderbot","roberta",bpe,config={"model_type":"blenderbot"})
case("deberta","roberta",bpe,config={"model_type":"deberta"},tokenizer_config={"cls_token":"<s>","sep_token":"</s>","unk_token":"<unk>","pad_token":"<pad>","mask_token":"<mask>"})
case("cohere","gpt2",bpe,config={"model_type":"cohere"})
case("llama vocab merges","gpt2",bpe,config={"model_type":"llama"},tokenizer_config={"tokenizer_class":"GPT2Tokenizer"})
wp=["vocab.txt"]
case("bert bare","bert_uncased",wp,config={"model_type":"bert"})
case("bert cased","bert_cased",wp,config={"model_type":"bert"},tokenizer_config={"do_lower_case":False})
case("bert accents","bert_uncased",wp,config={"model_type":"bert"},tokenizer_config={"strip_accents":False})
case("bert cased strip","bert_cased",wp,config={"model_type":"bert"},tokenizer_config={"do_lower_case":False,"strip_accents":True,"tokenize_chinese_chars":False})
case("distilbert","bert_uncased",wp,config={"model_type":"distilbert"},tokenizer_config={"tokenizer_class":"DistilBertTokenizer","do_lower_case":True})
case("electra","bert_uncased",wp,config={"model_type":"electra"},tokenizer_config={"tokenizer_class":"ElectraTokenizer"})
case("mpnet","bert_uncased",wp,config={"model_type":"mpnet"},tokenizer_config={"cls_token":"[CLS]","sep_token":"[SEP]","bos_token":"[CLS]","eos_token":"[SEP]","pad_token":"[PAD]","mask_token":"[MASK]"})
case("bert added","bert_uncased",wp,config={"model_type":"bert"},added_tokens={"<extra>":3000},tokenizer_config={"bos_token":"[CLS]","never_split":["x"],"do_basic_tokenize":True})
case("bert other specials","bert_uncased",wp,config={"model_type":"bert"},tokenizer_config={"cls_token":"[SEP]","mask_token":"<mask>"})
case("bert normalized added","bert_uncased",wp,config={"model_type":"bert"},tokenizer_config={"added_tokens_decoder":"BERTN"})
u="sentencepiece_unigram"; b="sentencepiece_bpe"
case("t5 bare","t5",["spiece.model"],config={"model_type":"t5"})
case("t5 extra 5","t5",["spiece.model"],config={"model_type":"t5"},tokenizer_config={"extra_ids":5})
case("t5 full","t5",["spiece.model"],config={"model_type":"t5"},tokenizer_config={"tokenizer_class":"T5Tokenizer","legacy":False,"extra_ids":0,"additional_special_tokens":["<extra>"]})
case("xlmr bare",u,["sentencepiece.bpe.model"],config={"model_type":"xlm-roberta"})
case("xlmr full",u,["sentencepiece.bpe.model"],config={"model_type":"xlm-roberta"},tokenizer_config={"tokenizer_class":"XLMRobertaTokenizer","mask_token":dict(at("<mask>",lstrip=True,normalized=True),__type="AddedToken")})
case("llama bos",b,["tokenizer.model"],config={"model_type":"llama"},tokenizer_config={"tokenizer_class":"LlamaTokenizer","add_bos_token":True,"add_eos_token":False,"legacy":False})
case("llama legacy",b,["tokenizer.model"],config={"model_type":"llama"},tokenizer_config={"tokenizer_class":"LlamaTokenizer","add_bos_token":True,"add_eos_token":True,"legacy":True})
case("llama no prefix",b,["tokenizer.model"],config={"model_type":"llama"},tokenizer_config={"tokenizer_class":"LlamaTokenizer","add_bos_token":True,"add_prefix_space":False})
case("llama added",b,["tokenizer.model"],config={"model_type":"llama"},tokenizer_config={"tokenizer_class":"LlamaTokenizer","add_bos_token":True,"pad_token":"<pad>"},added_tokens={"<extra>":1000})
case("gemma",b,["tokenizer.model"],config={"model_type":"gemma"},tokenizer_config={"tokenizer_class":"GemmaTokenizer","bos_token":"<s>","eos_token":"</s>"})


def t5_model():
    """The unigram model with T5's first three pieces."""
    data = open(f"{FIXTURES}/tokenizers/sentencepiece_unigram/tokenizer.model", "rb").read()
    at = 0
    for _ in range(3): at += 2 + data[at + 1]
    piece = lambda text, kind: (lambda inner: bytes([10, len(inner)]) + inner)(bytes([10, len(text)]) + text + b"\x15" + struct.pack("<f", 0) + bytes([24, kind]))
    return piece(b"<pad>", 3) + piece(b"</s>", 3) + piece(b"<unk>", 2) + data[at:]


def fill(folder, c):
    base, files, extra = c["base"], c["files"], c["json"]
    source = f"{FIXTURES}/tokenizers/{base}"
    if base == "t5": open(f"{folder}/{files[0]}", "wb").write(t5_model())
    elif base.startswith("sentencepiece"): shutil.copy(f"{source}/tokenizer.model", f"{folder}/{files[0]}")
    else:
        tokenizer = json.load(open(f"{source}/tokenizer.json"))
        vocab, merges = tokenizer["model"]["vocab"], tokenizer["model"].get("merges")
        if "vocab.json" in files:
            json.dump(vocab, open(f"{folder}/vocab.json", "w"), ensure_ascii=False)
            open(f"{folder}/merges.txt", "w").write("#version: 0.2\n" + "".join((" ".join(m) if isinstance(m, list) else m) + "\n" for m in merges))
        else: open(f"{folder}/vocab.txt", "w").write("".join(t + "\n" for t in sorted(vocab, key=vocab.get)))
        config = extra.get("tokenizer_config", {})
        kind = config.get("added_tokens_decoder")
        if kind == "BERTN":
            config["added_tokens_decoder"] = {str(vocab["[MASK]"]): dict(at("[MASK]", lstrip=True), special=True), str(len(vocab)): dict(at("NewÉ", normalized=True), special=False),
                str(len(vocab) + 1): dict(at("tok", normalized=True, single_word=True), special=False)}
        elif kind: config["added_tokens_decoder"] = {str(a["id"]): dict({k: x for k, x in a.items() if k != "id"}, **({"lstrip": True} if a["content"] == "<mask>" else {})) for a in tokenizer["added_tokens"]}
        if "added_tokens" in extra: extra["added_tokens"] = {t: len(vocab) + i for i, t in enumerate(extra["added_tokens"])}
    for name, value in extra.items(): json.dump(value, open(f"{folder}/{name}.json", "w"), ensure_ascii=False)


with open(f"{FIXTURES}/slow_tokenizers.jsonl", "w") as out:
    for c in C:
        with tempfile.TemporaryDirectory() as folder:
            if c["base"].startswith("sentencepiece") and "added_tokens" in c["json"]: c["json"]["added_tokens"] = {t: 1500 + i for i, t in enumerate(c["json"]["added_tokens"])}
            fill(folder, c)
            t = AutoTokenizer.from_pretrained(folder)
        rows = []
        for s in TEXTS:
            ids, pair = t(s)["input_ids"], t(s, "b c", return_token_type_ids=True)
            rows.append([s, ids, pair["input_ids"], "".join(map(str, pair["token_type_ids"])), t._tokenizer.decode(ids, skip_special_tokens=False), t._tokenizer.decode(ids, skip_special_tokens=True)])
        roles = {k: t.convert_tokens_to_ids(str(v)) for k, v in t.special_tokens_map.items() if isinstance(v, str)}
        out.write(json.dumps(dict(name=c["name"], base=c["base"], files=c["files"], json=c["json"], roles=roles, size=len(t), rows=rows), ensure_ascii=False, separators=(",", ":")) + "\n")
        print(c["name"], type(t).__name__)
