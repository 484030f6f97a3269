namespace LowRank.Tokenization.Templates.Runtime;

/// <summary>The places that a slice takes from a sequence of known length.</summary>
/// <param name="Start">The first place, if there is one.</param>
/// <param name="Stop">The place that is not taken any more.</param>
/// <param name="Step">From one place to the next.</param>
/// <param name="Count">How many places.</param>
[System.Runtime.InteropServices.StructLayout(System.Runtime.InteropServices.LayoutKind.Auto)]
internal readonly record struct SliceRange(long Start, long Stop, long Step, long Count)
{
    /// <summary>Resolves the bounds as Python does: negative ones count from the end, those outside are cut.</summary>
    public static SliceRange Resolve(long length, long? start, long? stop, long step)
    {
        if (step == 0)
        {
            throw TemplateFault.Value("slice step cannot be zero");
        }

        var lower = step > 0 ? 0 : -1;
        var upper = step > 0 ? length : length - 1;
        var first = Clamp(start, length, lower, upper) ?? (step > 0 ? lower : upper);
        var end = Clamp(stop, length, lower, upper) ?? (step > 0 ? upper : lower);
        var distance = step > 0 ? end - first : first - end;
        var count = distance <= 0 ? 0 : ((distance - 1) / Math.Abs(step)) + 1;
        return new SliceRange(first, end, step, count);
    }

    private static long? Clamp(long? bound, long length, long lower, long upper) => bound is not { } value
        ? null
        : Math.Clamp(value < 0 ? value + length : value, lower, Math.Max(lower, upper));
}
