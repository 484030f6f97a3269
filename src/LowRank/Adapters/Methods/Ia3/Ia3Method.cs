namespace LowRank.Adapters.Methods.Ia3;

/// <summary>A trained vector scales keys, values and the inputs of feed-forward layers: the fewest weights of all.</summary>
public sealed class Ia3Method : IAdapterMethod
{
    /// <inheritdoc/>
    public string Name => "ia3";

    /// <inheritdoc/>
    public string Title => "IA3";

    /// <inheritdoc/>
    public string Paper => "arXiv 2205.05638";

    /// <inheritdoc/>
    public string Summary => "A trained vector scales keys, values and the inputs of feed-forward layers: the fewest weights of all.";

    /// <inheritdoc/>
    public IReadOnlyList<string> Keys { get; } = ["target_modules", "exclude_modules", "modules_to_save"];

    /// <inheritdoc/>
    public IReadOnlyList<MethodOption> Options { get; } =
        [new("feedforward_modules", null, "names among target_modules whose input is scaled, not their output; the default of the model type") { Type = typeof(IReadOnlyList<string>) }];

    /// <inheritdoc/>
    public double DefaultLearningRate => 3e-3;

    /// <inheritdoc/>
    public LoraConfig Configure(LoraConfig shared, MethodOptions options) => shared with
    {
        PeftType = "IA3",
        OtherKeys = options.Texts("feedforward_modules") is { } modules ? OwnKeys.With(shared, ("feedforward_modules", modules)) : shared.OtherKeys,
    };
}
