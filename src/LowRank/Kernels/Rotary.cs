using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using LowRank.Kernels.Native;
using static TorchSharp.torch;

namespace LowRank.Kernels;

/// <summary>Rotary position embedding (arXiv 2104.09864): rotates queries and keys by the angles of their
/// positions.</summary>
internal static unsafe class Rotary
{
    private const int PartNumbers = 16384; // below two of these one thread is faster

    /// <summary>Rotates queries and keys, [batch, heads, sequence, width].</summary>
    /// <returns>Same shapes, in the caller's dispose scope.</returns>
    public static (Tensor Query, Tensor Key) Rotate(Tensor query, Tensor key, RotaryAngles angles)
    {
        Tensor Turn(Tensor heads) => Rotate(heads, angles.Cosine, angles.Sine, angles.Interleaved);
        Tensor turned = Turn(query);
        return (angles.QueryScale is { } scale ? turned * scale : turned, Turn(key));
    }

    /// <summary>Rotates the pairs (i, i + dimension / 2), or (2i, 2i + 1) if interleaved, of each head by their
    /// angles.</summary>
    /// <param name="heads">[batch, heads, sequence, width]; values beyond the rotated dimension are unchanged.</param>
    /// <param name="cosine">[batch or 1, 1, sequence, dimension / 2]</param>
    /// <param name="sine">Same shape as <paramref name="cosine"/>.</param>
    /// <param name="interleaved">Whether the two values of a pair are neighbours.</param>
    /// <returns>Same shape as the heads, in the caller's dispose scope.</returns>
    public static Tensor Rotate(Tensor heads, Tensor cosine, Tensor sine, bool interleaved = false)
    {
        if (!KernelForm.IsPlain && TryRotate(heads, cosine, sine, interleaved) is { } fast) return fast;
        long half = cosine.shape[^1], rest = heads.shape[^1] - 2 * half;
        int last = heads.shape.Length - 1;
        Tensor[] pairs = interleaved
            ? [.. heads.narrow(-1, 0, 2 * half).unflatten(last, half, 2).unbind(last + 1)]
            : [heads.narrow(-1, 0, half), heads.narrow(-1, half, half)];
        Tensor[] rotated = [pairs[0] * cosine - pairs[1] * sine, (pairs[1] * cosine).Plus(pairs[0] * sine)];
        if (interleaved) rotated = [stack(rotated, -1).flatten(last)];
        return cat(rest == 0 ? rotated : [.. rotated, heads.narrow(-1, 2 * half, rest)], -1);
    }

    /// <summary>The same in one pass, with the same operations; null with gradients, other devices or types.</summary>
    /// <param name="heads">[batch, heads, sequence, width], with a contiguous last axis.</param>
    /// <param name="cosine">[batch or 1, 1, sequence, half of the rotated width].</param>
    /// <param name="sine">Same shape as <paramref name="cosine"/>.</param>
    /// <param name="interleaved">As in <see cref="Rotate(Tensor, Tensor, Tensor, bool)"/>.</param>
    public static Tensor? TryRotate(Tensor heads, Tensor cosine, Tensor sine, bool interleaved = false)
    {
        if (!KernelTensors.Fit(heads, strided: true) || !KernelTensors.Fit(cosine) || !KernelTensors.Fit(sine))
            return null;
        long[] shape = heads.shape, stride = heads.stride(), angles = cosine.shape;
        if (shape.Length != 4 || heads.numel() == 0 || stride[3] != 1) return null;
        if (!angles.SequenceEqual(sine.shape) || angles.Length != 4 || (angles[0] != 1 && angles[0] != shape[0])
            || angles[1] != 1
            || angles[2] != shape[2] || 2 * angles[3] > shape[3]) return null; // torch reports the error
        Tensor rotated = empty(shape);
        long vectors = heads.numel() / shape[3], most = Math.Max(1, PartNumbers / shape[3]);
        var task = new RotaryTask
        {
            From = AttentionHeads.From(heads),
            To = (float*)NativeTensor.Address(rotated),
            Cosine = (float*)NativeTensor.Address(cosine),
            Sine = (float*)NativeTensor.Address(sine),
            AngleRow = angles[0] == 1 ? 0 : shape[2],
            Heads = shape[1],
            Positions = shape[2],
            Vectors = vectors,
            PartVectors = most,
            Half = (int)angles[3],
            Width = (int)shape[3],
            IsInterleaved = interleaved,
        };
        int parts = (int)((vectors + most - 1) / most);
        if (Vector512.IsHardwareAccelerated) Workers.Run(parts, &Part<Wide512, Vector512<float>>, &task);
        else Workers.Run(parts, &Part<Wide256, Vector256<float>>, &task);
        return rotated;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Part<TWide, TVector>(void* shared, int part)
        where TWide : struct, IWide<TVector>
        where TVector : struct
    {
        ref RotaryTask task = ref *(RotaryTask*)shared;
        int width = task.Width, half = task.Half;
        long vector = part * task.PartVectors, end = Math.Min(vector + task.PartVectors, task.Vectors);
        (long above, long position) = Math.DivRem(vector, task.Positions);
        (long row, long head) = Math.DivRem(above, task.Heads);
        for (float* to = task.To + vector * width; vector < end; vector++, to += width)
        {
            float* from = task.From.At((int)row, (int)head, (int)position);
            long angle = (row * task.AngleRow + position) * half;
            if (task.IsInterleaved) RotateNeighbours(from, to, task.Cosine + angle, task.Sine + angle, half);
            else RotatePairs<TWide, TVector>(from, to, task.Cosine + angle, task.Sine + angle, half);
            for (int i = 2 * half; i < width; i++) to[i] = from[i];
            if (++position < task.Positions) continue;
            position = 0;
            if (++head < task.Heads) continue;
            head = 0;
            row++;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void RotatePairs<TWide, TVector>(float* from, float* to, float* cosine, float* sine, int half)
        where TWide : struct, IWide<TVector>
        where TVector : struct
    {
        int i = 0;
        for (; i + TWide.Count <= half; i += TWide.Count)
        {
            TVector first = TWide.Load(from + i), second = TWide.Load(from + half + i), c = TWide.Load(cosine + i),
                s = TWide.Load(sine + i);
            TWide.Store(to + i, TWide.Subtract(TWide.Multiply(first, c), TWide.Multiply(second, s)));
            TWide.Store(to + half + i, TWide.Add(TWide.Multiply(second, c), TWide.Multiply(first, s)));
        }
        for (; i < half; i++)
        {
            float first = from[i], second = from[half + i];
            to[i] = first * cosine[i] - second * sine[i];
            to[half + i] = second * cosine[i] + first * sine[i];
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void RotateNeighbours(float* from, float* to, float* cosine, float* sine, int half)
    {
        for (int i = 0; i < half; i++)
        {
            float first = from[2 * i], second = from[2 * i + 1];
            to[2 * i] = first * cosine[i] - second * sine[i];
            to[2 * i + 1] = second * cosine[i] + first * sine[i];
        }
    }
}

/// <summary>How the heads of a pass are rotated.</summary>
/// <param name="Cosine">[batch or 1, 1, sequence, dimension / 2]</param>
/// <param name="Sine">Same shape as <paramref name="Cosine"/>.</param>
/// <param name="Interleaved">Whether a rotated pair is (2i, 2i + 1) instead of (i, i + dimension / 2).</param>
/// <param name="QueryScale">Factor of the rotated queries, [batch or 1, 1, sequence, 1]; null for none.</param>
internal readonly record struct RotaryAngles(
    Tensor Cosine, Tensor Sine, bool Interleaved = false, Tensor? QueryScale = null);

/// <summary>A rotation as seen by its parts.</summary>
[StructLayout(LayoutKind.Auto)]
internal unsafe struct RotaryTask
{
    /// <summary>[rows, heads, positions, width]</summary>
    public AttentionHeads From;

    /// <summary>Same shape, contiguous.</summary>
    public float* To;

    /// <summary>[rows or 1, positions, half]</summary>
    public float* Cosine;

    /// <summary>Same shape as <see cref="Cosine"/>.</summary>
    public float* Sine;

    /// <summary>Number of angles' positions per row; 0 if all rows share them.</summary>
    public long AngleRow;

    /// <summary>Number of heads.</summary>
    public long Heads;

    /// <summary>Number of positions per row.</summary>
    public long Positions;

    /// <summary>Number of vectors to rotate.</summary>
    public long Vectors;

    /// <summary>Number of vectors in a part.</summary>
    public long PartVectors;

    /// <summary>Number of rotated pairs.</summary>
    public int Half;

    /// <summary>Width of a head.</summary>
    public int Width;

    /// <summary>Whether the two values of a pair are neighbours.</summary>
    public bool IsInterleaved;
}
