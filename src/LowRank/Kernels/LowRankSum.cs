using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using LowRank.Kernels.Native;
using static TorchSharp.torch;

namespace LowRank.Kernels;

/// <summary>y += s·(x·Aᵀ)·Bᵀ outside training: an adapter's addition to a layer. As in <see cref="LinearProduct"/>, a
/// row's result depends on no other row.</summary>
internal static unsafe class LowRankSum
{
    private const int TileRank = 64; // a part holds a tile of Bᵀ on its stack
    private const int Tile = 64;     // outputs of a tile

    /// <summary>Multiplications below which one thread is faster than several.</summary>
    public const int SmallWork = 32768;

    /// <summary>Adds in place; does nothing if torch must compute it: with gradients, other devices or types.</summary>
    /// <param name="output">y, […, out].</param>
    /// <param name="input">x, […, in].</param>
    /// <param name="a">A, [rank, in].</param>
    /// <param name="b">B, [out, rank].</param>
    /// <param name="scale">s.</param>
    /// <returns>Whether it was added.</returns>
    public static bool TryAdd(Tensor output, Tensor input, Tensor a, Tensor b, double scale)
    {
        if (!KernelTensors.Fit(output) || !KernelTensors.Fit(input, strided: true) || !KernelTensors.Fit(a)
            || !KernelTensors.Fit(b))
            return false;
        long[] shape = input.shape, down = a.shape, up = b.shape;
        long rows = KernelTensors.Rows(shape), rank = down[0];
        if (rows is < 1 or > int.MaxValue || rank is < 1 or > int.MaxValue) return false;
        // torch reports the error
        if (down[1] != shape[^1] || up[1] != rank || output.numel() != rows * up[0]) return false;
        using Tensor contiguous = input.is_contiguous() ? input.alias() : input.contiguous();
        using Tensor held = empty(rows, rank);
        float* reduced = (float*)NativeTensor.Address(held);
        LinearProduct.Compute(new LinearTask
        {
            Input = (float*)NativeTensor.Address(contiguous),
            Weight = (float*)NativeTensor.Address(a),
            Output = reduced,
            Rows = (int)rows,
            Inputs = (int)down[1],
            Outputs = (int)rank,
        }, transposed: false);
        for (long i = 0; i < rows * rank; i++) reduced[i] *= (float)scale;
        var sum = new Sum
        {
            Reduced = reduced,
            B = (float*)NativeTensor.Address(b),
            Output = (float*)NativeTensor.Address(output),
            Rows = (int)rows,
            Rank = (int)rank,
            Outputs = (int)up[0],
        };
        int parts = rows * rank * sum.Outputs < SmallWork ? 1 : Workers.Count;
        sum.PartOutputs = ((sum.Outputs + parts - 1) / parts + Tile - 1) / Tile * Tile;
        if (Vector512.IsHardwareAccelerated) Workers.Run(parts, &Part<Wide512, Vector512<float>>, &sum);
        else Workers.Run(parts, &Part<Wide256, Vector256<float>>, &sum);
        return true;
    }

    /// <summary>y += (s·x·Aᵀ)·Bᵀ for the outputs of a part.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Part<TWide, TVector>(void* data, int part)
        where TWide : struct, IWide<TVector>
        where TVector : struct
    {
        ref Sum s = ref *(Sum*)data;
        float* tile = stackalloc float[TileRank * Tile]; // of Bᵀ: [rank, outputs of the tile]
        int end = Math.Min((part + 1) * s.PartOutputs, s.Outputs);
        for (int first = part * s.PartOutputs; first < end; first += Tile)
            for (int from = 0; from < s.Rank; from += TileRank)
            {
                int count = Math.Min(Tile, end - first), rank = Math.Min(TileRank, s.Rank - from);
                Transpose(s.B + (long)first * s.Rank + from, s.Rank, tile, count, rank);
                for (long row = 0; row < s.Rows; row++)
                    AddTile<TWide, TVector>(
                        s.Output + row * s.Outputs + first, s.Reduced + row * s.Rank + from, tile, rank, count);
            }
    }

    // tile[k, i] = from[i, k]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Transpose(float* from, int stride, float* tile, int count, int rank)
    {
        int whole = Avx.IsSupported ? count & ~7 : 0, deep = whole > 0 ? rank & ~7 : 0;
        for (int i = 0; i < whole; i += 8)
            for (int k = 0; k < deep; k += 8) TransposeEight(from + (long)i * stride + k, stride, tile + k * Tile + i);
        for (int i = 0; i < count; i++)
            for (int k = i < whole ? deep : 0; k < rank; k++) tile[k * Tile + i] = from[(long)i * stride + k];
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void TransposeEight(float* from, long stride, float* tile)
    {
        // Halves of two rows, then pairs of numbers, then pairs of pairs.
        for (int half = 0; half < 8; half += 4, from += 4, tile += 4 * Tile)
        {
            Vector256<float> a = Halves(from, stride), b = Halves(from + stride, stride),
                c = Halves(from + 2 * stride, stride), d = Halves(from + 3 * stride, stride);
            Vector256<float> ab = Avx.UnpackLow(a, b), cd = Avx.UnpackLow(c, d), abHigh = Avx.UnpackHigh(a, b),
                cdHigh = Avx.UnpackHigh(c, d);
            Avx.Shuffle(ab, cd, 0b01_00_01_00).Store(tile);
            Avx.Shuffle(ab, cd, 0b11_10_11_10).Store(tile + Tile);
            Avx.Shuffle(abHigh, cdHigh, 0b01_00_01_00).Store(tile + 2 * Tile);
            Avx.Shuffle(abHigh, cdHigh, 0b11_10_11_10).Store(tile + 3 * Tile);
        }
    }

    // Four numbers of a row, and of the fourth row after it.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Halves(float* row, long stride) => Avx.InsertVector128(
        Vector128.Load(row).ToVector256Unsafe(), Vector128.Load(row + 4 * stride), 1);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddTile<TWide, TVector>(float* output, float* reduced, float* tile, int rank, int count)
        where TWide : struct, IWide<TVector>
        where TVector : struct
    {
        int i = 0;
        for (; i + TWide.Count <= count; i += TWide.Count)
        {
            TVector sum = TWide.Load(output + i);
            for (int k = 0; k < rank; k++)
                sum = TWide.MultiplyAdd(TWide.Broadcast(reduced[k]), TWide.Load(tile + k * Tile + i), sum);
            TWide.Store(output + i, sum);
        }
        for (; i < count; i++)
            for (int k = 0; k < rank; k++) output[i] += reduced[k] * tile[k * Tile + i];
    }

    /// <summary>The second product, as seen by its parts.</summary>
    [StructLayout(LayoutKind.Auto)]
    public struct Sum
    {
        public float* Reduced; // s·x·Aᵀ, [rows, rank]
        public float* B;
        public float* Output;
        public int Rows;
        public int Rank;
        public int Outputs;
        public int PartOutputs;
    }
}
