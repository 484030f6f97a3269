using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using LowRank.Adapters;
using LowRank.Cli.Bench.Train;
using LowRank.Data;
using LowRank.Generation;
using LowRank.Kernels;
using LowRank.Models;
using LowRank.Models.Layers;
using static TorchSharp.torch;

namespace LowRank.Cli.Bench.Generate;

/// <summary>Measures generation on random prompts, as in <c>lowrank generate</c>, and compares it with the limits of
/// the machine.</summary>
internal static class GenerateBench
{
    private const int Seed = 1;

    /// <summary>Numbers of the processor's widest vectors.</summary>
    public static int VectorWidth => Vector512.IsHardwareAccelerated ? Vector512<float>.Count
        : Vector256.IsHardwareAccelerated ? Vector256<float>.Count : Vector128<float>.Count;

    public static GenerateMeasurement Run(GenerateOptions options)
    {
        options.Check();
        set_num_threads(options.Threads ?? ProcessorCores.Physical());
        using BenchFolder folder = BenchFolder.Open(options.Shape);
        using PretrainedModel model = PretrainedModel.Open(folder.Path);
        Check(options, model.Decoder);
        // B is random too, so the adapter has an effect.
        using Adapter? adapter = options.Rank == 0 ? null : Adapter.Create(model, new LoraConfig
        {
            Rank = options.Rank, Alpha = 2 * options.Rank, TargetModules = BenchTargets.Select(options.Targets),
                InitLoraWeights = InitialWeights.False,
        }, Seed);
        return Measure(options, model.Decoder, adapter);
    }

    private static GenerateMeasurement Measure(GenerateOptions options, Decoder model, Adapter? adapter)
    {
        var cost = new GenerationCost(model, options.Prompt);
        var generator = new TextGenerator(model);
        IReadOnlyList<int[]> prompts = Prompts(options, model.VocabularySize);
        GenerationWay one = new(1, false), many = new(options.Batch, false), oneAdapted = new(1, true),
            manyAdapted = new(options.Batch, true);
        GenerationWay[] ways = adapter is null ? [one, many] : [one, oneAdapted, many, manyAdapted];
        long peak = PeakOf(() => new GenerationWay(1, false).Run(generator, prompts, options.New));
        using var rate = new ReadRate((long)cost.StepBytes(1, options.New - 1));
        var products = new ProductRate(cost.PromptProducts(1));
        List<double> reads = [];
        // In turn, so a machine that slows down affects all measurements.
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
            problems.Add(
                $"--prompt {options.Prompt} and --new {options.New} make {options.Prompt + options.New} positions; " +
                $"{options.Shape} takes at most {model.MaxPositions}");
        if (model.Shape.Experts is not null)
            problems.Add(
                $"{options.Shape} chooses experts for each token: the bytes that a step reads cannot be counted by " +
                "shape");
        if (problems.Count > 0) throw new InputException("bench generate cannot run:", problems);
    }

    private static IReadOnlyList<int[]> Prompts(GenerateOptions options, int vocabulary)
    {
        var random = new StableRandom(Seed);
        return [.. Enumerable.Range(0, options.Batch)
            .Select(_ => Enumerable.Range(0, options.Prompt)
            .Select(_ => (int)(random.NextDouble() * vocabulary)).ToArray())];
    }
}

/// <summary>The measurements of <c>lowrank bench generate</c>: greedy generation in float32 with a cache.</summary>
/// <remarks>A round measures everything, one after the other. Values are compared within a round, because the memory's
/// speed changes over time; the median round counts.</remarks>
internal sealed record GenerateMeasurement
{
    /// <summary>The options of the measurement.</summary>
    public required GenerateOptions Options { get; init; }

    /// <summary>Threads.</summary>
    public required int Threads { get; init; }

    /// <summary>Numbers of the processor's widest vectors.</summary>
    public required int VectorWidth { get; init; }

    /// <summary>One sequence, the base alone.</summary>
    public required GenerationWay One { get; init; }

    /// <summary>Several sequences, the base alone.</summary>
    public required GenerationWay Many { get; init; }

    /// <summary>One sequence, with the adapter; null without one.</summary>
    public GenerationWay? OneAdapted { get; init; }

    /// <summary>Several sequences, with the adapter; null without one.</summary>
    public GenerationWay? ManyAdapted { get; init; }

    /// <summary>Memory read rate in each round, in bytes per second; see <see cref="ReadRate"/>.</summary>
    public required IReadOnlyList<double> Reads { get; init; }

    /// <summary>Memory read rate, in bytes per second.</summary>
    public double ReadBytesPerSecond => Middle.Of([.. Reads]);

    /// <summary>Bytes of weights and cache that a step of one sequence reads.</summary>
    public required double StepBytes { get; init; }

    /// <summary>Bytes that a step of several sequences reads.</summary>
    public required double ManyStepBytes { get; init; }

    /// <summary>Floating-point operations for the prompt of one sequence.</summary>
    public required double PromptFlops { get; init; }

    /// <summary>The rate of the prompt's own matrix products, see <see cref="Train.ProductRate"/>.</summary>
    public required double GemmFlopsPerSecond { get; init; }

    /// <summary>The process's largest resident size while one sequence was generated, without the weights.</summary>
    public required long PeakBytes { get; init; }

    /// <summary>Bytes of the base's weights.</summary>
    public required long WeightBytes { get; init; }

    /// <summary>Bytes per second read by the steps of one sequence, divided by the memory read rate.</summary>
    public double ShareOfLimit => Share(StepBytes, One);

    /// <summary>The same for several sequences.</summary>
    public double ManyShareOfLimit => Share(ManyStepBytes, Many);

    /// <summary>Operations per second of a prompt up to its first new token, divided by the rate of matrix
    /// products.</summary>
    public double PromptShareOfLimit => PromptFlops / One.PromptSeconds / GemmFlopsPerSecond;

    /// <summary>Tokens per second of several sequences, relative to one sequence.</summary>
    public double BatchSpeedup => Many.Batch * Middle.OfQuotients(One.Rounds, Many.Rounds);

    /// <summary>Time that the adapter adds to a step of one sequence, as a share; null without one.</summary>
    public double? AdapterCost => OneAdapted is null ? null : Middle.OfQuotients(OneAdapted.Rounds, One.Rounds) - 1;

    /// <summary>The same for several sequences.</summary>
    public double? ManyAdapterCost => ManyAdapted is null ? null
        : Middle.OfQuotients(ManyAdapted.Rounds, Many.Rounds) - 1;

    /// <summary>Time that the adapter adds to a prompt of one sequence, as a share, of the fastest; null without
    /// one.</summary>
    public double? PromptAdapterCost => OneAdapted?.PromptSeconds / One.PromptSeconds - 1;

    private double Share(double bytes, GenerationWay way) =>
        Middle.OfQuotients(way.Rounds.Select(seconds => bytes / seconds), Reads);
}

/// <summary>The cost of generation, counted by shape: bytes that a step reads, and operations for a prompt.</summary>
/// <param name="model">The model.</param>
/// <param name="prompt">Tokens per prompt.</param>
internal sealed class GenerationCost(Decoder model, int prompt)
{
    private readonly Linear[] layers = [.. model.LinearLayers.Except([model.OutputHead!])];

    /// <summary>Bytes of weights that a step reads: matrices, head, biases and norms. It reads only one row of an
    /// embedding table, which is not counted.</summary>
    public long WeightBytes => layers.Append(model.OutputHead!).Sum(layer => Bytes(layer.Weight))
        + model.Parameters.Values.Where(weight => weight.dim() == 1).Sum(Bytes);

    /// <summary>The products of a prompt with the blocks' weights, and how often each occurs.</summary>
    /// <param name="batch">Sequences.</param>
    public IReadOnlyDictionary<MatrixProduct, int> PromptProducts(int batch) => layers
        .GroupBy(layer =>
        new MatrixProduct((long)batch * prompt, layer.InputSize, layer.OutputSize, Transposed: !layer.StoresTransposed))
        .ToDictionary(group => group.Key, group => group.Count());

    /// <summary>Operations for a prompt: products with the weights (with the head at the last position only), and the
    /// unmasked half of attention.</summary>
    /// <param name="batch">Sequences.</param>
    public double PromptFlops(int batch) => PromptProducts(batch).Sum(product => product.Key.Flops * product.Value)
        + 2.0 * batch * model.OutputHead!.Weight.numel()
        + Enumerable.Range(1, prompt)
        .Sum(length => 4.0 * batch * model.Shape.Heads * model.Shape.HeadDimension * Seen(length));

    /// <summary>Bytes of weights and cache that a step reads, halfway through the steps.</summary>
    /// <param name="batch">Sequences.</param>
    /// <param name="steps">Steps after the prompt.</param>
    public double StepBytes(int batch, int steps) => WeightBytes
        + 2.0 * sizeof(float) * batch * model.Shape.KeyValueHeads * model.Shape.HeadDimension * Enumerable.Range(
            prompt + 1, steps).Average(Seen);

    // The positions that all layers attend to, given this many positions.
    private double Seen(int length) => model.Shape.Windows.Sum(window => (double)Math.Min(length, window ?? length));

    private static long Bytes(Tensor weight) => weight.numel() * weight.element_size();
}

/// <summary>A measured way to generate: a number of sequences, with or without the adapter.</summary>
/// <param name="batch">Sequences.</param>
/// <param name="adapted">Whether the adapter is attached.</param>
internal sealed class GenerationWay(int batch, bool adapted)
{
    private readonly List<double> rounds = [];
    private readonly List<double> seconds = [];

    /// <summary>Sequences.</summary>
    public int Batch => batch;

    /// <summary>Whether the adapter is attached.</summary>
    public bool Adapted => adapted;

    /// <summary>The fastest prompt, up to its first new token.</summary>
    public double PromptSeconds { get; private set; } = double.PositiveInfinity;

    /// <summary>The fastest step of each round.</summary>
    public IReadOnlyList<double> Rounds => rounds;

    /// <summary>The fastest step of the median round.</summary>
    public double StepSeconds => Middle.Of(rounds);

    /// <summary>The median of all steps.</summary>
    public double MedianStepSeconds => Middle.Of(seconds);

    /// <summary>Managed bytes that a step allocates.</summary>
    public double ManagedBytes { get; private set; }

    /// <summary>Tokens per second at <see cref="StepSeconds"/>.</summary>
    public double TokensPerSecond => batch / StepSeconds;

    /// <summary>Generates once.</summary>
    /// <param name="generator">The model.</param>
    /// <param name="prompts">At least as many prompts as sequences.</param>
    /// <param name="tokens">New tokens per sequence.</param>
    public void Run(TextGenerator generator, IReadOnlyList<int[]> prompts, int tokens)
    {
        var times = new List<long>(tokens);
        long allocated = 0;
        void Note(int row, int token)
        {
            if (row != batch - 1) return;
            times.Add(Stopwatch.GetTimestamp());
            if (times.Count == 1) allocated = GC.GetAllocatedBytesForCurrentThread();
        }
        long started = Stopwatch.GetTimestamp();
        generator.Generate(
            [.. prompts.Take(batch)], new GenerationOptions { MaxNewTokens = tokens, Temperature = 0 }, Note);
        ManagedBytes = (double)(GC.GetAllocatedBytesForCurrentThread() - allocated) / (tokens - 1);
        PromptSeconds = Math.Min(PromptSeconds, Stopwatch.GetElapsedTime(started, times[0]).TotalSeconds);
        double[] steps = [.. times.Zip(times.Skip(1), (from, to) => Stopwatch.GetElapsedTime(from, to).TotalSeconds)];
        seconds.AddRange(steps);
        rounds.Add(steps.Min());
    }
}

/// <summary>The median, which a single lucky or disturbed round does not change.</summary>
internal static class Middle
{
    /// <summary>The upper median.</summary>
    public static double Of(IReadOnlyCollection<double> numbers) => numbers.Order().ElementAt(numbers.Count / 2);

    /// <summary>The median of the quotients of each round.</summary>
    public static double OfQuotients(IEnumerable<double> numerators, IEnumerable<double> denominators) =>
        Of([.. numerators.Zip(denominators, (a, b) => a / b)]);
}

/// <summary>How fast this machine reads memory: the limit for a generation step.</summary>
/// <remarks>All threads read an array of as many bytes as a step reads, so the caches hold the same share of it. They
/// read in one stream per thread with software prefetch, and in eight streams that the processor prefetches; the faster
/// way counts.</remarks>
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

    /// <summary>Reads everything once in each of the two ways.</summary>
    /// <returns>Bytes per second of the faster way.</returns>
    public double Measure()
    {
        fastest = double.PositiveInfinity;
        if (Vector512.IsHardwareAccelerated)
        {
            Measure(&OneStream<Wide512, Vector512<float>>);
            Measure(&EightStreams<Wide512, Vector512<float>>);
        }
        else
        {
            Measure(&OneStream<Wide256, Vector256<float>>);
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
    private static void OneStream<TWide, TVector>(void* data, int part)
        where TWide : struct, IWide<TVector>
        where TVector : struct
    {
        var shared = (Memory*)data;
        float* from = shared->Start + (long)part * PartLength, end = from + PartLength;
        TVector a = default, b = default, c = default, d = default;
        for (; from < end; from += 4 * TWide.Count)
        {
            (a, b) = (TWide.Add(a, TWide.Load(from)), TWide.Add(b, TWide.Load(from + TWide.Count)));
            (c, d) = (TWide.Add(c, TWide.Load(from + 2 * TWide.Count)),
                TWide.Add(d, TWide.Load(from + 3 * TWide.Count)));
            if (Sse.IsSupported)
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

    [StructLayout(LayoutKind.Auto)]
    private struct Memory
    {
        public float* Start;
        public float* Sum;
    }
}
