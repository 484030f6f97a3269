using LowRank.Tensors.Kernels;
using LowRank.Tensors.Native;
using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>Attention of one new position over the cache, without masks, copies of shared heads or temporaries.</summary>
internal static unsafe class StepAttentionKernel
{
    private const int MostRows = 1024; // whose first positions lie on the stack

    /// <summary>Adds the new position to the cache and attends, or returns null, having done nothing, where torch must: for
    /// several new positions, gradients, dropout, padding elsewhere than on the left, prompt adapters, other devices.</summary>
    /// <param name="query">[batch, heads, 1, dimension]</param>
    /// <param name="key">[batch, key-value heads, 1, dimension]</param>
    /// <param name="value">as <paramref name="key"/></param>
    /// <param name="settings">How the layer attends.</param>
    /// <param name="context">The pass.</param>
    /// <returns>[batch, 1, heads · dimension]</returns>
    public static Tensor? TryAttend(Tensor query, Tensor key, Tensor value, AttentionSettings settings, ForwardContext context)
    {
        if (context.StepCache is not { } cache || (context.Dropout is not null && settings.Dropout > 0)) return null;
        long[] shape = query.shape, heads = key.shape;
        if (shape[0] > MostRows || !Fits(query) || !Fits(key) || !Fits(value)) return null;
        (Tensor keys, Tensor values) = cache.Layer(settings.Layer);
        if (!KernelTensors.Fit(keys) || !KernelTensors.Fit(values) || !heads.SequenceEqual(value.shape) || cache.Length >= cache.Allocated) return null;
        if (!keys.shape.SequenceEqual([shape[0], heads[1], cache.Allocated, shape[3]]) || !heads.SequenceEqual([shape[0], heads[1], 1, shape[3]])
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
