using System.Globalization;

namespace LowRank.Samples.Understanding;

/// <summary>Every run of the pages.</summary>
internal static class Experiments
{
    /// <summary>Steps of every run: enough to tell settings apart, not to finish.</summary>
    public const int Steps = 40;

    // The rate near which LoRA on all linear layers does best on this small base; see the group "rate".
    private const string Rate = "training.learning_rate=5e-3";

    private static readonly string[] Methods =
        ["lora", "rslora", "dora", "pissa", "olora", "orthogonal", "eva", "corda", "lora_ga", "lora_plus", "lora_fa", "adalora", "vera", "loha", "lokr", "ia3", "prompt_tuning", "prefix_tuning"];

    public static IReadOnlyList<Experiment> All { get; } =
    [
        .. new[] { 1, 2, 4, 8, 16, 32 }.Select(rank => new Experiment("rank", $"rank {rank}", rank, $"adapter.rank={rank}", $"adapter.alpha={2 * rank}", "adapter.target_modules=all-linear", Rate)),
        .. Rates("rate", "LoRA", [2e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2], "adapter.rank=8", "adapter.target_modules=all-linear"),
        .. Rates("rate", "full", [2e-5, 1e-4, 5e-4, 1e-3, 2e-3, 5e-3], "adapter.method=full"),
        .. Rates("head", "head", [1e-3, 5e-3, 2e-2], "adapter.rank=1", "adapter.target_modules=[model.layers.0.self_attn.v_proj]", "adapter.modules_to_save=[embed_tokens]"),
        Layers("q_proj, v_proj", "adapter.target_modules=[q_proj, v_proj]", 16),
        Layers("all of attention", "adapter.target_modules=[q_proj, k_proj, v_proj, o_proj]", 16),
        Layers("all of the MLP", "adapter.target_modules=[gate_proj, up_proj, down_proj]", 8),
        Layers("every linear layer", "adapter.target_modules=all-linear", 8),
        Layers("the lower layers (0, 1)", "adapter.target_modules=all-linear", 16, "adapter.layers_to_transform=[0, 1]"),
        Layers("the upper layers (3, 4)", "adapter.target_modules=all-linear", 16, "adapter.layers_to_transform=[3, 4]"),
        .. Methods.SelectMany(method => Rates("methods", method, RatesOf(method),
            method is "prompt_tuning" or "prefix_tuning" or "ia3" ? [$"adapter.method={method}"] : [$"adapter.method={method}", "adapter.target_modules=all-linear"])),
    ];

    // Methods that train far fewer weights want higher rates.
    private static double[] RatesOf(string method) => method is "vera" or "ia3" or "prompt_tuning" or "prefix_tuning" ? [1e-2, 5e-2] : [2e-3, 1e-2];

    private static Experiment Layers(string name, string targets, int rank, params string[] more) =>
        new("layers", name, 0, [targets, $"adapter.rank={rank}", $"adapter.alpha={2 * rank}", Rate, .. more]);

    private static IEnumerable<Experiment> Rates(string group, string name, double[] rates, params string[] settings) => rates.Select(rate =>
        new Experiment(group, $"{name} at {rate.ToString("0.#E+0", CultureInfo.InvariantCulture)}", rate, [.. settings, string.Create(CultureInfo.InvariantCulture, $"training.learning_rate={rate:R}")]));
}
