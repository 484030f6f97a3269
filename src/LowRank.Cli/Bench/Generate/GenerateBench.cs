using System.Runtime.Intrinsics;
using LowRank.Adapters;
using LowRank.Cli.Bench.Train;
using LowRank.Data;
using LowRank.Generation;
using LowRank.Models;
using LowRank.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Cli.Bench.Generate;

/// <summary>Measures generation on random prompts, as <c>lowrank generate</c> does it, next to the limits of the machine.</summary>
internal static class GenerateBench
{
    private const int Seed = 1;

    /// <summary>Numbers of the processor's widest vectors.</summary>
    public static int VectorWidth => Vector512.IsHardwareAccelerated ? Vector512<float>.Count : Vector256.IsHardwareAccelerated ? Vector256<float>.Count : Vector128<float>.Count;

    public static GenerateMeasurement Run(GenerateOptions options)
    {
        options.Check();
        set_num_threads(options.Threads ?? ProcessorCores.Physical());
        using BenchFolder folder = BenchFolder.Open(options.Shape);
        using PretrainedModel model = PretrainedModel.Open(folder.Path);
        Check(options, model.Decoder);
        // B is drawn too, so that the adapter changes what is computed.
        using Adapter? adapter = options.Rank == 0 ? null : Adapter.Create(model, new LoraConfig
        {
            Rank = options.Rank, Alpha = 2 * options.Rank, TargetModules = BenchTargets.Select(options.Targets), InitialWeights = InitialWeights.False,
        }, Seed);
        return Measure(options, model.Decoder, adapter);
    }

    private static GenerateMeasurement Measure(GenerateOptions options, Decoder model, Adapter? adapter)
    {
        var cost = new GenerationCost(model, options.Prompt);
        var generator = new TextGenerator(model);
        IReadOnlyList<int[]> prompts = Prompts(options, model.VocabularySize);
        GenerationWay one = new(1, false), many = new(options.Batch, false), oneAdapted = new(1, true), manyAdapted = new(options.Batch, true);
        GenerationWay[] ways = adapter is null ? [one, many] : [one, oneAdapted, many, manyAdapted];
        long peak = PeakOf(() => new GenerationWay(1, false).Run(generator, prompts, options.New));
        using var rate = new ReadRate((long)cost.StepBytes(1, options.New - 1));
        var products = new ProductRate(cost.PromptProducts(1));
        List<double> reads = [];
        // In turns, so that a machine that slows down slows all.
        for (int round = 0; round < options.Rounds; round++)
        {
            double read = rate.Measure();
            products.Measure();
            foreach (GenerationWay way in ways)
            {
                if (way.Adapted) adapter!.Attach();
                way.Run(generator, prompts, options.New);
                if (way.Adapted) adapter!.Detach();
                read = Math.Max(read, rate.Measure());
            }
            reads.Add(read);
        }
        long weights = model.Parameters.Values.Sum(weight => weight.numel() * weight.element_size());
        return new GenerateMeasurement
        {
            Options = options,
            Threads = get_num_threads(),
            VectorWidth = VectorWidth,
            One = one,
            Many = many,
            OneAdapted = adapter is null ? null : oneAdapted,
            ManyAdapted = adapter is null ? null : manyAdapted,
            Reads = reads,
            StepBytes = cost.StepBytes(1, options.New - 1),
            ManyStepBytes = cost.StepBytes(options.Batch, options.New - 1),
            PromptFlops = cost.PromptFlops(1),
            GemmFlopsPerSecond = products.FlopsPerSecond,
            PeakBytes = peak - weights,
            WeightBytes = weights,
        };
    }

    private static long PeakOf(Action work)
    {
        ProcessMemory.ResetPeak();
        work();
        return ProcessMemory.PeakBytes();
    }

    private static void Check(GenerateOptions options, Decoder model)
    {
        List<string> problems = [];
        if (options.Prompt + options.New > model.MaxPositions)
            problems.Add($"--prompt {options.Prompt} and --new {options.New} make {options.Prompt + options.New} positions; {options.Shape} takes {model.MaxPositions} at most");
        if (model.Shape.Experts is not null) problems.Add($"{options.Shape} chooses experts for each token: the bytes that a step reads cannot be counted by shape");
        if (problems.Count > 0) throw new InputException("bench generate cannot run:", problems);
    }

    private static IReadOnlyList<int[]> Prompts(GenerateOptions options, int vocabulary)
    {
        var random = new StableRandom(Seed);
        return [.. Enumerable.Range(0, options.Batch).Select(_ => Enumerable.Range(0, options.Prompt).Select(_ => (int)(random.NextDouble() * vocabulary)).ToArray())];
    }
}
