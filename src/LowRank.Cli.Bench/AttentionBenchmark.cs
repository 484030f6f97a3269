using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using LowRank.Cli.Common;
using LowRank.Kernels;
using LowRank.Models.Layers;
using Spectre.Console;
using static TorchSharp.torch;

namespace LowRank.Cli.Bench;

/// <summary><c>lowrank bench attention</c>: attention in tiles against torch's operations.</summary>
internal sealed class AttentionBenchmark : IBenchmark
{
    public Command Build()
    {
        var rounds = new Option<int>("--rounds")
        {
            Description = "Number of rounds. Each measures both once; the fastest counts.",
            DefaultValueFactory = _ => 20,
        };
        var threads = new Option<int?>("--threads")
        {
            Description = "Number of threads. Default: OMP_NUM_THREADS, else one per physical core.",
        };
        var json = new Option<bool>("--json")
        {
            Description =
                "Print a JSON object: shapes, each with name, rows, tokens, heads, key_value_heads, dimension, " +
                "window, forward_seconds, backward_seconds, evaluation_seconds (without gradients), and each as " +
                "forward_speedup, … against torch's.",
        };
        return new Command("attention",
            "Measure attention forward and backward, in tiles and with torch's operations, for several shapes.")
            { rounds, threads, json }
            .Does(parsed => Run(parsed.GetValue(rounds), parsed.GetValue(threads), parsed.GetValue(json)),
                OptionUse.Always(rounds, threads, json), OptionUse.AtLeast(rounds, 1), OptionUse.Threads(threads));
    }

    private static int Run(int rounds, int? threads, bool json)
    {
        IReadOnlyList<AttentionTimes> found = AttentionBench.Run(rounds, threads);
        if (json) MeasuredJson.Write(new { shapes = found.Select(Json).ToArray() });
        else Show(found);
        return ExitCodes.Success;
    }

    public static object Json(AttentionTimes times) => new
    {
        name = times.Shape.Name,
        rows = times.Shape.Rows,
        tokens = times.Shape.Tokens,
        heads = times.Shape.Heads,
        key_value_heads = times.Shape.KeyValueHeads,
        dimension = times.Shape.Dimension,
        window = times.Shape.Window,
        forward_seconds = times.Forward,
        backward_seconds = times.Backward,
        evaluation_seconds = times.Evaluation,
        forward_speedup = times.TorchForward / times.Forward,
        backward_speedup = times.TorchBackward / times.Backward,
        evaluation_speedup = times.TorchEvaluation / times.Evaluation,
    };

    private static void Show(IReadOnlyList<AttentionTimes> found)
    {
        Table table = Screen.TableOf(
            "", "forward, ms", "of torch's", "backward, ms", "of torch's", "evaluation, ms", "of torch's");
        foreach (AttentionTimes times in found)
        {
            string Milliseconds(double seconds) => (1e3 * seconds).ToString("f2", CultureInfo.InvariantCulture);
            string Share(double own, double torchs) => (own / torchs).ToString("f2", CultureInfo.InvariantCulture);
            table.AddRow(times.Shape.Name, Milliseconds(times.Forward), Share(times.Forward, times.TorchForward),
                Milliseconds(times.Backward), Share(times.Backward, times.TorchBackward),
                Milliseconds(times.Evaluation), Share(times.Evaluation, times.TorchEvaluation));
        }
        Screen.Write(table);
    }
}

/// <summary>Measures attention in tiles and with torch's operations, in turn.</summary>
internal static class AttentionBench
{
    public static IReadOnlyList<AttentionTimes> Run(int rounds, int? threads)
    {
        set_num_threads(threads ?? ProcessorCores.Usable());
        return [.. AttentionShape.All.Select(shape => Measure(shape, rounds))];
    }

    private static AttentionTimes Measure(AttentionShape shape, int rounds)
    {
        using var scope = NewDisposeScope();
        Func<Tensor, (Tensor Query, Tensor Key, Tensor Value)> split = shape.Heads == shape.KeyValueHeads
            ? FusedLayout.Stacked(shape.Heads, shape.Dimension)
            : FusedLayout.Grouped(shape.Heads, shape.KeyValueHeads, shape.Dimension);
        Tensor fused = randn(shape.Rows, shape.Tokens, (shape.Heads + 2 * shape.KeyValueHeads) * shape.Dimension);
        var settings = new AttentionSettings(0, shape.Window);
        double[] own = [.. Enumerable.Repeat(double.MaxValue, 3)], torchs = [.. own];
        for (int round = 0; round < rounds; round++)
        {
            Time(own, fused, shape, (states, context) => context.Attend(states, split, settings));
            Time(torchs, fused, shape, (states, context) =>
            {
                using (KernelForm.UsePlain()) return context.Attend(states, split, settings);
            });
        }
        return new AttentionTimes(shape, own[0], own[1], own[2], torchs[0], torchs[1], torchs[2]);
    }

    private static void Time(
        double[] seconds, Tensor fused, AttentionShape shape, Func<Tensor, ForwardContext, Tensor> attend)
    {
        using var scope = NewDisposeScope();
        Tensor states = fused.detach().requires_grad_();
        ForwardContext context = Context(shape);
        Tensor? mixed = null;
        using (no_grad()) Least(ref seconds[2], () => attend(states, context).Dispose());
        Least(ref seconds[0], () => mixed = attend(states, context));
        Tensor along = randn(mixed!.shape);
        Least(ref seconds[1], () => mixed.backward([along]));
    }

    private static ForwardContext Context(AttentionShape shape)
    {
        if (shape.Prompts == 0)
            return ForwardContext.Create(
                zeros(shape.Rows, shape.Tokens, ScalarType.Int64), null, null, null, null, null);
        List<PackedSegment> segments = [];
        if (shape.PromptTokens == 0) segments.Add(new PackedSegment(shape.CompletionTokens, shape.Prompts, []));
        for (int i = 0; shape.PromptTokens > 0 && i < shape.Prompts; i++)
        {
            segments.Add(new PackedSegment(shape.PromptTokens, 1, []));
            // Completions differ in length, as real ones do, so each needs its own call.
            for (int j = 0; j < shape.Completions; j++)
                segments.Add(
                    new PackedSegment(
                        shape.CompletionTokens + (j % 2 == 0 ? j : -j + 1), 1, [segments.Count - 1 - j]));
        }
        int tokens = segments.Sum(segment => segment.Tokens);
        if (tokens != shape.Tokens)
            throw new InvalidOperationException($"The segments have {tokens} tokens, not {shape.Tokens}.");
        return ForwardContext.CreatePacked(
            new PackedSequences(
                zeros(1, tokens, ScalarType.Int64), segments, shape.PromptTokens + 2 * shape.CompletionTokens), null,
                null, null, null);
    }

    private static void Least(ref double seconds, Action work)
    {
        long started = Stopwatch.GetTimestamp();
        work();
        seconds = Math.Min(seconds, Stopwatch.GetElapsedTime(started).TotalSeconds);
    }
}

/// <summary>The shape of an attention call.</summary>
/// <param name="Name">A description.</param>
/// <param name="Rows">Rows of the batch; 1 if texts are packed.</param>
/// <param name="Tokens">Tokens per row.</param>
/// <param name="Heads">Query heads.</param>
/// <param name="KeyValueHeads">Key-value heads.</param>
/// <param name="Dimension">Width of a head.</param>
/// <param name="Window">How many positions back attention reaches; null for all.</param>
/// <param name="Prompts">Packed texts: number of prompts; 0 if rows are not packed.</param>
/// <param name="PromptTokens">Tokens per prompt.</param>
/// <param name="Completions">Completions per prompt.</param>
/// <param name="CompletionTokens">Tokens per completion.</param>
internal sealed record AttentionShape(
    string Name, int Rows, int Tokens, int Heads, int KeyValueHeads, int Dimension, int? Window = null,
    int Prompts = 0, int PromptTokens = 0, int Completions = 0, int CompletionTokens = 0)
{
    /// <summary>The shapes to measure.</summary>
    public static IReadOnlyList<AttentionShape> All { get; } =
    [
        new("a step of gpt2-small", 4, 256, 12, 12, 64),
        new("short rows", 64, 4, 12, 12, 64),
        new("rows of 32", 16, 32, 12, 12, 64),
        new("rows of 1024", 1, 1024, 12, 12, 64),
        new("rows of 2048", 1, 2048, 12, 12, 64),
        new("grouped heads", 2, 512, 32, 8, 64),
        new("wide heads", 2, 512, 16, 4, 128),
        new("a window", 1, 2048, 12, 12, 64, Window: 256),
        new("the embedded base", 8, 128, 6, 3, 32),
        Packed("packed texts", 16, 0, 1, 40),
        Packed("shared prompts", 2, 40, 8, 24),
    ];

    private static AttentionShape Packed(
        string name, int prompts, int promptTokens, int completions, int completionTokens) =>
        new(name, 1, prompts * (promptTokens + completions * completionTokens), 12, 12, 64, null, prompts, promptTokens,
            completions, completionTokens);
}

/// <summary>Times of one attention call in tiles and with torch's operations, the fastest of all rounds.</summary>
/// <param name="Shape">The shape.</param>
/// <param name="Forward">Seconds forward, with what the backward pass needs.</param>
/// <param name="Backward">Seconds backward, to one gradient of queries, keys and values together.</param>
/// <param name="Evaluation">Seconds forward without gradients.</param>
/// <param name="TorchForward">As <paramref name="Forward"/>.</param>
/// <param name="TorchBackward">As <paramref name="Backward"/>.</param>
/// <param name="TorchEvaluation">As <paramref name="Evaluation"/>.</param>
internal sealed record AttentionTimes(AttentionShape Shape, double Forward, double Backward, double Evaluation,
    double TorchForward, double TorchBackward, double TorchEvaluation);
