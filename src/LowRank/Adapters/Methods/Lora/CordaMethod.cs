namespace LowRank.Adapters.Methods.Lora;

/// <summary>LoRA whose pairs begin along the directions of the weights that the data uses most, or least.</summary>
public sealed class CordaMethod : IAdapterMethod
{
    /// <inheritdoc/>
    public string Name => "corda";

    /// <inheritdoc/>
    public string Title => "CorDA";

    /// <inheritdoc/>
    public string Paper => "arXiv 2406.05223";

    /// <inheritdoc/>
    public string Summary => "LoRA whose pairs begin along the directions of the weights that the data uses most, or least.";

    /// <inheritdoc/>
    public IReadOnlyList<string> Keys => AdapterMethods.PairKeys;

    /// <inheritdoc/>
    public IReadOnlyList<MethodOption> Options { get; } =
    [
        new("mode", "ipm", "ipm learns the new task fastest; kpm keeps what the base knows") { Choices = ["ipm", "kpm"] },
        new("examples", 64, "examples of the training data to look at") { Least = 1, Most = int.MaxValue },
    ];

    /// <inheritdoc/>
    public int CalibrationExamples(MethodOptions options) => options.Whole("examples");

    /// <inheritdoc/>
    public LoraConfig Configure(LoraConfig shared, MethodOptions options) => shared with
    {
        InitialWeights = InitialWeights.Method("corda"),
        OtherKeys = OwnKeys.With(shared, "corda_config", new SortedDictionary<string, object?>(StringComparer.Ordinal)
        {
            ["cache_file"] = null, ["corda_method"] = options.Text("mode"), ["covariance_file"] = null, ["prune_temporary_fields"] = true,
            ["use_float16_for_covariance"] = false, ["verbose"] = false,
        }),
    };
}
