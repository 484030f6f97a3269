namespace LowRank.Adapters.Methods.BitFit;

/// <summary>Only the biases of the base are trained.</summary>
public sealed class BitFitMethod : IAdapterMethod
{
    /// <inheritdoc/>
    public string Name => "bitfit";

    /// <inheritdoc/>
    public string Title => "BitFit";

    /// <inheritdoc/>
    public string Paper => "arXiv 2106.10199";

    /// <inheritdoc/>
    public string Summary => "Only the biases of the base are trained.";

    /// <inheritdoc/>
    public IReadOnlyList<string> Keys { get; } = ["modules_to_save"];

    /// <inheritdoc/>
    public double DefaultLearningRate => 1e-3;

    /// <inheritdoc/>
    public ITrainingRules Rules(Adapter adapter, MethodOptions options) => new BitFitRules(adapter);

    /// <inheritdoc/>
    public LoraConfig Configure(LoraConfig shared, MethodOptions options) => shared with { Bias = BiasTraining.All, Rank = 1, Alpha = 1 };
}
