using LowRank.Adapters;
using LowRank.Generation;
using LowRank.Kernels;
using LowRank.Models;
using LowRank.Quantization;
using static TorchSharp.torch;

namespace LowRank.Cli.Bench.Generate;

/// <summary>A model in one of the measured formats, and what is measured of it in each round.</summary>
internal sealed class GenerationSession : IDisposable
{
    private readonly GenerateOptions options;
    private readonly PretrainedModel model;
    private readonly Adapter? adapter;
    private readonly TextGenerator generator;
    private readonly GenerationWay one, many, oneAdapted, manyAdapted;
    private readonly List<double> reads = [];
    private readonly Lazy<ReadRate> rate; // as large as the weights, so only once their memory has been measured

    private GenerationSession(GenerateOptions options, PretrainedModel model)
    {
        (this.options, this.model) = (options, model);
        (one, many, oneAdapted, manyAdapted) =
            (new(1, false), new(options.Batch, false), new(1, true), new(options.Batch, true));
        Cost = new GenerationCost(model.Decoder, options.Prompt);
        generator = new TextGenerator(model.Decoder);
        // B is random too, so the adapter has an effect.
        if (options.Rank > 0)
            adapter = Adapter.Create(model, new LoraConfig
            {
                Rank = options.Rank, Alpha = 2 * options.Rank, TargetModules = BenchTargets.Select(options.Targets),
                InitLoraWeights = InitialWeights.False,
            }, GenerateBench.Seed);
        rate = new Lazy<ReadRate>(() => new ReadRate((long)StepBytes(1)));
    }

    /// <summary>What a step and a prompt cost.</summary>
    public GenerationCost Cost { get; }

    /// <summary>The format of the weights, with <see cref="WeightFormats.Auto"/> resolved.</summary>
    public string Format => model.Network.PackedWeights.Values.FirstOrDefault()?.Format ?? WeightFormats.Float32;

    /// <summary>The number of tokens that the model knows.</summary>
    public int VocabularySize => model.Decoder.VocabularySize;

    /// <summary>Bytes of the base's weights.</summary>
    public long WeightBytes => model.Network.WeightBytes;

    /// <summary>Opens the model in a format.</summary>
    /// <exception cref="InputException">The options do not fit the model; lists all problems.</exception>
    public static GenerationSession Open(GenerateOptions options, BenchFolder folder, string format)
    {
        PretrainedModel model = PretrainedModel.Open(
            folder.Path, baseDtype: format, computeDtype: options.ComputeDtype, baseHead: options.BaseHead);
        try
        {
            Check(options, model.Decoder);
            return new GenerationSession(options, model);
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <summary>Generates one sequence, untimed, so that everything is compiled and read from the disk.</summary>
    /// <param name="prompts">The prompts.</param>
    /// <returns>The process's largest resident size meanwhile, without this model's weights.</returns>
    public long Peak(IReadOnlyList<int[]> prompts)
    {
        ProcessMemory.ResetPeak();
        new GenerationWay(1, false).Run(generator, prompts, options.New);
        return ProcessMemory.PeakBytes() - WeightBytes;
    }

    /// <summary>Measures everything once, one after the other.</summary>
    public void Round(IReadOnlyList<int[]> prompts)
    {
        double read = rate.Value.Measure();
        foreach (GenerationWay way in (ReadOnlySpan<GenerationWay>)(adapter is null ? [one, many]
            : [one, oneAdapted, many, manyAdapted]))
        {
            if (way.Adapted) adapter!.Attach();
            way.Run(generator, prompts, options.New);
            if (way.Adapted) adapter!.Detach();
            read = Math.Max(read, rate.Value.Measure());
        }
        reads.Add(read);
    }

    /// <summary>What the rounds found.</summary>
    /// <param name="flopsPerSecond">The rate of the prompt's own matrix products.</param>
    public GenerateMeasurement Found(double flopsPerSecond) => new()
    {
        Options = options,
        Format = Format,
        Threads = get_num_threads(),
        VectorWidth = GenerateBench.VectorWidth,
        One = one,
        Many = many,
        OneAdapted = adapter is null ? null : oneAdapted,
        ManyAdapted = adapter is null ? null : manyAdapted,
        Reads = reads,
        StepBytes = StepBytes(1),
        ManyStepBytes = StepBytes(options.Batch),
        PromptFlops = Cost.PromptFlops(1),
        GemmFlopsPerSecond = flopsPerSecond,
        WeightBytes = WeightBytes,
    };

    /// <inheritdoc/>
    public void Dispose()
    {
        if (rate.IsValueCreated) rate.Value.Dispose();
        adapter?.Dispose();
        model.Dispose();
    }

    private double StepBytes(int batch) => Cost.StepBytes(batch, options.New - 1);

    private static void Check(GenerateOptions options, Decoder model)
    {
        List<string> problems = [];
        if (options.Prompt + options.New > model.MaxPositions)
            problems.Add(
                $"--prompt {options.Prompt} and --new {options.New} make {options.Prompt + options.New} positions; " +
                $"{options.Shape} takes at most {model.MaxPositions}");
        if (model.Shape.Experts is not null)
            problems.Add(
                $"{options.Shape} chooses experts for each token: the bytes that a step reads cannot be counted by " +
                "shape");
        if (problems.Count > 0) throw new InputException("bench generate cannot run:", problems);
    }
}
