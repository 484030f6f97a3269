namespace LowRank.Models;

/// <summary>How rotary position embeddings derive their frequencies (RoFormer, arXiv 2104.09864, and its extensions).</summary>
/// <param name="Type">default, linear, dynamic, llama3, yarn or longrope.</param>
/// <param name="Theta">The base of the frequencies; 10,000 by default.</param>
/// <param name="Dimension">How many values of a head are rotated (even).</param>
/// <param name="MaxPositions">The model's max_position_embeddings.</param>
public sealed record RopeSettings(string Type, double Theta, int Dimension, int MaxPositions)
{
    /// <summary>How many times longer than the original the context is; for every type but default.</summary>
    public double Factor { get; init; } = 1;

    /// <summary>The context length before extension; for llama3, yarn and longrope.</summary>
    public int OriginalMaxPositions { get; init; }

    /// <summary>llama3: wavelengths above original length / this are fully stretched.</summary>
    public double LowFrequencyFactor { get; init; } = 1;

    /// <summary>llama3: wavelengths below original length / this are kept.</summary>
    public double HighFrequencyFactor { get; init; } = 4;

    /// <summary>yarn: rotations above which a dimension is extrapolated (YaRN, arXiv 2309.00071, section 3.2).</summary>
    public double BetaFast { get; init; } = 32;

    /// <summary>yarn: rotations below which a dimension is interpolated.</summary>
    public double BetaSlow { get; init; } = 1;

    /// <summary>longrope: the stretch of each frequency within the original length.</summary>
    public IReadOnlyList<double> ShortFactors { get; init; } = [];

    /// <summary>longrope: the stretch of each frequency beyond the original length.</summary>
    public IReadOnlyList<double> LongFactors { get; init; } = [];

    /// <summary>The factor on cosine and sine; null takes 0.1·ln(factor) + 1 (yarn) or √(1 + ln(factor)/ln(original length))
    /// (longrope).</summary>
    public double? AttentionFactor { get; init; }

    /// <summary>yarn: the numerator's scale of the attention factor, as DeepSeek's checkpoints give it.</summary>
    public double? MScale { get; init; }

    /// <summary>yarn: the denominator's scale of the attention factor.</summary>
    public double? MScaleAllDimensions { get; init; }

    /// <summary>yarn: whether the correction range is rounded to whole dimensions.</summary>
    public bool Truncate { get; init; } = true;

    /// <summary>The length beyond which every position turns differently, so that keys cached before do not fit keys made
    /// after; null where that never happens.</summary>
    public int? TurnsAnewBeyond => Type == "longrope" ? OriginalMaxPositions : null;
}
