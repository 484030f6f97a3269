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
            if (!KernelTensors.Fit(pair.A) || !KernelTensors.Fit(pair.B)) return false;
            long[] down = pair.A.shape, up = pair.B.shape;
            // torch reports the error
            if (down[1] != inputs || up[0] != outputs || up[1] != down[0] || down[0] < 1) return false;
            rank = Math.Max(rank, down[0]);
            work += pair.Count * each * down[0] * Math.Max(inputs, outputs);
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
        if (!LowRankSum.TryAdd(own, from, pair.A, pair.B, pair.Scale))
            throw new InvalidOperationException("A pair that fits its rows was refused.");
    }

    private static void Divide(
        Group[] groups, IReadOnlyList<RowPair> pairs, int each, float* output, float* input, float* reduced, long most)
    {
        int part = 0;
        foreach (RowPair pair in pairs)
        {
            (int rank, int inputs, int outputs) = ((int)pair.A.shape[0], (int)pair.A.shape[1], (int)pair.B.shape[0]);
            float* a = (float*)NativeTensor.Address(pair.A), b = (float*)NativeTensor.Address(pair.B);
            int end = (pair.First + pair.Count) * each;
            for (int row = pair.First * each; row < end; row += PartRows)
            {
                int count = Math.Min(PartRows, end - row);
                groups[part++] = new Group
                {
                    Input = input + (long)row * inputs,
                    A = a,
                    Inputs = inputs,
                    Scale = (float)pair.Scale,
                    Sum = new LowRankSum.Sum
                    {
                        Reduced = reduced + row * most,
                        B = b,
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

/// <summary>A pair of A and B for some rows of a batch.</summary>
/// <param name="First">The first row.</param>
/// <param name="Count">Number of rows.</param>
/// <param name="A">A, [rank, in].</param>
/// <param name="B">B, [out, rank].</param>
/// <param name="Scale">s.</param>
internal readonly record struct RowPair(int First, int Count, Tensor A, Tensor B, double Scale);
