namespace LowRank.Models;

/// <summary>Keys of <c>config.json</c> that do not affect a model's computation: how the file was created, how
/// transformers reports, generates or trains, and what its other classes need.</summary>
internal static class InertConfigKeys
{
    private static readonly HashSet<string> Keys =
    [
        // How the file was created.
        "model_type", "architectures", "auto_map", "transformers_version", "torch_dtype", "dtype", "_name_or_path",
            "name_or_path", "_attn_implementation",
        "_attn_implementation_autoset", "attn_implementation", "finetuning_task", "tokenizer_class", "unsloth_version",
            "unsloth_fixed",
        // What transformers returns and how it runs.
        "return_dict", "return_dict_in_generate", "output_attentions", "output_hidden_states", "output_past",
            "output_scores", "use_cache", "use_return_dict",
        "torchscript", "use_bfloat16", "tf_legacy_loss", "gradient_checkpointing", "chunk_size_feed_forward",
            "pretraining_tp", "reference_compile",
        "deterministic_flash_attn", "repad_logits_with_grad", "sparse_prediction", "sparse_pred_ignore_index",
            "reorder_and_upcast_attn",
        "scale_attn_by_inverse_layer_idx", "cache_implementation", "use_flash_attn", "is_encoder_decoder", "is_decoder",
            "add_cross_attention",
        // Tokens and labels, read by the tokenizer, the generation settings and the tasks.
        "bos_token_id", "eos_token_id", "pad_token_id", "unk_token_id", "sep_token_id", "cls_token_id", "mask_token_id",
            "decoder_start_token_id",
        "forced_bos_token_id", "forced_eos_token_id", "id2label", "label2id", "num_labels", "problem_type", "prefix",
            "task_specific_params",
        // Generation settings, which the user specifies.
        "max_length", "min_length", "max_new_tokens", "do_sample", "early_stopping", "num_beams", "num_beam_groups",
            "diversity_penalty", "temperature", "top_k",
        "top_p", "typical_p", "repetition_penalty", "length_penalty", "no_repeat_ngram_size",
            "encoder_no_repeat_ngram_size", "bad_words_ids",
        "num_return_sequences", "remove_invalid_values", "exponential_decay_length_penalty", "suppress_tokens",
            "begin_suppress_tokens",
        // Initial values for pretraining, and losses used only there.
        "initializer_range", "initializer_factor", "initializer_cutoff_factor", "init_std", "router_aux_loss_coef",
            "output_router_logits", "router_jitter_noise",
        // Values that the family's other keys already imply, or that its other classes need.
        "n_ctx", "summary_activation", "summary_first_dropout", "summary_proj_to_labels", "summary_type",
            "summary_use_proj", "is_gated_act", "dense_act_fn",
        "cross_attention_hidden_size", "tie_encoder_decoder", "directionality", "pooler_fc_size",
            "pooler_num_attention_heads", "pooler_num_fc_layers",
        // distilbert: how positions were initialised; the checkpoint contains them
        "pooler_size_per_head", "pooler_type", "sinusoidal_pos_embds",
        // bloom: how Megatron computed, with the same results
        "attention_softmax_in_fp32", "bias_dropout_fusion", "masked_softmax_fusion", "offset_alibi", "skip_bias_add",
            "skip_bias_add_qkv", "slow_but_exact",
        "embd_pdrop", // phi3: transformers has no dropout there
        "classifier_dropout", // t5, which has no classifier here; the families that have one read it
        "original_max_position_embeddings", // phi3: read where the settings of the rotary positions lack it
    ];

    /// <summary>Whether a key has no effect.</summary>
    public static bool Contains(string key) => Keys.Contains(key);
}
