using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using LowRank.Adapters;
using LowRank.Cli.Common;
using LowRank.Data;
using LowRank.Data.Packing;
using LowRank.Kernels;
using LowRank.Kernels.Native;
using LowRank.Models;
using LowRank.Tokenizers;
using LowRank.Training;
using Spectre.Console;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Cli.Bench;

/// <summary><c>lowrank bench lengths</c>.</summary>
internal sealed class LengthsBenchmark : IBenchmark
{
    public Command Build()
    {
        var defaults = new LengthsOptions { Data = [], Tokenizer = "" };
        var shape = new Argument<string>("shape")
        {
            Description = $"{string.Join(", ", ModelShapes.Names)} (random weights), or a model folder; a decoder.",
            DefaultValueFactory = _ => defaults.Shape,
        };
        var data = new Option<string[]>("--data")
        {
            Description = "Data files with rows of natural length.",
            Required = true,
            AllowMultipleArgumentsPerToken = true,
        };
        var tokenizer = new Option<string>("--tokenizer") { Description = "Folder of the tokenizer.", Required = true };
        var batch = new Option<int>("--batch")
        {
            Description = "Rows per step.",
            DefaultValueFactory = _ => defaults.Batch,
        };
        var rank = new Option<int>("--rank")
        {
            Description = "Rank of the pairs.",
            DefaultValueFactory = _ => defaults.Rank,
        };
        var targets = new Option<string[]>("--targets")
        {
            Description = "Names of the adapted modules, or all-linear. Default: the model type's.",
            AllowMultipleArgumentsPerToken = true,
            DefaultValueFactory = _ => [],
        };
        var steps = new Option<int>("--steps")
        {
            Description = "Timed steps per loop.",
            DefaultValueFactory = _ => defaults.Steps,
        };
        var longest = new Option<int>("--max-length")
        {
            Description = "Maximum row length in tokens; longer rows are cut.",
            DefaultValueFactory = _ => defaults.MaxLength,
        };
        var threads = new Option<int?>("--threads")
        {
            Description = "Number of torch threads. Default: OMP_NUM_THREADS, else one per physical core.",
        };
        var json = new Option<bool>("--json")
        {
            Description =
                "Print a JSON object: rows, prompts, packed_speedup, shared_speedup, shared_speedup_on_same_rows, " +
                "packed_speedup_of_processor, shared_speedup_of_processor, largest_difference, and loops (plain, " +
                "packed, plain_grouped, shared), each with labelled_tokens_per_second, tokens_per_second, labels, " +
                "tokens, positions, seconds, processor_seconds, peak_memory_bytes.",
        };
        return new Command("lengths",
            "Measure training steps on rows of natural length, in turn: a plain loop (each batch padded to its " +
            "longest row, logits for every position), packing, and prompt sharing. Saves nothing.")
            { shape, data, tokenizer, batch, rank, targets, steps, longest, threads, json }
            .Does(parsed => LengthsView.Show(LengthsBench.Run(new LengthsOptions
            {
                Shape = parsed.GetValue(shape)!,
                Data = parsed.GetRequiredValue(data),
                Tokenizer = parsed.GetRequiredValue(tokenizer),
                Batch = parsed.GetValue(batch),
                Rank = parsed.GetValue(rank),
                Targets = parsed.GetValue(targets) ?? [],
                Steps = parsed.GetValue(steps),
                MaxLength = parsed.GetValue(longest),
                Threads = parsed.GetValue(threads),
            }), parsed.GetValue(json)),
                OptionUse.Always(data, tokenizer, batch, rank, targets, steps, longest, threads, json),
                OptionUse.Threads(threads), OptionUse.Data(data, path => LowRank.Data.Rows.RowFiles.Missing([path])));
    }
}

/// <summary>Measures training steps on rows of natural length, in turn: a plain loop, packing, and prompt
/// sharing.</summary>
internal static class LengthsBench
{
    private const int Seed = 1;

    public static LengthsMeasurement Run(LengthsOptions options)
    {
        options.Check();
        set_num_threads(options.Threads ?? ProcessorCores.Usable());
        using BenchFolder folder = BenchFolder.Open(options.Shape);
        using PretrainedModel model = PretrainedModel.Open(folder.Path);
        Tokenizer tokenizer = Tokenizer.Load(options.Tokenizer);
        IReadOnlyList<TokenizedExample> rows = ExampleLoader.Load(options.Data, tokenizer, new ExampleOptions
        {
            VocabularySize = model.Network.VocabularySize,
                MaxLength = Math.Min(options.MaxLength, model.Network.MaxPositions),
        }).Examples;
        // B is random too: with B = 0 the gradient of A would be 0, and there would be nothing to compare.
        using Adapter adapter = Adapter.Create(model, new LoraConfig
        {
            Rank = options.Rank, Alpha = 2 * options.Rank, TargetModules = BenchTargets.Select(options.Targets),
                InitLoraWeights = InitialWeights.False,
        }, Seed);
        adapter.Attach();
        return Measure(model.Decoder, new TrainedAdapter(adapter), rows, options);
    }

    private static LengthsMeasurement Measure(
        Decoder model, TrainedAdapter trained, IReadOnlyList<TokenizedExample> rows, LengthsOptions options)
    {
        var sharing = new CausalObjective(model, new RowBatching { SharePrompts = PromptSharing.Grouped });
        var packing = new CausalObjective(model, new RowBatching { SharePrompts = PromptSharing.Off });
        var plain = new PlainObjective(model);
        var drawn = new BatchPlan(rows, options.Batch, 1, shuffle: true, Seed);
        var grouped = new BatchPlan(rows, options.Batch, 1, shuffle: true, Seed, sharing.Arranger);
        (IObjective Objective, BatchPlan Plan, LoopMeasurement Found)[] loops =
            [(plain, drawn, new()), (packing, drawn, new()), (plain, grouped, new()), (sharing, grouped, new())];
        using var runner = new LoopRunner(trained);
        for (int step = 0; step <= options.Steps; step++)
        {
            foreach ((IObjective objective, BatchPlan plan, LoopMeasurement found) in loops)
            {
                StepBatches batches = plan.Step(step % plan.StepsPerEpoch);
                if (step == 0)
                {
                    NativeAllocator.ReturnFreedMemory(); // from the previous loop
                    ProcessMemory.ResetPeak();
                    runner.Run(objective, batches);
                    found.PeakBytes = ProcessMemory.PeakBytes();
                    continue;
                }
                (StepOutcome outcome, double seconds, double processor) = runner.Run(objective, batches);
                IReadOnlyList<IExample> taken = [.. batches.MicroBatches.SelectMany(batch => batch)];
                found.Add(batches.PredictedLabels, taken.Sum(row => (long)row.Tokens),
                    batches.MicroBatches.Sum(objective.Arranger.Positions), seconds, processor, outcome.Loss,
                    outcome.GradientNorm);
            }
        }
        return new LengthsMeasurement
        {
            Rows = rows.Count, Prompts = rows.Distinct(PromptComparer.Instance).Count(),
            Plain = loops[0].Found, Packed = loops[1].Found, PlainGrouped = loops[2].Found, Shared = loops[3].Found,
        };
    }

    // The learning rate is 0, so every loop sees the same weights.
    private sealed class LoopRunner(TrainedAdapter trained) : IDisposable
    {
        private readonly Dictionary<IObjective, StepRunner> runners = [];
        private long number;

        public (StepOutcome Outcome, double Seconds, double ProcessorSeconds) Run(
            IObjective objective, StepBatches batches)
        {
            if (!runners.TryGetValue(objective, out StepRunner? runner))
                runners[objective] = runner = new StepRunner(objective, trained, new TrainerOptions { Seed = Seed });
            TimeSpan used = Environment.CpuUsage.TotalTime;
            long started = Stopwatch.GetTimestamp();
            StepOutcome outcome = runner.Run(batches, 0, ++number);
            return (outcome, Stopwatch.GetElapsedTime(started).TotalSeconds,
                (Environment.CpuUsage.TotalTime - used).TotalSeconds);
        }

        public void Dispose()
        {
            foreach (StepRunner runner in runners.Values) runner.Dispose();
        }
    }
}

/// <summary>Four loops over the same data: two over rows in random order, two over rows grouped by prompt.</summary>
internal sealed record LengthsMeasurement
{
    /// <summary>Rows of the data.</summary>
    public required int Rows { get; init; }

    /// <summary>Number of distinct prompts.</summary>
    public required int Prompts { get; init; }

    /// <summary>Each batch padded, logits for every position; rows in random order.</summary>
    public required LoopMeasurement Plain { get; init; }

    /// <summary>The same rows packed, with logits only where a label is predicted.</summary>
    public required LoopMeasurement Packed { get; init; }

    /// <summary>As <see cref="Plain"/>, on the rows of <see cref="Shared"/>.</summary>
    public required LoopMeasurement PlainGrouped { get; init; }

    /// <summary>Packed, with the rows of a prompt together and the prompt computed once.</summary>
    public required LoopMeasurement Shared { get; init; }

    /// <summary>Labelled tokens per second of the packed loop, relative to the plain loop on the same rows.</summary>
    public double PackedSpeedup => Packed.LabelsPerSecond / Plain.LabelsPerSecond;

    /// <summary>Labelled tokens per second of the sharing loop, relative to the plain loop.</summary>
    public double SharedSpeedup => Shared.LabelsPerSecond / Plain.LabelsPerSecond;

    /// <summary>The same, relative to the plain loop on the same rows.</summary>
    public double SharedSpeedupOnSameRows => Shared.LabelsPerSecond / PlainGrouped.LabelsPerSecond;

    /// <summary><see cref="PackedSpeedup"/> in processor time.</summary>
    public double PackedSpeedupOfProcessor => Packed.LabelsPerProcessorSecond / Plain.LabelsPerProcessorSecond;

    /// <summary><see cref="SharedSpeedup"/> in processor time.</summary>
    public double SharedSpeedupOfProcessor => Shared.LabelsPerProcessorSecond / Plain.LabelsPerProcessorSecond;

    /// <summary>Largest relative difference of loss or gradient norm from the plain loop's on the same rows.</summary>
    public double LargestDifference => Differences(Plain, Packed).Concat(Differences(PlainGrouped, Shared)).Max();

    private static IEnumerable<double> Differences(LoopMeasurement plain, LoopMeasurement other) =>
        plain.Results.Zip(other.Results, (a, b) =>
        Math.Max(Math.Abs(a.Loss - b.Loss) / Math.Abs(a.Loss),
            Math.Abs(a.Norm - b.Norm) / Math.Max(1e-12, Math.Abs(a.Norm))));
}

/// <summary>The options of <c>lowrank bench lengths</c>.</summary>
internal sealed record LengthsOptions
{
    /// <summary>Files with rows of natural length for a language model.</summary>
    public required IReadOnlyList<string> Data { get; init; }

    /// <summary>Folder of the tokenizer.</summary>
    public required string Tokenizer { get; init; }

    /// <summary>A name of <see cref="ModelShapes"/>, or a model folder.</summary>
    public string Shape { get; init; } = "gpt2-small";

    /// <summary>Rows per step.</summary>
    public int Batch { get; init; } = 16;

    /// <summary>Rank of the pairs.</summary>
    public int Rank { get; init; } = 8;

    /// <summary>Names of the adapted modules; "all-linear" for all; empty for the model type's default.</summary>
    public IReadOnlyList<string> Targets { get; init; } = [];

    /// <summary>Timed steps per loop, after one untimed step.</summary>
    public int Steps { get; init; } = 5;

    /// <summary>Maximum row length in tokens.</summary>
    public int MaxLength { get; init; } = 512;

    /// <summary>Number of torch threads; null for OMP_NUM_THREADS, else one per physical core.</summary>
    public int? Threads { get; init; }

    /// <exception cref="InputException">Some settings are invalid; lists all problems.</exception>
    public void Check()
    {
        List<string> problems = [];
        foreach ((string option, long value) in (ReadOnlySpan<(string, long)>)[
            ("batch", Batch), ("rank", Rank), ("steps", Steps), ("threads", Threads ?? 1)])
        {
            if (value < 1) problems.Add($"--{option} is {value}, expected at least 1");
        }
        if (MaxLength < 2) problems.Add($"--max-length is {MaxLength}, expected at least 2");
        if (problems.Count > 0) throw new InputException("bench lengths cannot run:", problems);
    }
}

/// <summary>Shows a measurement of natural lengths as a table or as JSON.</summary>
internal static class LengthsView
{
    public static void Show(LengthsMeasurement found, bool json)
    {
        if (json)
        {
            MeasuredJson.Write(Json(found));
            return;
        }
        Table table = Screen.TableOf(
            "", "labelled tokens/s", "tokens/s", "positions computed per label", "peak memory");
        foreach ((string name, LoopMeasurement loop) in Loops(found))
        {
            string[] cells =
                [$"{loop.LabelsPerSecond:f0}", $"{loop.TokensPerSecond:f0}",
                $"{(double)loop.Positions / loop.Labels:f2}", $"{loop.PeakBytes / 1e6:f0} MB"];
            table.AddRow([name.Replace('_', ' '), .. cells]);
        }
        Screen.Write(table);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"packed {found.PackedSpeedup:f2} times plain; shared {found.SharedSpeedup:f2} times plain, " +
                $"{found.SharedSpeedupOnSameRows:f2} times plain on the same rows"));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"in processor time, which other programs affect less: packed {found.PackedSpeedupOfProcessor:f2} " +
                $"times plain, shared {found.SharedSpeedupOfProcessor:f2} times"));
        Console.WriteLine(
            string.Create(
                CultureInfo.InvariantCulture,
                $"losses and gradient norms differ from the plain loop's by at most {found.LargestDifference:e1} of " +
                $"their size"));
    }

    private static IEnumerable<(string Name, LoopMeasurement Loop)> Loops(LengthsMeasurement found) =>
        [("plain", found.Plain), ("packed", found.Packed), ("plain_grouped", found.PlainGrouped),
            ("shared", found.Shared)];

    private static object Json(LengthsMeasurement found) => new
    {
        rows = found.Rows,
        prompts = found.Prompts,
        packed_speedup = found.PackedSpeedup,
        shared_speedup = found.SharedSpeedup,
        shared_speedup_on_same_rows = found.SharedSpeedupOnSameRows,
        packed_speedup_of_processor = found.PackedSpeedupOfProcessor,
        shared_speedup_of_processor = found.SharedSpeedupOfProcessor,
        largest_difference = found.LargestDifference,
        loops = Loops(found).ToDictionary(loop => loop.Name, loop => new
        {
            labelled_tokens_per_second = loop.Loop.LabelsPerSecond,
            tokens_per_second = loop.Loop.TokensPerSecond,
            labels = loop.Loop.Labels,
            tokens = loop.Loop.Tokens,
            positions = loop.Loop.Positions,
            seconds = loop.Loop.Seconds,
            processor_seconds = loop.Loop.ProcessorSeconds,
            peak_memory_bytes = loop.Loop.PeakBytes,
        }),
    };
}

/// <summary>The measurements of a loop over its timed steps.</summary>
internal sealed class LoopMeasurement
{
    /// <summary>Labels predicted.</summary>
    public long Labels { get; private set; }

    /// <summary>Tokens of the rows.</summary>
    public long Tokens { get; private set; }

    /// <summary>Positions computed, padding included.</summary>
    public long Positions { get; private set; }

    /// <summary>Time of each step.</summary>
    public List<double> Seconds { get; } = [];

    /// <summary>Processor time of all steps, which excludes other programs.</summary>
    public double ProcessorSeconds { get; private set; }

    /// <summary>Peak memory of the whole process in the first, untimed step.</summary>
    public long PeakBytes { get; set; }

    /// <summary>Loss and gradient norm of each step.</summary>
    public List<(double Loss, double Norm)> Results { get; } = [];

    public double LabelsPerSecond => Labels / Seconds.Sum();

    public double LabelsPerProcessorSecond => Labels / ProcessorSeconds;

    public double TokensPerSecond => Tokens / Seconds.Sum();

    public void Add(
        long labels, long tokens, long positions, double seconds, double processor, double loss, double norm)
    {
        (Labels, Tokens, Positions) = (Labels + labels, Tokens + tokens, Positions + positions);
        Seconds.Add(seconds);
        ProcessorSeconds += processor;
        Results.Add((loss, norm));
    }
}

/// <summary>Next-token prediction with a plain loop: each batch padded to its longest row, logits for every
/// position.</summary>
internal sealed class PlainObjective(Decoder model) : IObjective
{
    /// <inheritdoc/>
    public INetwork Network => model;

    /// <inheritdoc/>
    public Tensor Sum(IReadOnlyList<IExample> rows, Generator? dropout, IMetricAccumulator? board = null)
    {
        using var scope = NewDisposeScope();
        Batch batch = Batch.Pad([.. rows.Cast<TokenizedExample>()]);
        Tensor Rows(long[] values) =>
            tensor(values, dtype: ScalarType.Int64, device: model.Device).view(rows.Count, batch.Length);
        Tensor hidden =
            model.Hidden(Rows(batch.InputIds), batch.AttentionMask is { } mask ? Rows(mask) : null, null, dropout);
        Tensor logits = model.Logits(hidden, dropout).view(-1, model.VocabularySize);
        // Shifts the labels instead of the logits, which would have to be copied.
        Tensor labels =
            nn.functional.pad(
                Rows(batch.Labels).narrow(1, 1, batch.Length - 1), [0, 1], value: TokenizedExample.Ignored);
        return nn.functional.cross_entropy(
            logits, labels.reshape(-1), ignore_index: TokenizedExample.Ignored, reduction: nn.Reduction.Sum)
            .MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public IMetricAccumulator? NewBoard() => null;
}
