namespace LowRank.Adapters.Methods.AdaLora;

/// <summary>Pairs in the form of a singular value decomposition, whose directions are given to the layers where they matter.</summary>
public sealed class AdaLoraMethod : IAdapterMethod
{
    /// <inheritdoc/>
    public string Name => "adalora";

    /// <inheritdoc/>
    public string Title => "AdaLoRA";

    /// <inheritdoc/>
    public string Paper => "arXiv 2303.10512";

    /// <inheritdoc/>
    public string Summary => "Pairs in the form of a singular value decomposition, whose directions are given to the layers where they matter.";

    /// <inheritdoc/>
    public IReadOnlyList<string> Keys { get; } = [.. AdapterMethods.TargetKeys, "rank", "alpha", "dropout", "bias"];

    /// <inheritdoc/>
    public IReadOnlyList<MethodOption> Options { get; } =
    [
        new("initial_rank", 0, "rank of every layer at the start; 0 takes one and a half times the rank") { Most = int.MaxValue },
        new("start_steps", 0, "steps before directions are dropped") { Most = int.MaxValue },
        new("final_steps", 0, "last steps, in which the directions stay as they are") { Most = int.MaxValue },
        new("interval", 1, "steps between two choices of directions") { Least = 1, Most = int.MaxValue },
        new("beta1", 0.85, "how slowly the importance of a weight changes") { Least = 1e-6, Most = 0.999999 },
        new("beta2", 0.85, "how slowly the uncertainty of its importance changes") { Least = 1e-6, Most = 0.999999 },
        new("orthogonal_weight", 0.5, "weight of the penalty that keeps A and B orthogonal"),
    ];

    /// <inheritdoc/>
    public double DefaultLearningRate => 1e-3;

    /// <inheritdoc/>
    public ITrainingRules Rules(Adapter adapter, MethodOptions options) => new AdaLoraRules(adapter);

    /// <inheritdoc/>
    public LoraConfig Configure(LoraConfig shared, MethodOptions options) => shared with
    {
        PeftType = "ADALORA",
        OtherKeys = OwnKeys.With(shared, ("init_r", options.Whole("initial_rank") is > 0 and var rank ? rank : (shared.Rank * 3 + 1) / 2), ("target_r", shared.Rank),
            ("tinit", options.Whole("start_steps")), ("tfinal", options.Whole("final_steps")), ("deltaT", options.Whole("interval")),
            ("beta1", options.Number("beta1")), ("beta2", options.Number("beta2")), ("orth_reg_weight", options.Number("orthogonal_weight"))),
    };
}
