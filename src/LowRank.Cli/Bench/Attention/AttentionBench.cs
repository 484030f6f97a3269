using System.Diagnostics;
using LowRank.Data.Packing;
using LowRank.Models;
using LowRank.Models.Layers;
using LowRank.Tensors;
using static TorchSharp.torch;

namespace LowRank.Cli.Bench.Attention;

/// <summary>Measures attention by tiles and by torch's operations, in turns.</summary>
internal static class AttentionBench
{
    public static IReadOnlyList<AttentionTimes> Run(int rounds, int? threads)
    {
        set_num_threads(threads ?? ProcessorCores.Physical());
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
            Time(own, fused, shape, (states, context) => TiledAttentionKernel.TryAttendFused(states, split, settings, context) ?? Tiled(split(states), settings, context));
            Time(torchs, fused, shape, (states, context) => Torch(split(states), settings, context));
        }
        return new AttentionTimes(shape, own[0], own[1], own[2], torchs[0], torchs[1], torchs[2]);
    }

    private static Tensor Tiled((Tensor Query, Tensor Key, Tensor Value) parts, AttentionSettings settings, ForwardContext context) =>
        AttentionKernel.Attend(parts.Query, parts.Key, parts.Value, settings, context);

    private static Tensor Torch((Tensor Query, Tensor Key, Tensor Value) parts, AttentionSettings settings, ForwardContext context)
    {
        if (context.Documents is { } documents) return PackedAttention.Attend(parts.Query, parts.Key, parts.Value, settings, context, documents);
        Tensor? mask = context.Mask(settings.Window);
        return AttentionKernel.Attend(parts.Query, parts.Key, parts.Value, mask, mask is null && context.IsCausal, settings, null);
    }

    private static void Time(double[] seconds, Tensor fused, AttentionShape shape, Func<Tensor, ForwardContext, Tensor> attend)
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
        if (shape.Prompts == 0) return ForwardContext.Create(zeros(shape.Rows, shape.Tokens, ScalarType.Int64), null, null, null, null, null);
        List<PackedSegment> segments = [];
        if (shape.PromptTokens == 0) segments.Add(new PackedSegment(shape.CompletionTokens, shape.Prompts, []));
        for (int i = 0; shape.PromptTokens > 0 && i < shape.Prompts; i++)
        {
            segments.Add(new PackedSegment(shape.PromptTokens, 1, []));
            // Completions differ in length, as real ones do: one call each.
            for (int j = 0; j < shape.Completions; j++)
                segments.Add(new PackedSegment(shape.CompletionTokens + (j % 2 == 0 ? j : -j + 1), 1, [segments.Count - 1 - j]));
        }
        int tokens = segments.Sum(segment => segment.Tokens);
        if (tokens != shape.Tokens) throw new InvalidOperationException($"The segments have {tokens} tokens, not {shape.Tokens}.");
        return ForwardContext.CreatePacked(new PackedDocuments(zeros(1, tokens, ScalarType.Int64), segments, shape.PromptTokens + 2 * shape.CompletionTokens), null, null, null, null);
    }

    private static void Least(ref double seconds, Action work)
    {
        long started = Stopwatch.GetTimestamp();
        work();
        seconds = Math.Min(seconds, Stopwatch.GetElapsedTime(started).TotalSeconds);
    }
}
