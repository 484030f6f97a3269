namespace LowRank.Adapters.Methods.Lora;

/// <summary>LoRA whose A begins along the directions in which the layer inputs of the data vary most; ranks go where they explain most.</summary>
public sealed class EvaMethod : IAdapterMethod
{
    /// <inheritdoc/>
    public string Name => "eva";

    /// <inheritdoc/>
    public string Title => "EVA";

    /// <inheritdoc/>
    public string Paper => "arXiv 2410.07170";

    /// <inheritdoc/>
    public string Summary => "LoRA whose A begins along the directions in which the layer inputs of the data vary most; ranks go where they explain most.";

    /// <inheritdoc/>
    public IReadOnlyList<string> Keys { get; } = [.. AdapterMethods.PairKeys.Where(key => key is not "trainable_token_indices" and not "new_tokens")];

    /// <inheritdoc/>
    public IReadOnlyList<MethodOption> Options { get; } =
    [
        new("rho", 2.0, "a layer may get at most rho times the rank; 1 gives every layer the same") { Least = 1 },
        new("examples", 64, "examples of the training data to look at") { Least = 1, Most = int.MaxValue },
        new("use_label_mask", true, "look only at positions with labels"),
        new("whiten", false, "divide each direction by the root of its singular value"),
        new("adjust_scaling_factors", true, "keep the scale of layers whose rank changes"),
    ];

    /// <inheritdoc/>
    public int CalibrationExamples(MethodOptions options) => options.Whole("examples");

    /// <inheritdoc/>
    public LoraConfig Configure(LoraConfig shared, MethodOptions options) => shared with
    {
        InitialWeights = InitialWeights.Method("eva"),
        OtherKeys = OwnKeys.With(shared, "eva_config", new SortedDictionary<string, object?>(StringComparer.Ordinal)
        {
            ["adjust_scaling_factors"] = options.Flag("adjust_scaling_factors"), ["label_mask_value"] = -100, ["rho"] = options.Number("rho"),
            ["tau"] = 0.99, ["use_label_mask"] = options.Flag("use_label_mask"), ["whiten"] = options.Flag("whiten"),
        }),
    };
}
