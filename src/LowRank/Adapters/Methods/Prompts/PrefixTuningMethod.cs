namespace LowRank.Adapters.Methods.Prompts;

/// <summary>Trained keys and values before every text, in every layer.</summary>
public sealed class PrefixTuningMethod : IAdapterMethod
{
    /// <inheritdoc/>
    public string Name => "prefix_tuning";

    /// <inheritdoc/>
    public string Title => "prefix tuning";

    /// <inheritdoc/>
    public string Paper => "arXiv 2101.00190";

    /// <inheritdoc/>
    public string Summary => "Trained keys and values before every text, in every layer; decoders only, nothing to merge.";

    /// <inheritdoc/>
    public IReadOnlyList<string> Keys => [];

    /// <inheritdoc/>
    public IReadOnlyList<MethodOption> Options { get; } = [new("virtual_tokens", 20, "how many positions") { Least = 1, Most = int.MaxValue }];

    /// <inheritdoc/>
    public double DefaultLearningRate => 1e-2;

    /// <inheritdoc/>
    public LoraConfig Configure(LoraConfig shared, MethodOptions options) =>
        shared with { PeftType = "PREFIX_TUNING", OtherKeys = OwnKeys.With(shared, ("num_virtual_tokens", options.Whole("virtual_tokens"))) };
}
