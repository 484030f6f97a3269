using LowRank.Kernels;
using LowRank.Kernels.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>Attention by <see cref="TiledAttention"/> as one step of the graph.</summary>
/// <remarks>Kept for the backward pass are queries, keys, values, the output, and a number for each query and head.
/// Where the three are parts of one tensor, their gradients are written into one.</remarks>
internal sealed class TrainingAttention : autograd.SingleTensorFunction<TrainingAttention>
{
    private const string Arguments = "arguments";

    /// <inheritdoc/>
    public override string Name => nameof(TrainingAttention);

    /// <summary>Attends.</summary>
    /// <param name="query">[batch, heads, queries, dimension], or the tensor that
    /// <see cref="TrainingAttentionArguments.Split"/> takes apart.</param>
    /// <param name="key">[batch, key-value heads, keys, dimension]; null with the query.</param>
    /// <param name="value">as <paramref name="key"/></param>
    /// <param name="arguments">How.</param>
    /// <returns>[batch, queries, heads · dimension], in the caller's dispose scope.</returns>
    public static Tensor Apply(Tensor query, Tensor? key, Tensor? value, TrainingAttentionArguments arguments)
    {
        using var scope = NewDisposeScope();
        if (!is_grad_enabled())
            return Compute(Parts(query, key, value, arguments), null, arguments).MoveToOuterDisposeScope();
        // The function keeps a tensor of its output's size, which nobody reads: the scope frees it.
        return apply(query, key!, value!, arguments).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        (Tensor first, Tensor? key, Tensor? value, var arguments) =
            ((Tensor)vars[0], vars[1] as Tensor, vars[2] as Tensor, (TrainingAttentionArguments)vars[3]);
        BackwardErrors.Watch(ctx, vars);
        ctx.save_data(Arguments, arguments);
        var parts = Parts(first, key, value, arguments);
        long[] shape = parts.Query.shape;
        Tensor logSums = empty(shape[0], shape[1], shape[2]), output = Compute(parts, logSums, arguments);
        // The output would keep the graph, and the graph the output: another tensor over the same memory does not.
        ctx.save_for_backward(
            [first, key!, value!, output.detach().MoveToOuterDisposeScope(), logSums.MoveToOuterDisposeScope()]);
        return output.MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output) =>
        BackwardErrors.Guard(Gradients, ctx, grad_output);

    private static List<Tensor> Gradients(autograd.AutogradContext ctx, Tensor grad_output)
    {
        ReturnedGradients.Release();
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        var arguments = (TrainingAttentionArguments)ctx.get_data(Arguments);
        if (ctx.get_saved_variables() is not [{ } first, var key, var value, { } output, { } logSums])
            throw new InvalidOperationException("The graph has been freed.");
        Tensor gradient = grad_output.contiguous();
        grad_output.Dispose(); // the function's own reference
        var parts = Parts(first, key, value, arguments);
        Tensor ofFirst;
        (Tensor Query, Tensor Key, Tensor Value) gradients;
        if (arguments.Split is { } split)
        {
            ofFirst = StepMemory.Empty(first.shape);
            gradients = split(ofFirst);
        }
        else
        {
            gradients = (TokenByToken(parts.Query), TokenByToken(parts.Key), TokenByToken(parts.Value));
            ofFirst = gradients.Query;
        }
        ComputeGradients(parts, output, gradient, logSums, gradients, arguments);
        return arguments.Split is null ? ReturnedGradients.Keep(ofFirst, gradients.Key, gradients.Value, null)
            : ReturnedGradients.Keep(ofFirst, null, null, null);
    }

    private static (Tensor Query, Tensor Key, Tensor Value) Parts(
        Tensor first, Tensor? key, Tensor? value, TrainingAttentionArguments arguments) =>
        arguments.Split is { } split ? split(first) : (first, key!, value!);

    // Room for gradients of [batch, heads, tokens, dimension], as projections have made the heads.
    private static Tensor TokenByToken(Tensor heads)
    {
        long[] s = heads.shape;
        return StepMemory.Empty(s[0], s[2], s[1], s[3]).transpose(1, 2);
    }

    private static unsafe Tensor Compute(
        (Tensor Query, Tensor Key, Tensor Value) parts, Tensor? logSums, TrainingAttentionArguments arguments)
    {
        long[] s = parts.Query.shape;
        Tensor output = StepMemory.Empty(s[0], s[2], s[1] * s[3]);
        TiledAttention attention = Task(parts, output, logSums, arguments);
        attention.Forward(arguments.Texts);
        return output;
    }

    private static void ComputeGradients(
        (Tensor Query, Tensor Key, Tensor Value) parts, Tensor output, Tensor gradient, Tensor logSums,
        (Tensor Query, Tensor Key, Tensor Value) gradients, TrainingAttentionArguments arguments)
    {
        TiledAttention attention = Task(parts, output, logSums, arguments);
        attention.OutputGradient = AttentionHeads.OfMixed(gradient, attention.Dimension);
        attention.QueryGradient = AttentionHeads.Of(gradients.Query);
        attention.KeyGradient = AttentionHeads.Of(gradients.Key);
        attention.ValueGradient = AttentionHeads.Of(gradients.Value);
        attention.Backward(arguments.Texts);
    }

    private static unsafe TiledAttention Task(
        (Tensor Query, Tensor Key, Tensor Value) parts, Tensor output, Tensor? logSums,
        TrainingAttentionArguments arguments)
    {
        long[] s = parts.Query.shape;
        return new TiledAttention
        {
            Query = AttentionHeads.Of(parts.Query),
            Key = AttentionHeads.Of(parts.Key),
            Value = AttentionHeads.Of(parts.Value),
            Output = AttentionHeads.OfMixed(output, (int)s[3]),
            LogSums = logSums is null ? null : (float*)NativeTensor.Address(logSums),
            Heads = (int)s[1],
            Groups = (int)(s[1] / parts.Key.shape[1]),
            Dimension = (int)s[3],
            Queries = (int)s[2],
            Scale = (float)arguments.Scale,
            Back = arguments.Back,
            Ahead = arguments.Ahead,
        };
    }
}

/// <summary>What <see cref="TrainingAttention"/> remembers besides tensors.</summary>
/// <param name="Texts">What attends to what.</param>
/// <param name="Scale">What scores are multiplied by.</param>
/// <param name="Back">How many positions back of its own a query sees.</param>
/// <param name="Ahead">How many positions ahead.</param>
/// <param name="Split">Takes one tensor apart into query, key and value; null where they are three.</param>
internal sealed record TrainingAttentionArguments(
    AttentionSequences Texts, double Scale, int Back, int Ahead,
    Func<Tensor, (Tensor Query, Tensor Key, Tensor Value)>? Split = null);

/// <summary>Attention of one new position over the cache, without masks, copies of shared heads or
/// temporaries.</summary>
internal static unsafe class StepAttentionKernel
{
    private const int MostRows = 1024; // whose first positions lie on the stack

    /// <summary>Adds the new position to the cache and attends, or returns null, having done nothing, where torch must:
    /// for several new positions, gradients, dropout, padding elsewhere than on the left, prompt adapters, other
    /// devices.</summary>
    /// <param name="query">[batch, heads, 1, dimension]</param>
    /// <param name="key">[batch, key-value heads, 1, dimension]</param>
    /// <param name="value">as <paramref name="key"/></param>
    /// <param name="settings">How the layer attends.</param>
    /// <param name="context">The pass.</param>
    /// <returns>[batch, 1, heads · dimension]</returns>
    public static Tensor? TryAttend(
        Tensor query, Tensor key, Tensor value, AttentionSettings settings, ForwardContext context)
    {
        if (context.StepCache is not { } cache || (context.Dropout is not null && settings.Dropout > 0)) return null;
        long[] shape = query.shape, heads = key.shape;
        if (shape[0] > MostRows || !Fits(query) || !Fits(key) || !Fits(value)) return null;
        (Tensor keys, Tensor values) = cache.Layer(settings.Layer);
        if (!KernelTensors.Fit(keys) || !KernelTensors.Fit(values) || !heads.SequenceEqual(value.shape)
            || cache.Length >= cache.Allocated)
            return null;
        if (!keys.shape.SequenceEqual([shape[0], heads[1], cache.Allocated, shape[3]])
            || !heads.SequenceEqual([shape[0], heads[1], 1, shape[3]])
            || shape[2] != 1 || shape[1] % heads[1] != 0) return null; // torch says what is wrong
        int rows = (int)shape[0], length = cache.Length + 1;
        int* first = stackalloc int[rows];
        int seen = settings.Window is { } window ? Math.Max(0, length - window) : 0;
        for (int row = 0; row < rows; row++) first[row] = Math.Max(seen, cache.PaddingOf(row));
        Tensor mixed = empty(shape[0], 1, shape[1] * shape[3]);
        var attention = new StepAttention
        {
            Query = (float*)NativeTensor.Address(query),
            NewKey = (float*)NativeTensor.Address(key),
            NewValue = (float*)NativeTensor.Address(value),
            Keys = (float*)NativeTensor.Address(keys),
            Values = (float*)NativeTensor.Address(values),
            Output = (float*)NativeTensor.Address(mixed),
            First = first,
            QueryStride = Strides(query),
            KeyStride = Strides(key),
            ValueStride = Strides(value),
            Rows = rows,
            KeyValueHeads = (int)heads[1],
            Groups = (int)(shape[1] / heads[1]),
            Dimension = (int)shape[3],
            Capacity = cache.Allocated,
            Length = length,
            Scale = (float)(settings.Scale ?? 1 / Math.Sqrt(shape[3])),
            Softcap = (float)(settings.Softcap ?? 0),
        };
        attention.Compute();
        return mixed;
    }

    private static bool Fits(Tensor heads) => KernelTensors.Fit(heads, strided: true) && heads.stride(3) == 1;

    private static (long Row, long Head) Strides(Tensor heads) => (heads.stride(0), heads.stride(1));
}

/// <summary>Attention of whole texts by <see cref="TiledAttention"/>, with gradients or without.</summary>
internal static class TiledAttentionKernel
{
    /// <summary>Attends, or returns null, having done nothing, where torch must: with padding, caps of scores, dropout,
    /// other devices and types.</summary>
    /// <param name="query">[batch, heads, queries, dimension]</param>
    /// <param name="key">All keys that are seen, [batch, key-value heads, keys, dimension].</param>
    /// <param name="value">as <paramref name="key"/></param>
    /// <param name="settings">How the layer attends.</param>
    /// <param name="context">The pass.</param>
    /// <returns>[batch, queries, heads · dimension]</returns>
    public static Tensor? TryAttend(
        Tensor query, Tensor key, Tensor value, AttentionSettings settings, ForwardContext context)
    {
        // one query does not pay for arranging all keys
        if (context.Cache is not null && query.shape[2] == 1) return null;
        if (context.HasPadding || !Fits(settings, context) || !Fits(query, key, value)) return null;
        long[] queries = query.shape;
        AttentionSequences texts = context.Texts(queries[0], queries[2], key.shape[2]);
        return TrainingAttention.Apply(query, key, value, Arguments(texts, queries[3], settings, context));
    }

    /// <summary>As <see cref="TryAttend"/>, of texts that lie one after the other.</summary>
    public static Tensor? TryAttendPacked(
        Tensor query, Tensor key, Tensor value, AttentionSettings settings, ForwardContext context,
        PackedSequences documents)
    {
        if (context.PromptOf(settings.Layer) is not null || !Fits(settings, context) || !Fits(query, key, value))
            return null;
        return TrainingAttention.Apply(
            query, key, value, Arguments(documents.Texts, query.shape[3], settings, context));
    }

    /// <summary>As <see cref="TryAttend"/>, of one projection's output, which takes one gradient; null also where
    /// nothing takes one, or keys and values are needed elsewhere.</summary>
    /// <param name="fused">[batch, tokens, …]</param>
    /// <param name="split">Takes it apart.</param>
    /// <param name="settings">How the layer attends.</param>
    /// <param name="context">The pass.</param>
    /// <returns>[batch, tokens, heads · dimension]</returns>
    public static Tensor? TryAttendFused(
        Tensor fused, Func<Tensor, (Tensor Query, Tensor Key, Tensor Value)> split, AttentionSettings settings,
        ForwardContext context)
    {
        if (!is_grad_enabled() || !fused.requires_grad || !context.IsPlain(settings) || !Fits(settings, context))
            return null;
        AttentionSequences texts;
        long dimension;
        using (NewDisposeScope())
        using (no_grad())
        {
            (Tensor query, Tensor key, Tensor value) = split(fused);
            if (!Fits(query, key, value)) return null;
            long[] queries = query.shape;
            (texts, dimension) =
                (context.Documents is { } documents ? documents.Texts
                : context.Texts(queries[0], queries[2], key.shape[2]), queries[3]);
        }
        return TrainingAttention.Apply(
            fused, null, null, Arguments(texts, dimension, settings, context) with { Split = split });
    }

    private static TrainingAttentionArguments Arguments(
        AttentionSequences texts, long dimension, AttentionSettings settings, ForwardContext context)
    {
        int back = settings.Window is { } window ? window - 1 : TiledAttention.Anywhere;
        return new(texts, settings.Scale ?? 1 / Math.Sqrt(dimension), context.AttendsBothWays && settings.Window is null
            ? TiledAttention.Anywhere : back,
            context.AttendsBothWays ? back : 0);
    }

    private static bool Fits(AttentionSettings settings, ForwardContext context) =>
        TiledAttention.IsSupported && settings.Softcap is null && (context.Dropout is null || settings.Dropout == 0)
            && settings.Window is not < 1;

    private static bool Fits(Tensor query, Tensor key, Tensor value)
    {
        if (!Fits(query) || !Fits(key) || !Fits(value)) return false;
        long[] queries = query.shape, keys = key.shape;
        return keys.SequenceEqual(value.shape) && keys[0] == queries[0] && keys[3] == queries[3]
            && queries[3] <= TiledAttention.MostDimension
            // else torch says what is wrong
            && keys[1] > 0 && queries[1] % keys[1] == 0 && keys[2] >= queries[2] && query.numel() > 0;
    }

    private static bool Fits(Tensor heads) => heads.device_type == DeviceType.CPU && heads.dtype == ScalarType.Float32
        && heads.stride(3) == 1;
}
