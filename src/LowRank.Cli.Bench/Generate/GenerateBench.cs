using System.Runtime.Intrinsics;
using LowRank.Cli.Bench.Train;
using LowRank.Data;
using LowRank.Kernels;
using LowRank.Models;
using static TorchSharp.torch;

namespace LowRank.Cli.Bench.Generate;

/// <summary>Measures generation on random prompts, as in <c>lowrank generate</c>, and compares it with the limits of
/// the machine.</summary>
internal static class GenerateBench
{
    /// <summary>Of prompts and adapters.</summary>
    public const int Seed = 1;

    /// <summary>Numbers of the processor's widest vectors.</summary>
    public static int VectorWidth => Vector512.IsHardwareAccelerated ? Vector512<float>.Count
        : Vector256.IsHardwareAccelerated ? Vector256<float>.Count : Vector128<float>.Count;

    /// <summary>Measures one shape.</summary>
    /// <returns>A measurement for each of the formats, in their order.</returns>
    public static IReadOnlyList<GenerateMeasurement> Run(GenerateOptions options)
    {
        options.Check();
        set_num_threads(options.Threads ?? ProcessorCores.Usable());
        using BenchFolder folder = BenchFolder.Open(options.Shape, layers: options.Layers);
        List<GenerationSession> sessions = [];
        LlamaBench? other = null;
        try
        {
            long? peak = null;
            foreach (string format in options.BaseDtypes)
            {
                sessions.Add(GenerationSession.Open(options, folder, format));
                peak ??= sessions[0].Peak(Prompts(options, sessions[0].VocabularySize)); // while nothing else is open
            }
            if (options.LlamaBench is { } program)
                other = LlamaBench.Prepare(
                    program, folder.Path, [.. sessions.Select(session => session.Format)], options, get_num_threads());
            IReadOnlyList<GenerateMeasurement> found = Measure(options, sessions, other);
            return [found[0] with { PeakBytes = peak }, .. found.Skip(1)];
        }
        finally
        {
            foreach (GenerationSession session in sessions) session.Dispose();
            other?.Dispose();
        }
    }

    private static IReadOnlyList<GenerateMeasurement> Measure(
        GenerateOptions options, IReadOnlyList<GenerationSession> sessions, LlamaBench? other)
    {
        IReadOnlyList<int[]> prompts = Prompts(options, sessions[0].VocabularySize);
        foreach (GenerationSession session in sessions.Skip(1)) session.Peak(prompts); // untimed
        var products = new ProductRate(sessions[0].Cost.PromptProducts(1));
        // In turn, so a machine that slows down affects all measurements.
        for (int round = 0; round < options.Rounds; round++)
        {
            products.Measure();
            foreach (GenerationSession session in sessions)
            {
                session.Round(prompts);
                other?.Round(session.Format);
            }
        }
        GenerateMeasurement? reference = null;
        List<GenerateMeasurement> found = [];
        foreach (GenerationSession session in sessions)
        {
            GenerateMeasurement measured = session.Found(products.FlopsPerSecond) with
            {
                Other = other?.Found(session.Format),
            };
            if (measured.IsFloat32) reference = measured;
            found.Add(measured);
        }
        return [.. found.Select(measured => measured with { Float32 = reference })];
    }

    private static IReadOnlyList<int[]> Prompts(GenerateOptions options, int vocabulary)
    {
        var random = new StableRandom(Seed);
        return [.. Enumerable.Range(0, options.Batch)
            .Select(_ => Enumerable.Range(0, options.Prompt)
            .Select(_ => (int)(random.NextDouble() * vocabulary)).ToArray())];
    }
}
