using LowRank.Kernels.Native;
using static TorchSharp.torch;

namespace LowRank.Kernels;

/// <summary>The 256 numbers that a byte stands for in an optimizer's state (dynamic quantisation, arXiv 2110.02861,
/// section 2.1).</summary>
/// <remarks>They lie denser towards zero: each power of ten from 1e-7 to 1 has twice as many as the one below it. The
/// signed numbers lie in [-1, 1], the unsigned ones in [0, 1]; both are bitsandbytes' <c>create_dynamic_map</c>.
/// </remarks>
internal sealed class DynamicMap
{
    private const int Exponents = 7;
    private static readonly Lazy<DynamicMap> OfBoth = new(() => new DynamicMap(isSigned: true));
    private static readonly Lazy<DynamicMap> OfPositive = new(() => new DynamicMap(isSigned: false));

    private DynamicMap(bool isSigned)
    {
        IsSigned = isSigned;
        Values = Numbers(isSigned);
        Middles = [.. Values.Skip(1).Zip(Values, (above, below) => (above + below) * 0.5f)];
        Zero = (byte)Array.IndexOf(Values, 0f);
    }

    /// <summary>For numbers of both signs.</summary>
    public static DynamicMap Signed => OfBoth.Value;

    /// <summary>For numbers that are never negative.</summary>
    public static DynamicMap Unsigned => OfPositive.Value;

    /// <summary>Whether it holds negative numbers.</summary>
    public bool IsSigned { get; }

    /// <summary>The numbers, in ascending order, [256].</summary>
    public float[] Values { get; }

    /// <summary>The middles between neighbours, [255]: a number is stored as its nearest one.</summary>
    public float[] Middles { get; }

    /// <summary>The byte of zero.</summary>
    public byte Zero { get; }

    /// <summary>The byte of a number in the map's range. A negative number keeps its sign: none becomes zero.</summary>
    public byte Code(float number)
    {
        int code = 0;
        for (int step = 128; step > 0; step >>= 1)
            if (number > Middles[code + step - 1]) code += step;
        return (byte)(IsSigned && code == Zero && number < 0 ? code - 1 : code);
    }

    // In torch's operations, whose rounding is part of the numbers.
    private static float[] Numbers(bool isSigned)
    {
        NativeRuntime.Initialize();
        using var scope = NewDisposeScope();
        List<float> numbers = [0, 1];
        for (int i = 0; i < Exponents; i++)
        {
            int count = 1 << (isSigned ? i : i + 1);
            Tensor limits = linspace(0.1, 1, count + 1, ScalarType.Float32);
            Tensor means = (limits.narrow(0, 0, count).Plus(limits.narrow(0, 1, count))) / Number(2)
                * Number(Math.Pow(10, i + 1 - Exponents));
            float[] found = means.data<float>().ToArray();
            numbers.AddRange(found);
            if (isSigned) numbers.AddRange(found.Select(number => -number));
        }
        return [.. numbers.Order()];
    }
}
