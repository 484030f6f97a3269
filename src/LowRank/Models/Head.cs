using LowRank.Models.Layers;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models;

/// <summary>What a model computes from each of its states.</summary>
/// <param name="kind">What for.</param>
/// <param name="layers">Its linear layers, the last of which gives the scores.</param>
/// <param name="forward">[…, hidden] to […, scores], with the generator for dropout while training.</param>
public sealed class Head(HeadKind kind, IReadOnlyList<Projection> layers, Func<Tensor, Generator?, Tensor> forward)
{
    /// <summary>What for.</summary>
    public HeadKind Kind => kind;

    /// <summary>The layer that gives the scores.</summary>
    public Projection Output => layers[^1];

    /// <summary>All its linear layers.</summary>
    public IReadOnlyList<Projection> Layers => layers;

    /// <summary>[…, hidden] to […, scores].</summary>
    public Tensor Forward(Tensor states, Generator? dropout) => forward(states, dropout);
}
