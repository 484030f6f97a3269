using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>A normalisation over the last axis.</summary>
public interface INormalization
{
    /// <summary>Normalises […, width]; the shape stays.</summary>
    Tensor Forward(Tensor input);
}
