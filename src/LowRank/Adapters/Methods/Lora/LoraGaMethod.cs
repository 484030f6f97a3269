namespace LowRank.Adapters.Methods.Lora;

/// <summary>LoRA whose pairs begin along the largest directions of the weights' gradients.</summary>
public sealed class LoraGaMethod : IAdapterMethod
{
    /// <inheritdoc/>
    public string Name => "lora_ga";

    /// <inheritdoc/>
    public string Title => "LoRA-GA";

    /// <inheritdoc/>
    public string Paper => "arXiv 2407.05000";

    /// <inheritdoc/>
    public string Summary => "LoRA whose pairs begin along the largest directions of the weights' gradients.";

    /// <inheritdoc/>
    public IReadOnlyList<string> Keys => AdapterMethods.PairKeys;

    /// <inheritdoc/>
    public IReadOnlyList<MethodOption> Options { get; } =
    [
        new("direction", "ArB2r", "which directions go to A and which to B") { Choices = ["ArBr", "A2rBr", "ArB2r", "random"] },
        new("scale", "stable", "how the pairs are scaled") { Choices = ["stable", "weight_svd", "gd_scale", "unit"] },
        new("stable_gamma", 16, "the gamma of the stable scale")
        {
            Least = 1, Most = int.MaxValue, Unless = options => options.Text("scale") == "stable" ? null : $"has no effect with scale: {options.Text("scale")}; remove it, or set scale: stable",
        },
        new("examples", 32, "examples of the training data to look at") { Least = 1, Most = int.MaxValue },
    ];

    /// <inheritdoc/>
    public int CalibrationExamples(MethodOptions options) => options.Whole("examples");

    /// <inheritdoc/>
    public LoraConfig Configure(LoraConfig shared, MethodOptions options) => shared with
    {
        InitialWeights = InitialWeights.Method("lora_ga"),
        OtherKeys = OwnKeys.With(shared, "lora_ga_config", new SortedDictionary<string, object?>(StringComparer.Ordinal)
        {
            ["direction"] = options.Text("direction"), ["scale"] = options.Text("scale"), ["stable_gamma"] = options.Whole("stable_gamma"),
        }),
    };
}
