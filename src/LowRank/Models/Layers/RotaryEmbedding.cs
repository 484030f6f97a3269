using LowRank.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models;

/// <summary>Rotary position embeddings: the cosines and sines by which <see cref="Rotary"/> rotates queries and
/// keys.</summary>
/// <remarks>Computed in float32, with the same operations as transformers' modeling_rope_utils.</remarks>
internal sealed class RotaryEmbedding : IDisposable
{
    private const int TableBlock = 256; // positions whose angles are computed at once
    private readonly RopeSettings settings;
    private readonly Tensor inverseFrequencies;
    private (Tensor Cosine, Tensor Sine)? table; // [positions, dimension / 2], of the first positions

    /// <summary>Derives the frequencies from the settings.</summary>
    public RotaryEmbedding(RopeSettings settings, Device device)
    {
        this.settings = settings;
        using var scope = NewDisposeScope();
        inverseFrequencies = InverseFrequencies(settings).to(device).DetachFromDisposeScope();
        Scaling = AttentionScaling(settings);
    }

    /// <summary>The factor on cosine and sine: 1 except for yarn and longrope.</summary>
    public double Scaling { get; }

    /// <summary>The number of positions whose cosine and sine do not depend on the longest text of a batch.</summary>
    /// <param name="settings">The settings; null without rotation.</param>
    public static long FreeLength(RopeSettings? settings) => settings?.Type switch
    {
        "dynamic" => settings.MaxPositions,
        "longrope" => settings.OriginalMaxPositions,
        _ => int.MaxValue,
    };

    /// <summary>Cosine and sine for positions.</summary>
    /// <param name="positions">Integers, [rows, sequence]; rows is the batch size or 1.</param>
    /// <param name="longest">The highest position plus one, which dynamic scaling depends on.</param>
    /// <returns>Tensors [rows, 1, sequence, dimension / 2]; the second axis broadcasts over heads.</returns>
    public RotaryAngles At(Tensor positions, long longest)
    {
        Tensor frequencies = settings.Type switch
        {
            "dynamic" when longest > settings.MaxPositions => Dynamic(longest).to(positions.device),
            "longrope" when longest > settings.OriginalMaxPositions =>
            LongRope(settings, settings.LongFactors).to(positions.device),
            _ => inverseFrequencies,
        };
        (Tensor cosine, Tensor sine) = Angles(positions, frequencies); // [rows, sequence, dimension / 2]
        return new(cosine.unsqueeze(1), sine.unsqueeze(1), settings.IsInterleaved, QueryScale(positions, longest));
    }

    /// <summary>Cosine and sine for positions below <see cref="FreeLength"/>, each the same to the last bit whatever
    /// positions are beside it.</summary>
    /// <param name="positions">Integers, [rows, sequence].</param>
    /// <param name="longest">The highest position plus one.</param>
    /// <returns>Tensors [rows, 1, sequence, dimension / 2], in the caller's dispose scope.</returns>
    public RotaryAngles Of(Tensor positions, long longest)
    {
        if (longest > FreeLength(settings))
            throw new ArgumentOutOfRangeException(
                nameof(longest), longest, "There the rotary positions depend on the longest text of a batch.");
        (Tensor cosines, Tensor sines) = Table(longest);
        Tensor Rows(Tensor all) => all.index_select(0, positions.reshape(-1))
            .view(positions.shape[0], 1, positions.shape[1], all.shape[1]);
        return new(Rows(cosines), Rows(sines), settings.IsInterleaved, QueryScale(positions, longest));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        inverseFrequencies.Dispose();
        table?.Cosine.Dispose();
        table?.Sine.Dispose();
    }

    // 1 + β·ln(1 + ⌊position / original length⌋) (Llama 4's temperature tuning), which is exactly 1 up to that length.
    private Tensor? QueryScale(Tensor positions, long longest)
    {
        if (settings.QueryScaleBeta == 0 || longest <= settings.OriginalMaxPositions) return null;
        Tensor times = (positions.to(ScalarType.Float32) / Number(settings.OriginalMaxPositions)).floor();
        return (times.log1p() * Number(settings.QueryScaleBeta)).Plus(1.0).unsqueeze(1).unsqueeze(-1);
    }

    // Torch's functions may round a number differently in another place of a tensor: so blocks of the same positions
    // are computed, whatever is asked for.
    private (Tensor Cosine, Tensor Sine) Table(long length)
    {
        if (table is { } known && known.Cosine.shape[0] >= length) return known;
        using var scope = NewDisposeScope();
        var blocks = new List<(Tensor Cosine, Tensor Sine)>();
        if (table is { } before) blocks.Add(before);
        for (long start = table?.Cosine.shape[0] ?? 0; start < length; start += TableBlock)
            blocks.Add(Angles(
                Indices(start, start + TableBlock, device: inverseFrequencies.device), inverseFrequencies));
        Tensor cosine = cat([.. blocks.Select(block => block.Cosine)]).DetachFromDisposeScope(),
            sine = cat([.. blocks.Select(block => block.Sine)]).DetachFromDisposeScope();
        table?.Cosine.Dispose();
        table?.Sine.Dispose();
        table = (cosine, sine);
        return (cosine, sine);
    }

    private (Tensor Cosine, Tensor Sine) Angles(Tensor positions, Tensor frequencies)
    {
        Tensor angles = positions.to(ScalarType.Float32).unsqueeze(-1) * frequencies;
        Tensor cosine = angles.cos(), sine = angles.sin();
        return Scaling == 1 ? (cosine, sine) : (cosine * Number(Scaling), sine * Number(Scaling));
    }

    /// <summary>The frequencies that the settings give for texts of the original length, [dimension / 2].</summary>
    internal static Tensor InverseFrequencies(RopeSettings s) => s.Type switch
    {
        "linear" => Plain(s.Theta, s.Dimension) / Number(s.Factor),
        "llama3" => Llama3(s),
        "yarn" => Yarn(s),
        "longrope" => LongRope(s, s.ShortFactors),
        _ => Plain(s.Theta, s.Dimension),
    };

    private static Tensor Plain(double theta, int dimension) => Number(1.0) / Powers(theta, dimension);

    private static Tensor Powers(double theta, int dimension) =>
        pow(tensor((float)theta), Indices(0, dimension, step: 2).to(ScalarType.Float32) / Number(dimension));

    // NTK-aware scaling by the current length: bloc97's "dynamic NTK", as in transformers.
    private Tensor Dynamic(long length)
    {
        double d = settings.Dimension;
        double stretch = settings.Factor * length / settings.MaxPositions - (settings.Factor - 1);
        return Plain(settings.Theta * Math.Pow(stretch, d / (d - 2)), settings.Dimension);
    }

    // LongRoPE (arXiv 2402.13753): a stretch for each frequency, with one set up to the original length and one beyond
    // it.
    private static Tensor LongRope(RopeSettings s, IReadOnlyList<double> factors) =>
        Number(1.0) / (tensor(factors.Select(factor => (float)factor).ToArray()) * Powers(s.Theta, s.Dimension));

    private static Tensor Llama3(RopeSettings s)
    {
        Tensor plain = Plain(s.Theta, s.Dimension);
        Tensor wavelength = Number(2 * Math.PI) / plain;
        double low = s.OriginalMaxPositions / s.LowFrequencyFactor,
            high = s.OriginalMaxPositions / s.HighFrequencyFactor;
        Tensor stretched = where(wavelength > Number(low), plain / Number(s.Factor), plain);
        Tensor smooth = (Number(s.OriginalMaxPositions) / wavelength - Number(s.LowFrequencyFactor)) / Number(
            s.HighFrequencyFactor - s.LowFrequencyFactor);
        Tensor smoothed = (Minus(1, smooth) * stretched / Number(s.Factor)).Plus(smooth * stretched);
        Tensor between = logical_not(wavelength < Number(high)) & logical_not(wavelength > Number(low));
        return where(between, smoothed, stretched);
    }

    private static Tensor Yarn(RopeSettings s)
    {
        Tensor powers = Powers(s.Theta, s.Dimension);
        Tensor extrapolated = Number(1.0) / powers, interpolated = Number(1.0) / (Number(s.Factor) * powers);
        double low = CorrectionDimension(s, s.BetaFast), high = CorrectionDimension(s, s.BetaSlow);
        if (s.Truncate) (low, high) = (Math.Floor(low), Math.Ceiling(high));
        (low, high) = (Math.Max(low, 0), Math.Min(high, s.Dimension - 1));
        if (low == high) high += 0.001; // no division by zero
        Tensor places = Indices(0, s.Dimension / 2, type: ScalarType.Float32);
        Tensor kept = Minus(1, ((places - Number(low)) / Number(high - low)).clamp(Number(0), Number(1)));
        return (interpolated * Minus(1, kept)).Plus(extrapolated * kept);
    }

    private static double CorrectionDimension(RopeSettings s, double rotations) =>
        s.Dimension * Math.Log(s.OriginalMaxPositions / (rotations * 2 * Math.PI)) / (2 * Math.Log(s.Theta));

    /// <summary>The factor on cosine and sine that settings give.</summary>
    internal static double AttentionScaling(RopeSettings s)
    {
        if (s.Type is not ("yarn" or "longrope")) return 1;
        if (s.AttentionFactor is { } given) return given;
        if (s.Type == "longrope")
            return s.Factor <= 1 ? 1 : Math.Sqrt(1 + Math.Log(s.Factor) / Math.Log(s.OriginalMaxPositions));
        static double MScale(double scale, double m) => scale <= 1 ? 1 : 0.1 * m * Math.Log(scale) + 1;
        return s is { MScale: > 0, MScaleAllDimensions: > 0 }
            ? MScale(s.Factor, s.MScale.Value) / MScale(s.Factor, s.MScaleAllDimensions.Value)
            : MScale(s.Factor, 1);
    }
}
