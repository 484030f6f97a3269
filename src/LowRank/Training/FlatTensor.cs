using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Training;

/// <summary>One float32 tensor that contains several tensors one after another, each as a view.</summary>
/// <remarks>An operation on all of them, such as an optimizer step or a sum over machines, is one pass over one block
/// of memory.</remarks>
internal sealed class FlatTensor : IDisposable
{
    private const long Alignment = 16; // in elements: each part begins on a cache line, like a separate tensor

    private FlatTensor(IReadOnlyList<Tensor> like)
    {
        if (like.Any(tensor => tensor.dtype != ScalarType.Float32) || like.Select(tensor => tensor.device.ToString())
            .Distinct().Count() > 1)
            throw new ArgumentException("Flattened tensors must all be float32 and on one device.", nameof(like));
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

    /// <summary>All parts, [elements]; zeros pad the ends of cache lines.</summary>
    public Tensor Whole { get; }

    /// <summary>The parts, in the given shapes and order.</summary>
    public IReadOnlyList<Tensor> Parts { get; }

    /// <summary>Creates zeros in the shapes of other tensors, on their device.</summary>
    /// <exception cref="ArgumentException">The tensors are not all float32 and on one device.</exception>
    public static FlatTensor Zeros(IReadOnlyList<Tensor> like) => new(like);

    /// <summary>Moves tensors into one: each becomes a part but keeps its values, its handle and its requires-grad
    /// flag. Its own memory is freed.</summary>
    /// <remarks>Existing views of a tensor keep referring to its old memory.</remarks>
    /// <exception cref="ArgumentException">The tensors are not all float32 and on one device.</exception>
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

    /// <summary>Releases the handles; a part that is still referenced keeps the memory.</summary>
    public void Dispose()
    {
        foreach (Tensor part in Parts) part.Dispose();
        Whole.Dispose();
    }
}
