using TorchSharp;

namespace LowRank.Adapters.Combining;

/// <summary>How adapters are combined.</summary>
public sealed record CombineOptions
{
    /// <summary>Share of the values that is kept where the kind leaves values out, above 0 and at most 1; null for kinds that keep all.</summary>
    public double? Density { get; init; }

    /// <summary>The rank of the result where it comes from a singular value decomposition; null for the largest of the ranks.</summary>
    public int? Rank { get; init; }

    /// <summary>Seed of what is left out at random (DARE); 42.</summary>
    public long Seed { get; init; } = 42;

    /// <summary>Whether the sign of most values wins by their number ("frequency") or by their sum ("total", the default).</summary>
    public bool SignByFrequency { get; init; }

    /// <summary>Whether decompositions take each adapter's scale once. PEFT takes it twice, which is the default here too, so that
    /// results are the same.</summary>
    public bool ScaleOnce { get; init; }

    /// <summary>The source of randomness while an operation runs.</summary>
    internal torch.Generator Random { get; init; } = null!;
}
