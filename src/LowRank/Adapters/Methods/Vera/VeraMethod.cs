namespace LowRank.Adapters.Methods.Vera;

/// <summary>One frozen random pair for all layers; two small vectors are trained in each.</summary>
public sealed class VeraMethod : IAdapterMethod
{
    /// <inheritdoc/>
    public string Name => "vera";

    /// <inheritdoc/>
    public string Title => "VeRA";

    /// <inheritdoc/>
    public string Paper => "arXiv 2310.11454";

    /// <inheritdoc/>
    public string Summary => "One frozen random pair for all layers; two small vectors are trained in each.";

    /// <inheritdoc/>
    public IReadOnlyList<string> Keys { get; } = [.. AdapterMethods.TargetKeys.Where(key => key != "exclude_modules"), "rank", "dropout", "bias"];

    /// <inheritdoc/>
    public IReadOnlyList<MethodOption> Options { get; } =
    [
        new("d_initial", 0.1, "first value of the vector over the rank"),
        new("projection_seed", 0, "seed of the random pair") { Most = int.MaxValue },
        new("save_projection", true, "keep the random pair in the file; otherwise it is drawn again from the seed"),
    ];

    /// <inheritdoc/>
    public int DefaultRank => 256;

    /// <inheritdoc/>
    public double DefaultLearningRate => 2e-3;

    /// <inheritdoc/>
    public LoraConfig Configure(LoraConfig shared, MethodOptions options) => shared with
    {
        PeftType = "VERA",
        OtherKeys = OwnKeys.With(shared, ("d_initial", options.Number("d_initial")), ("projection_prng_key", options.Whole("projection_seed")),
            ("save_projection", options.Flag("save_projection"))),
    };
}
