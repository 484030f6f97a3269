namespace LowRank.Adapters.Methods.LoHa;

/// <summary>The change is the product, entry by entry, of two low-rank matrices: rank squared from twice the weights.</summary>
public sealed class LoHaMethod : IAdapterMethod
{
    /// <inheritdoc/>
    public string Name => "loha";

    /// <inheritdoc/>
    public string Title => "LoHa";

    /// <inheritdoc/>
    public string Paper => "arXiv 2108.06098";

    /// <inheritdoc/>
    public string Summary => "The change is the product, entry by entry, of two low-rank matrices: rank squared from twice the weights.";

    /// <inheritdoc/>
    public IReadOnlyList<string> Keys { get; } = [.. AdapterMethods.TargetKeys, "rank", "alpha", "rank_pattern", "alpha_pattern"];

    /// <inheritdoc/>
    public IReadOnlyList<MethodOption> Options { get; } =
    [
        new("rank_dropout", 0.0, "share of the outputs of the change that a step leaves out") { Most = 0.999 },
        new("module_dropout", 0.0, "how often a step leaves out a whole change") { Most = 0.999 },
    ];

    /// <inheritdoc/>
    public LoraConfig Configure(LoraConfig shared, MethodOptions options) => shared with
    {
        PeftType = "LOHA",
        OtherKeys = OwnKeys.With(shared, ("rank_dropout", options.Number("rank_dropout")), ("module_dropout", options.Number("module_dropout"))),
    };
}
