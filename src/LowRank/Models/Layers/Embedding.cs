using LowRank.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>A table of vectors with a slot for adapters.</summary>
public sealed class Embedding
{
    /// <summary>Takes the table [rows, width].</summary>
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

    /// <summary>Where adapters sit.</summary>
    public AdapterSlot Slot { get; }

    /// <summary>Whole numbers of any shape to their vectors, through the adapters.</summary>
    public Tensor Forward(Tensor indices, Generator? dropout = null) => Slot.Forward(indices, dropout);

    /// <summary>Whole numbers of any shape to their vectors in the table.</summary>
    public Tensor Base(Tensor indices) =>
        Weight.index_select(0, indices.reshape(-1)).view([.. indices.shape, Weight.shape[1]]);
}
