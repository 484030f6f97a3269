namespace LowRank.Adapters.Methods.LoKr;

/// <summary>How a weight [out, in] is split into the Kronecker product of W₁ [o₁, i₁] and W₂ [o₂, i₂], with out = o₁·o₂ and
/// in = i₁·i₂, and which of the two are products of low rank.</summary>
/// <param name="Tensors">The tensors by what follows the module's path in their keys.</param>
internal sealed record KroneckerShape(IReadOnlyList<(string Ending, int Rows, int Columns)> Tensors)
{
    /// <summary>The split that PEFT makes (LoKrLayer.update_layer).</summary>
    public static KroneckerShape Of(LoraConfig config, int rank, int outputs, int inputs)
    {
        int factor = config.Whole("decompose_factor");
        (int o1, int o2) = Factors(outputs, factor);
        (int i1, int i2) = Factors(inputs, factor);
        bool splitsFirst = config.Flag("decompose_both") && rank < Math.Max(o1, i1) / 2.0, splitsSecond = rank < Math.Max(o2, i2) / 2.0;
        return new KroneckerShape(
        [
            .. Part(".lokr_w1", o1, i1, rank, splitsFirst),
            .. Part(".lokr_w2", o2, i2, rank, splitsSecond),
        ]);
    }

    /// <summary>Which tensor begins as zero, so that nothing changes: W₁, or with "lycoris" W₂; none with false.</summary>
    public string ZeroAtStart(string initial)
    {
        if (initial is "false" or "null") return "";
        string part = initial == "lycoris" ? ".lokr_w2" : ".lokr_w1";
        bool isSplit = Tensors.Any(tensor => tensor.Ending == part + "_a");
        if (!isSplit) return part;
        return initial == "lycoris" ? part + "_b" : part + "_a";
    }

    // The two factors of a number that are nearest to each other, the first at most `most`; most −1 sets no limit.
    internal static (int Small, int Large) Factors(int number, int most)
    {
        if (most > 0 && number % most == 0) return (most, number / most);
        if (most == -1) most = number;
        int small = 1;
        for (int candidate = 2; (long)candidate * candidate <= number && candidate <= most; candidate++)
            if (number % candidate == 0) small = candidate;
        return (small, number / small);
    }

    private static IEnumerable<(string, int, int)> Part(string ending, int rows, int columns, int rank, bool isSplit) =>
        isSplit ? [(ending + "_a", rows, rank), (ending + "_b", rank, columns)] : [(ending, rows, columns)];
}
