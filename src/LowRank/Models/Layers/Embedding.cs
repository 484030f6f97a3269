using LowRank.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>An embedding table with a slot for adapters.</summary>
public sealed class Embedding
{
    /// <summary>Loads the table [rows, width].</summary>
    public Embedding(WeightLoader weights, string path, int rows, int width)
    {
        Path = path;
        Weight = weights.Take(path + ".weight", rows, width);
        Slot = new AdapterSlot(path, new InnerLayer(Base));
    }

    /// <summary>The module's path.</summary>
    public string Path { get; }

    /// <summary>The table, [rows, width].</summary>
    public Tensor Weight { get; }

    /// <summary>The slot for adapters.</summary>
    internal AdapterSlot Slot { get; }

    /// <summary>Looks up the vectors of ids of any shape, through the adapters.</summary>
    public Tensor Forward(Tensor indices, Generator? dropout = null) => Slot.Forward(indices, dropout);

    /// <summary>Looks up the vectors of ids of any shape in the table alone.</summary>
    public Tensor Base(Tensor indices) =>
        Weight.index_select(0, indices.reshape(-1)).view([.. indices.shape, Weight.shape[1]]);
}
