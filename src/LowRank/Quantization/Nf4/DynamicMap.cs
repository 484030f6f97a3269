namespace LowRank.Quantization;

/// <summary>The 256 values of bitsandbytes' signed dynamic 8-bit type (arXiv 1511.04561; bitsandbytes <c>create_dynamic_map</c>):
/// for each power of ten from 10⁻⁶ to 1 twice as many values as for the one below, in the middle of equal parts of [0.1, 1]; their
/// negatives, 0 and 1.</summary>
internal static class DynamicMap
{
    /// <summary>The values, ascending.</summary>
    public static float[] Values { get; } = Make();

    /// <summary>Halfway between neighbours: a value above the i-th of them is nearer to the next.</summary>
    public static float[] Bounds { get; } = [.. Values.Zip(Values.Skip(1), (below, above) => (below + above) / 2)];

    private static float[] Make()
    {
        const int Powers = 7;
        var values = new List<float> { 0, 1 };
        for (int power = 0; power < Powers; power++)
        {
            int parts = 1 << power;
            float factor = (float)Math.Pow(10, power - (Powers - 1));
            for (int part = 0; part < parts; part++)
            {
                float middle = (Edge(part, parts) + Edge(part + 1, parts)) / 2;
                values.Add(factor * middle);
                values.Add(-factor * middle);
            }
        }
        values.Sort();
        return [.. values];
    }

    // Counted from the nearer end in float32, as torch.linspace does on processors with a fused multiply-add: published maps have its bits.
    private static float Edge(int index, int parts)
    {
        const float From = 0.1f, To = 1;
        float step = (To - From) / parts;
        return index < (parts + 1) / 2 ? MathF.FusedMultiplyAdd(step, index, From) : MathF.FusedMultiplyAdd(-step, parts - index, To);
    }
}
