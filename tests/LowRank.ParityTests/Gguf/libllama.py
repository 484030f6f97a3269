"""What llama.cpp's library computes where its server does not say it. Made for libllama 0.7.

Usage: libllama.py LIBRARY MODEL TOKENS [TARGET], with numbers of tokens separated by commas.

With TARGET, for encoder-decoder models: one line for each token of the target with the logarithms of the probabilities
of all tokens after it. Without, for encoders that score labels: one line with the scores.
"""
import ctypes
import math
import sys

library, model_file, *texts = sys.argv[1:]
texts = [[int(token) for token in text.split(",")] for text in texts]


class Parameters(ctypes.Structure):
    """llama_context_params, as far as it is used."""
    _fields_ = [(name, ctypes.c_uint32) for name in (
        "n_ctx", "n_batch", "n_ubatch", "n_seq_max", "n_rs_seq", "n_outputs_max", "n_outputs_max_per_seq")] + [
        (name, ctypes.c_int32) for name in (
            "n_threads", "n_threads_batch", "ctx_type", "rope_scaling_type", "pooling_type", "attention_type",
            "flash_attn_type")] + [
        (name, ctypes.c_float) for name in (
            "rope_freq_base", "rope_freq_scale", "yarn_ext_factor", "yarn_attn_factor", "yarn_beta_fast",
            "yarn_beta_slow")] + [
        ("yarn_orig_ctx", ctypes.c_uint32), ("defrag_thold", ctypes.c_float), ("cb_eval", ctypes.c_void_p),
        ("cb_eval_user_data", ctypes.c_void_p), ("type_k", ctypes.c_int), ("type_v", ctypes.c_int),
        ("moe_cache_size", ctypes.c_size_t), ("abort_callback", ctypes.c_void_p),
        ("abort_callback_data", ctypes.c_void_p), ("embeddings", ctypes.c_bool), ("rest", ctypes.c_byte * 255)]


class ModelParameters(ctypes.Structure):
    """llama_model_params, whose defaults are used."""
    _fields_ = [("all", ctypes.c_int64 * 32)]


class Batch(ctypes.Structure):
    _fields_ = [("n_tokens", ctypes.c_int32), ("token", ctypes.POINTER(ctypes.c_int32)), ("embd", ctypes.c_void_p),
                ("pos", ctypes.c_void_p), ("n_seq_id", ctypes.c_void_p), ("seq_id", ctypes.c_void_p),
                ("logits", ctypes.POINTER(ctypes.c_int8))]


def batch(tokens):
    count = len(tokens)
    outputs = (ctypes.c_int8 * count)(*[1] * count)
    return Batch(count, (ctypes.c_int32 * count)(*tokens), None, None, None, None, outputs)


llama = ctypes.CDLL(library)
for name, result, arguments in (
        ("llama_model_default_params", ModelParameters, []),
        ("llama_context_default_params", Parameters, []),
        ("llama_model_load_from_file", ctypes.c_void_p, [ctypes.c_char_p, ModelParameters]),
        ("llama_init_from_model", ctypes.c_void_p, [ctypes.c_void_p, Parameters]),
        ("llama_encode", ctypes.c_int32, [ctypes.c_void_p, Batch]),
        ("llama_decode", ctypes.c_int32, [ctypes.c_void_p, Batch]),
        ("llama_get_logits_ith", ctypes.POINTER(ctypes.c_float), [ctypes.c_void_p, ctypes.c_int32]),
        ("llama_get_embeddings_seq", ctypes.POINTER(ctypes.c_float), [ctypes.c_void_p, ctypes.c_int32]),
        ("llama_model_n_cls_out", ctypes.c_uint32, [ctypes.c_void_p]),
        ("llama_model_get_vocab", ctypes.c_void_p, [ctypes.c_void_p]),
        ("llama_vocab_n_tokens", ctypes.c_int32, [ctypes.c_void_p])):
    function = getattr(llama, name)
    function.restype, function.argtypes = result, arguments

ctypes.CDLL("libggml.so.0").ggml_backend_load_all()
llama.llama_backend_init()
model = llama.llama_model_load_from_file(model_file.encode(), llama.llama_model_default_params())
parameters = llama.llama_context_default_params()
parameters.type_k = parameters.type_v = parameters.flash_attn_type = 0  # float32, none
parameters.n_threads = parameters.n_threads_batch = 1
parameters.embeddings = len(texts) == 1
context = model and llama.llama_init_from_model(model, parameters)
if not context:
    sys.exit("llama.cpp does not open " + model_file)
if llama.llama_encode(context, batch(texts[0])) != 0:
    sys.exit("llama.cpp does not compute " + model_file)
if len(texts) == 1:
    scores = llama.llama_get_embeddings_seq(context, 0)[:llama.llama_model_n_cls_out(model)]
    print(" ".join(repr(score) for score in scores))
    sys.exit()
if llama.llama_decode(context, batch(texts[1])) != 0:
    sys.exit("llama.cpp does not compute " + model_file)
size = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(model))
for place in range(len(texts[1])):
    scores = llama.llama_get_logits_ith(context, place)[:size]
    most = max(scores)
    whole = most + math.log(sum(math.exp(score - most) for score in scores))
    print(" ".join(repr(score - whole) for score in scores))
