namespace LowRank.Adapters.Methods.Lora;

/// <summary>LoRA whose A and B both begin random, in complementary directions, so that their product is zero.</summary>
public sealed class OrthogonalMethod : IAdapterMethod
{
    /// <inheritdoc/>
    public string Name => "orthogonal";

    /// <inheritdoc/>
    public string Title => "LoRA, orthogonal start";

    /// <inheritdoc/>
    public string Paper => "datta0.github.io/posts/rethink-lora-init";

    /// <inheritdoc/>
    public string Summary => "LoRA whose A and B both begin random, in complementary directions, so that their product is zero.";

    /// <inheritdoc/>
    public IReadOnlyList<string> Keys => AdapterMethods.PairKeys;

    /// <inheritdoc/>
    public LoraConfig Configure(LoraConfig shared, MethodOptions options) => shared with { InitialWeights = InitialWeights.Method("orthogonal") };
}
