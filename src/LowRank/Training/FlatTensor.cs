using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Training;

/// <summary>One float32 tensor that holds several, one after the other, each a view of its part.</summary>
/// <remarks>What goes over all of them, such as an optimizer's step or a sum over machines, is one pass over one piece
/// of memory.</remarks>
internal sealed class FlatTensor : IDisposable
{
    private const long Alignment = 16; // numbers: a part begins on a cache line, as tensors of their own do

    private FlatTensor(IReadOnlyList<Tensor> like)
    {
        if (like.Any(tensor => tensor.dtype != ScalarType.Float32) || like.Select(tensor => tensor.device.ToString())
            .Distinct().Count() > 1)
            throw new ArgumentException("Tensors that lie in one have to be float32 and on one device.", nameof(like));
        long[] sizes = [.. like.Select(tensor => (tensor.numel() + Alignment - 1) / Alignment * Alignment)];
        Whole = zeros(sizes.Sum(), ScalarType.Float32, like.Count == 0 ? CPU : like[0].device).DetachFromDisposeScope();
        var parts = new Tensor[like.Count];
        long start = 0;
        for (int i = 0; i < parts.Length; start += sizes[i++])
        {
            using Tensor part = Whole.narrow(0, start, like[i].numel());
            parts[i] = part.view(like[i].shape).DetachFromDisposeScope();
        }
        Parts = parts;
    }

    /// <summary>All parts, [numbers]; zeros fill up the ends of cache lines.</summary>
    public Tensor Whole { get; }

    /// <summary>The parts, in the shapes and the order that were given.</summary>
    public IReadOnlyList<Tensor> Parts { get; }

    /// <summary>Zeros in the shapes of others, on their device.</summary>
    /// <exception cref="ArgumentException">They are not all float32 and on one device.</exception>
    public static FlatTensor Zeros(IReadOnlyList<Tensor> like) => new(like);

    /// <summary>Moves tensors into one: each keeps its values, its handle and whether it requires a gradient, and is a
    /// part from now on. Its own memory is freed.</summary>
    /// <remarks>Views that were made of a tensor before go on showing its old memory.</remarks>
    /// <exception cref="ArgumentException">They are not all float32 and on one device.</exception>
    public static FlatTensor Adopt(IReadOnlyList<Tensor> tensors)
    {
        using var noGradient = no_grad();
        Tensor[] distinct = [.. tensors.Distinct<Tensor>(ReferenceEqualityComparer.Instance)];
        var flat = new FlatTensor(distinct);
        for (int i = 0; i < distinct.Length; i++)
        {
            flat.Parts[i].copy_(distinct[i]);
            distinct[i].set_(flat.Parts[i]);
        }
        return flat;
    }

    /// <summary>Lets go of the handles; a part that something else holds keeps the memory.</summary>
    public void Dispose()
    {
        foreach (Tensor part in Parts) part.Dispose();
        Whole.Dispose();
    }
}
