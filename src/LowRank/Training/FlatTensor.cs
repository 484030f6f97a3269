using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Training;

/// <summary>One float32 tensor that contains several tensors one after another, each as a view.</summary>
/// <remarks>An operation on all of them, such as an optimizer step or a sum over machines, is one pass over one block
/// of memory.</remarks>
internal sealed class FlatTensor : IDisposable
{
    private const long CacheLine = 16; // in elements: each part begins on a cache line, like a separate tensor

    private FlatTensor(IReadOnlyList<Tensor> like, long alignment)
    {
        if (like.Any(tensor => tensor.dtype != ScalarType.Float32) || like.Select(tensor => tensor.device.ToString())
            .Distinct().Count() > 1)
            throw new ArgumentException("Flattened tensors must all be float32 and on one device.", nameof(like));
        long[] sizes = [.. like.Select(tensor => (tensor.numel() + alignment - 1) / alignment * alignment)];
        Whole = zeros(sizes.Sum(), ScalarType.Float32, like.Count == 0 ? CPU : like[0].device).DetachFromDisposeScope();
        var parts = new Tensor[like.Count];
        long start = 0;
        for (int i = 0; i < parts.Length; start += sizes[i++])
        {
            using Tensor part = Whole.narrow(0, start, like[i].numel());
            parts[i] = part.view(like[i].shape).DetachFromDisposeScope();
        }
        (Parts, Sizes) = (parts, sizes);
    }

    /// <summary>All parts, [elements]; zeros pad their ends.</summary>
    public Tensor Whole { get; }

    /// <summary>The parts, in the given shapes and order.</summary>
    public IReadOnlyList<Tensor> Parts { get; }

    /// <summary>Elements of <see cref="Whole"/> from the beginning of each part to that of the next.</summary>
    public IReadOnlyList<long> Sizes { get; }

    /// <summary>Creates zeros in the shapes of other tensors, on their device.</summary>
    /// <exception cref="ArgumentException">The tensors are not all float32 and on one device.</exception>
    public static FlatTensor Zeros(IReadOnlyList<Tensor> like) => new(like, CacheLine);

    /// <summary>Moves tensors into one: each becomes a part but keeps its values, its handle and its requires-grad
    /// flag. Its own memory is freed.</summary>
    /// <remarks>Existing views of a tensor keep referring to its old memory.</remarks>
    /// <param name="tensors">The tensors.</param>
    /// <param name="alignment">Each part begins at a multiple of this.</param>
    /// <exception cref="ArgumentException">The tensors are not all float32 and on one device.</exception>
    public static FlatTensor Adopt(IReadOnlyList<Tensor> tensors, long alignment = CacheLine)
    {
        using var noGradient = no_grad();
        Tensor[] distinct = [.. tensors.Distinct<Tensor>(ReferenceEqualityComparer.Instance)];
        var flat = new FlatTensor(distinct, alignment);
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
