using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using LowRank.Kernels.Native;
using static TorchSharp.torch;

namespace LowRank.Kernels;

/// <summary>y += s·(x·Aᵀ)·Bᵀ with another pair for each group of rows, ranks mixed (SGMV of Punica, arXiv 2310.18547,
/// section 4): the threads share all groups of a layer at once. A row is to the last bit what
/// <see cref="LowRankSum"/> makes of it alone.</summary>
internal static unsafe class LowRankRows
{
    private const int PartRows = 48;

    /// <summary>Adds in place; does nothing if torch must compute it: with gradients, other devices or types.</summary>
    /// <param name="output">y, [rows, …, out].</param>
    /// <param name="input">x, [rows, …, in].</param>
    /// <param name="pairs">The pairs, at least one; no two of them have a row in common.</param>
    /// <returns>Whether all were added.</returns>
    public static bool TryAdd(Tensor output, Tensor input, IReadOnlyList<RowPair> pairs)
    {
        if (KernelForm.IsPlain || !KernelTensors.Fit(output) || !KernelTensors.Fit(input, strided: true)) return false;
        long[] shape = input.shape;
        long inputs = shape[^1], outputs = output.shape[^1], rows = KernelTensors.Rows(shape);
        if (rows is < 1 or > int.MaxValue || output.numel() != rows * outputs) return false;
        long rank = 0, work = 0;
        int parts = 0, each = (int)(rows / shape[0]); // rows of the product for a row of the batch
        foreach (RowPair pair in pairs)
        {
            // torch reports the error
            if (pair.Pair.Inputs != inputs || pair.Pair.Outputs != outputs) return false;
            rank = Math.Max(rank, pair.Pair.Rank);
            work += (long)pair.Count * each * pair.Pair.Rank * Math.Max(inputs, outputs);
            parts += LinearProduct.Ceiling(pair.Count * each, PartRows);
        }
        // Few parts of much work: each pair for itself is shared by all threads.
        if (parts < Workers.Count && work >= LowRankSum.SmallWork)
        {
            foreach (RowPair pair in pairs) AddAlone(output, input, pair);
            return true;
        }
        using Tensor contiguous = input.is_contiguous() ? input.alias() : input.contiguous();
        using Tensor held = empty(rows, rank);
        var groups = new Group[parts];
        Divide(groups, pairs, each, (float*)NativeTensor.Address(output), (float*)NativeTensor.Address(contiguous),
            (float*)NativeTensor.Address(held), rank);
        fixed (Group* first = groups)
            if (Vector512.IsHardwareAccelerated) Workers.Run(parts, &Part<Wide512, Vector512<float>>, first);
            else Workers.Run(parts, &Part<Wide256, Vector256<float>>, first);
        return true;
    }

    private static void AddAlone(Tensor output, Tensor input, RowPair pair)
    {
        using Tensor own = output.narrow(0, pair.First, pair.Count), from = input.narrow(0, pair.First, pair.Count);
        if (!LowRankSum.TryAdd(own, from, pair.Pair.A, pair.Pair.B, pair.Pair.Scale))
            throw new InvalidOperationException("A pair that fits its rows was refused.");
    }

    private static void Divide(
        Group[] groups, IReadOnlyList<RowPair> pairs, int each, float* output, float* input, float* reduced, long most)
    {
        int part = 0;
        foreach (RowPair pair in pairs)
        {
            (int rank, int inputs, int outputs) = (pair.Pair.Rank, pair.Pair.Inputs, pair.Pair.Outputs);
            int end = (pair.First + pair.Count) * each;
            for (int row = pair.First * each; row < end; row += PartRows)
            {
                int count = Math.Min(PartRows, end - row);
                groups[part++] = new Group
                {
                    Input = input + (long)row * inputs,
                    A = pair.Pair.AddressOfA,
                    Inputs = inputs,
                    Scale = (float)pair.Pair.Scale,
                    Sum = new LowRankSum.Sum
                    {
                        Reduced = reduced + row * most,
                        B = pair.Pair.AddressOfB,
                        Output = output + (long)row * outputs,
                        Rows = count,
                        Rank = rank,
                        Outputs = outputs,
                        PartOutputs = outputs,
                    },
                };
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Part<TWide, TVector>(void* data, int part)
        where TWide : struct, IWide<TVector>
        where TVector : struct
    {
        Group* group = (Group*)data + part;
        LowRankSum.Sum* sum = &group->Sum;
        ProductByRows<TWide, TVector>.Multiply(new RowProduct
        {
            Input = group->Input,
            Weight = group->A,
            Output = sum->Reduced,
            Stride = sum->Rank,
            Rows = sum->Rows,
            Inputs = group->Inputs,
            Outputs = sum->Rank,
        });
        for (long i = 0; i < (long)sum->Rows * sum->Rank; i++) sum->Reduced[i] *= group->Scale;
        LowRankSum.Part<TWide, TVector>(sum, 0);
    }

    [StructLayout(LayoutKind.Auto)]
    private struct Group
    {
        public float* Input;
        public float* A;
        public int Inputs;
        public float Scale;
        public LowRankSum.Sum Sum;
    }
}

/// <summary>A pair for some rows of a batch.</summary>
/// <param name="First">The first row.</param>
/// <param name="Count">Number of rows.</param>
/// <param name="Pair">The pair.</param>
internal readonly record struct RowPair(int First, int Count, LowRankPair Pair);

/// <summary>A and B with their addresses, so that a step need not ask torch for them: for weights that stay where they
/// are.</summary>
internal sealed unsafe class LowRankPair
{
    private LowRankPair(Tensor a, Tensor b, double scale)
    {
        (A, B, Scale) = (a, b, scale);
        (Rank, Inputs, Outputs) = ((int)a.shape[0], (int)a.shape[1], (int)b.shape[0]);
        AddressOfA = (float*)NativeTensor.Address(a);
        AddressOfB = (float*)NativeTensor.Address(b);
    }

    /// <summary>A, [rank, in].</summary>
    public Tensor A { get; }

    /// <summary>B, [out, rank].</summary>
    public Tensor B { get; }

    /// <summary>s.</summary>
    public double Scale { get; }

    public int Rank { get; }

    public int Inputs { get; }

    public int Outputs { get; }

    public float* AddressOfA { get; }

    public float* AddressOfB { get; }

    /// <summary>The pair; null if it is not in float32 on the processor.</summary>
    /// <param name="a">A, [rank, in].</param>
    /// <param name="b">B, [out, rank].</param>
    /// <param name="scale">s.</param>
    public static LowRankPair? Of(Tensor a, Tensor b, double scale) =>
        NativeTensor.IsPlain(a) && NativeTensor.IsPlain(b) && a.shape[0] == b.shape[1] && a.shape[0] > 0
            ? new LowRankPair(a, b, scale) : null;
}
