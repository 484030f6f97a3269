using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>A table of vectors.</summary>
public sealed class Embedding
{
    /// <summary>Takes the table [rows, width].</summary>
    public Embedding(WeightLoader weights, string path, int rows, int width)
    {
        Path = path;
        Weight = weights.Take(path + ".weight", rows, width);
    }

    /// <summary>The module's path.</summary>
    public string Path { get; }

    /// <summary>The table, [rows, width].</summary>
    public Tensor Weight { get; }

    /// <summary>Whole numbers of any shape to their vectors.</summary>
    public Tensor Forward(Tensor indices) =>
        Weight.index_select(0, indices.reshape(-1)).view([.. indices.shape, Weight.shape[1]]);
}
