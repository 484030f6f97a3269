using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>The orders in which fused projections hold queries, keys and values.</summary>
public static class FusedLayout
{
    /// <summary>All queries, then all keys, then all values, of as many heads each (GPT-2, ModernBERT).</summary>
    public static Func<Tensor, (Tensor Query, Tensor Key, Tensor Value)> Stacked(int heads, int dimension) => fused =>
    {
        Tensor[] parts = fused.view(fused.shape[0], fused.shape[1], 3, heads, dimension).permute(2, 0, 3, 1, 4).unbind(0);
        return (parts[0], parts[1], parts[2]);
    };

    /// <summary>Query, key and value of the first head, then of the next (GPT-NeoX).</summary>
    public static Func<Tensor, (Tensor Query, Tensor Key, Tensor Value)> HeadByHead(int heads, int dimension) => fused =>
    {
        Tensor[] parts = fused.view(fused.shape[0], fused.shape[1], heads, 3, dimension).permute(3, 0, 2, 1, 4).unbind(0);
        return (parts[0], parts[1], parts[2]);
    };

    /// <summary>All queries, then the fewer keys, then as many values (Phi-3).</summary>
    public static Func<Tensor, (Tensor Query, Tensor Key, Tensor Value)> Grouped(int heads, int keyValueHeads, int dimension) => fused =>
    {
        Tensor all = fused.view(fused.shape[0], fused.shape[1], heads + 2 * keyValueHeads, dimension).transpose(1, 2);
        return (all.narrow(1, 0, heads), all.narrow(1, heads, keyValueHeads), all.narrow(1, heads + keyValueHeads, keyValueHeads));
    };
}
