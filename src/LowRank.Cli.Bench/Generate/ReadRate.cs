using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using LowRank.Kernels;

namespace LowRank.Cli.Bench.Generate;

/// <summary>How fast this machine reads memory: the limit for a generation step.</summary>
/// <remarks>All threads read an array of as many bytes as a step reads, so the caches hold the same share of it. They
/// read in one stream per thread, with and without software prefetch, and in eight streams that the processor
/// prefetches: which of them is the fastest depends on the processor's make, so the fastest counts.</remarks>
internal sealed unsafe class ReadRate : IDisposable
{
    private const int PartBytes = 256 * 1024;
    private const int PartLength = PartBytes / sizeof(float);
    private const int Line = 16;      // numbers of a line of the cache
    private const int Ahead = 2048;   // numbers that are asked for before they are read

    private readonly float* memory;
    private readonly int parts;
    private double fastest;

    /// <summary>Allocates the memory.</summary>
    /// <param name="bytes">The size, rounded up to whole parts.</param>
    public ReadRate(long bytes)
    {
        parts = (int)Math.Max(1, (bytes + PartBytes - 1) / PartBytes);
        // one extra part, which the last one prefetches
        memory = (float*)NativeMemory.AlignedAlloc((nuint)(parts + 1) * PartBytes, 4096);
        // touches every page
        for (int part = 0; part <= parts; part++)
            new Span<float>(memory + (long)part * PartLength, PartLength).Fill(part);
    }

    /// <summary>Reads everything once in each of the three ways.</summary>
    /// <returns>Bytes per second of the fastest way.</returns>
    public double Measure()
    {
        fastest = double.PositiveInfinity;
        if (Vector512.IsHardwareAccelerated)
        {
            Measure(&OneStream<Wide512, Vector512<float>, Hinted>);
            Measure(&OneStream<Wide512, Vector512<float>, Unhinted>);
            Measure(&EightStreams<Wide512, Vector512<float>>);
        }
        else
        {
            Measure(&OneStream<Wide256, Vector256<float>, Hinted>);
            Measure(&OneStream<Wide256, Vector256<float>, Unhinted>);
            Measure(&EightStreams<Wide256, Vector256<float>>);
        }
        return (double)parts * PartBytes / fastest;
    }

    /// <inheritdoc/>
    public void Dispose() => NativeMemory.AlignedFree(memory);

    private void Measure(delegate*<void*, int, void> read)
    {
        float sum = 0; // written by all threads and never read; prevents the reads from being optimised away
        Memory shared = new() { Start = memory, Sum = &sum };
        long started = Stopwatch.GetTimestamp();
        Workers.Run(parts, read, &shared);
        fastest = Math.Min(fastest, Stopwatch.GetElapsedTime(started).TotalSeconds);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void OneStream<TWide, TVector, THint>(void* data, int part)
        where TWide : struct, IWide<TVector>
        where TVector : struct
        where THint : struct
    {
        var shared = (Memory*)data;
        float* from = shared->Start + (long)part * PartLength, end = from + PartLength;
        TVector a = default, b = default, c = default, d = default;
        for (; from < end; from += 4 * TWide.Count)
        {
            (a, b) = (TWide.Add(a, TWide.Load(from)), TWide.Add(b, TWide.Load(from + TWide.Count)));
            (c, d) = (TWide.Add(c, TWide.Load(from + 2 * TWide.Count)),
                TWide.Add(d, TWide.Load(from + 3 * TWide.Count)));
            if (typeof(THint) == typeof(Hinted) && Sse.IsSupported)
                for (int line = 0; line < 4 * TWide.Count; line += Line) Sse.PrefetchNonTemporal(from + Ahead + line);
        }
        *shared->Sum = TWide.Sum(TWide.Add(TWide.Add(a, b), TWide.Add(c, d)));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void EightStreams<TWide, TVector>(void* data, int part)
        where TWide : struct, IWide<TVector>
        where TVector : struct
    {
        const int Step = PartLength / 32; // eight streams, four times a part
        var shared = (Memory*)data;
        float* from = shared->Start + (long)part * PartLength, end = from + PartLength;
        TVector a = default, b = default, c = default, d = default, e = default, f = default, g = default, h = default;
        for (; from < end; from += 7 * Step)
            for (float* stop = from + Step; from < stop; from += TWide.Count)
            {
                (a, b) = (TWide.Add(a, TWide.Load(from)), TWide.Add(b, TWide.Load(from + Step)));
                (c, d) = (TWide.Add(c, TWide.Load(from + 2 * Step)), TWide.Add(d, TWide.Load(from + 3 * Step)));
                (e, f) = (TWide.Add(e, TWide.Load(from + 4 * Step)), TWide.Add(f, TWide.Load(from + 5 * Step)));
                (g, h) = (TWide.Add(g, TWide.Load(from + 6 * Step)), TWide.Add(h, TWide.Load(from + 7 * Step)));
            }
        *shared->Sum =
            TWide.Sum(
                TWide.Add(TWide.Add(TWide.Add(a, b), TWide.Add(c, d)), TWide.Add(TWide.Add(e, f), TWide.Add(g, h))));
    }

    private readonly struct Hinted;

    private readonly struct Unhinted;

    [StructLayout(LayoutKind.Auto)]
    private struct Memory
    {
        public float* Start;
        public float* Sum;
    }
}
