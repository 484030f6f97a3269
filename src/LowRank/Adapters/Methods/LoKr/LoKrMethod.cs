namespace LowRank.Adapters.Methods.LoKr;

/// <summary>The change is the Kronecker product of two small matrices, one of them of low rank.</summary>
public sealed class LoKrMethod : IAdapterMethod
{
    /// <inheritdoc/>
    public string Name => "lokr";

    /// <inheritdoc/>
    public string Title => "LoKr";

    /// <inheritdoc/>
    public string Paper => "arXiv 2309.14859";

    /// <inheritdoc/>
    public string Summary => "The change is the Kronecker product of two small matrices, one of them of low rank.";

    /// <inheritdoc/>
    public IReadOnlyList<string> Keys { get; } = [.. AdapterMethods.TargetKeys, "rank", "alpha", "rank_pattern", "alpha_pattern"];

    /// <inheritdoc/>
    public IReadOnlyList<MethodOption> Options { get; } =
    [
        new("decompose_both", false, "whether the smaller matrix is of low rank too"),
        new("decompose_factor", -1, "size of the smaller matrix; -1 makes both as equal as they can be") { Least = -1, Most = int.MaxValue },
        new("rank_dropout", 0.0, "share of the outputs of the change that a step leaves out") { Most = 0.999 },
        new("rank_dropout_scale", false, "whether the others are then scaled up")
        {
            Unless = options => options.Flag("rank_dropout_scale") && options.Number("rank_dropout") == 0 ? "has no effect without rank_dropout; add that or remove this" : null,
        },
        new("module_dropout", 0.0, "how often a step leaves out a whole change") { Most = 0.999 },
    ];

    /// <inheritdoc/>
    public LoraConfig Configure(LoraConfig shared, MethodOptions options) => shared with
    {
        PeftType = "LOKR",
        OtherKeys = OwnKeys.With(shared, ("decompose_both", options.Flag("decompose_both")), ("decompose_factor", options.Whole("decompose_factor")),
            ("rank_dropout", options.Number("rank_dropout")), ("rank_dropout_scale", options.Flag("rank_dropout_scale")), ("module_dropout", options.Number("module_dropout"))),
    };
}
