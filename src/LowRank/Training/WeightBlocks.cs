using static TorchSharp.torch;

namespace LowRank.Training;

/// <summary>Tensors cut into blocks that a processor core's cache holds, so that cores share the work evenly.</summary>
internal sealed class WeightBlocks
{
    /// <summary>Numbers of a block: with weight, gradient and two moments 256 KB.</summary>
    public const int Size = 16384;

    private readonly (int Tensor, long Start, int Count)[] blocks;

    /// <summary>Cuts tensors.</summary>
    public WeightBlocks(IReadOnlyList<Tensor> tensors)
    {
        var cut = new List<(int, long, int)>();
        for (int i = 0; i < tensors.Count; i++)
            for (long start = 0, numbers = tensors[i].numel(); start < numbers; start += Size) cut.Add((i, start, (int)Math.Min(Size, numbers - start)));
        blocks = [.. cut];
    }

    /// <summary>How many there are.</summary>
    public int Count => blocks.Length;

    /// <summary>A block: the tensor it is of, the number in it that it begins with, and its length.</summary>
    public (int Tensor, long Start, int Count) this[int block] => blocks[block];
}
