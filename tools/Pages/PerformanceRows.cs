using static LowRank.Pages.PerformanceRow;

namespace LowRank.Pages;

/// <summary>The rows of the tables of docs/performance.md.</summary>
internal static class PerformanceRows
{
    private const string Times = "0.00", Share = "0%", Whole = "0", Tenths = "0.0", Megabytes = "0,,";

    // The steps beside PEFT are the same.
    private static readonly string[] Gpt2 = ["train", "peft_gpt2"];

    // The steps beside llama.cpp are the same, with one sequence alone.
    private static readonly string[] Llama160 = ["generate_llama", "llama_cpp"];

    private static readonly string[] Formats = ["float32", "bfloat16", "int8", "nf4"];

    /// <summary>What a reader wants to know first.</summary>
    public static IReadOnlyList<PerformanceRow> Headlines { get; } =
    [
        TimesPeft("**training**: GPT-2 small, times PEFT", "peft_gpt2"),
        Of("llama-160m, times PEFT", Times, "peft_llama", "of_beside"),
        OfFirst("GPT-2 small, share of the limit", Share, Gpt2, "share_of_limit"),
        Of("llama-160m, share of the limit", Share, "peft_llama", "share_of_limit"),
        Of("GPT-2 small with `compute_dtype: bfloat16`, times float32", Times, "train_bfloat16", "of_float32"),
        Of("two layers of llama-1b with it, times float32", Times, "train_bfloat16_llama", "of_float32"),
        MemoryOfPeft("GPT-2 small, memory of the whole process as a share of PEFT's", "peft_gpt2"),
        OfFirst("**generation** of one sequence, float32: llama-160m, share of the limit", Share, Llama160,
            "float32.share_of_limit"),
        Of("GPT-2 small, share of the limit", Share, "generate", "share_of_limit"),
        .. Formats.Skip(1).Select(format =>
            OfFirst($"{format}, times float32 (llama-160m)", Times, Llama160, $"{format}.of_float32")),
        Of("float32, times llama.cpp's f32", Times, "llama_cpp", "float32.llama_cpp.of_llama_cpp"),
        Of("bfloat16, times llama.cpp's bf16", Times, "llama_cpp", "bfloat16.llama_cpp.of_llama_cpp"),
        Of("int8, times llama.cpp's q8_0", Times, "llama_cpp", "int8.llama_cpp.of_llama_cpp"),
        Of("**8 sequences**, float32, times one (llama-160m)", Times, "generate_llama", "float32.batch_speedup"),
        OfFirst("**a prompt**, float32, share of the limit (llama-160m)", Share, Llama160,
            "float32.prompt_share_of_limit"),
        Of("float32, times llama.cpp's f32", Times, "llama_cpp", "float32.llama_cpp.prompt_of_llama_cpp"),
    ];

    /// <summary>Training steps.</summary>
    public static IReadOnlyList<PerformanceRow> Training { get; } =
    [
        .. Steps("GPT-2 small, rank 8 on `c_attn`", Gpt2),
        .. Steps("the same with `gradient_checkpointing`", "train_checkpointing"),
        .. Steps("GPT-2 small, rank 8 on all linear layers", "train_all_linear"),
        .. Steps("llama-160m, rank 8 on `q_proj` and `v_proj`", "peft_llama"),
    ];

    /// <summary>Generation.</summary>
    public static IReadOnlyList<PerformanceRow> Generation { get; } =
    [
        .. Formats.SelectMany(format => Generated($"llama-160m, {format}", "generate_llama", format + ".")),
        .. Generated("GPT-2 small, float32", "generate", ""),
        Of("what an unmerged adapter of rank 8 adds to a step", "0.0%", "generate", "adapter_cost"),
        Of("to a step of 8 sequences", "0.0%", "generate", "batch_adapter_cost"),
        Of("to a prompt", "0.0%", "generate", "prompt_adapter_cost"),
        Of("memory beside the weights, MB", Megabytes, "generate", "peak_memory_bytes"),
    ];

    /// <summary>Beside llama.cpp.</summary>
    public static IReadOnlyList<PerformanceRow> Llama { get; } =
        [.. Formats.Take(3).Zip(["f32", "bf16", "q8_0"]).SelectMany(pair => Beside(pair.First, pair.Second))];

    /// <summary>Texts that are served.</summary>
    public static IReadOnlyList<PerformanceRow> Serving { get; } =
    [
        .. Served("float32", "serve", "f32"),
        .. Served("int8", "serve_int8", "q8_0"),
    ];

    /// <summary>Rows of natural length.</summary>
    public static IReadOnlyList<PerformanceRow> Lengths { get; } =
    [
        Of("rows packed without padding, logits of labelled positions", Times, "lengths", "packed_speedup"),
        Of("also with prompts computed once (`share_prompts: grouped`)", Times, "lengths", "shared_speedup"),
        Of("the same, against a plain loop over the same rows", Times, "lengths", "shared_speedup_on_same_rows"),
    ];

    private static PerformanceRow[] Steps(string name, params string[] files) =>
    [
        OfFirst($"**{name}**: tokens per second", Whole, files, "tokens_per_second"),
        OfFirst("share of the limit", Share, files, "share_of_limit"),
        OfFirst("the limit, GFLOP/s", Whole + ",,,", files, "gemm_flops_per_second"),
        OfFirst("seconds per step", Times, files, "step_seconds"),
        OfFirst("peak memory beside the weights, MB", Megabytes, files, "peak_memory_bytes"),
    ];

    private static PerformanceRow[] Generated(string name, string file, string prefix) =>
    [
        Of($"**{name}**: tokens per second", Tenths, file, prefix + "tokens_per_second"),
        Of("share of the limit", Share, file, prefix + "share_of_limit"),
        Of("the limit, GB/s", "0,,,.0", file, prefix + "read_bytes_per_second"),
        Of("read per token, MB", Megabytes, file, prefix + "bytes_per_token"),
        Of("8 sequences: tokens per second", Whole, file, prefix + "batch_tokens_per_second"),
        Of("times one sequence", Times, file, prefix + "batch_speedup"),
        Of("a prompt: tokens per second", Whole, file, prefix + "prompt_tokens_per_second"),
        Of("share of the limit", Share, file, prefix + "prompt_share_of_limit"),
    ];

    private static PerformanceRow[] Beside(string format, string type)
    {
        string other = $"{format}.llama_cpp.";
        return
        [
            Of($"**{format}**: tokens per second", Tenths, "llama_cpp", $"{format}.mean_tokens_per_second"),
            Of($"llama.cpp's {type}", Tenths, "llama_cpp", other + "tokens_per_second"),
            Of("times llama.cpp", Times, "llama_cpp", other + "of_llama_cpp"),
            Of("a prompt: tokens per second", Whole, "llama_cpp", $"{format}.prompt_tokens_per_second"),
            Of($"llama.cpp's {type}", Whole, "llama_cpp", other + "prompt_tokens_per_second"),
            Of("times llama.cpp", Times, "llama_cpp", other + "prompt_of_llama_cpp"),
        ];
    }

    private static PerformanceRow[] Served(string format, string file, string type) =>
    [
        Of($"**{format}, one text**: tokens per second", Tenths, file, "tokens_per_second"),
        Of("times llama-bench, " + type, Times, file, "llama_bench.of_llama_bench"),
        Of("what the engine adds to a step", "0.0%", file, "engine_cost"),
        Of("what an unmerged adapter of rank 16 adds to it", "0.0%", file, "adapter_cost"),
        Of("its prompt: tokens per second", Whole, file, "prompt_tokens_per_second"),
        Of("times llama-bench, " + type, Times, file, "llama_bench.prompt_of_llama_bench"),
        Of("**8 texts, 8 adapters**: tokens per second", Tenths, file, "adapters_tokens_per_second"),
        Of("what the adapters add to a step", "0.0%", file, "adapters_cost"),
        Of("llama-server: tokens per second", Tenths, file, "llama_server.adapters_tokens_per_second"),
        Of("times llama-server", Times, file, "llama_server.of_llama_server"),
        Of("with their prompts, times llama-server", Times, file, "llama_server.whole_of_llama_server"),
        Of("llama-server, 8 texts with the base alone: tokens per second", Tenths, file,
            "llama_server.base_tokens_per_second"),
        Of("the first token of a prompt that comes again, of a new one's time", Share, file, "repeated_of_first"),
        Of("prompt lookup on a text that quotes its prompt, times without", Times, file, "lookup_speedup"),
        Of("tokens per step with it", Times, file, "lookup_tokens_per_step"),
    ];

    // Before the two were measured in one run, PEFT was timed alone, in the same session.
    private static PerformanceRow TimesPeft(string label, string file) => new(label, Times, [file, "peft", "train"],
        find => Number(find(file), "of_beside")
        ?? Number(find("train"), "tokens_per_second") / Number(find("peft"), "tokens_per_second"));

    private static PerformanceRow MemoryOfPeft(string label, string file) => new(label, Share, [file, "peft", "train"],
        find => find(file) is { } beside
        ? (Number(beside, "peak_memory_bytes") + Number(beside, "weights_bytes")) / Number(beside, "beside.peak_bytes")
        : (Number(find("train"), "peak_memory_bytes") + Number(find("train"), "weights_bytes"))
        / Number(find("peft"), "peak_bytes"));
}
