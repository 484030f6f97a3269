using static TorchSharp.torch;

namespace LowRank.Kernels;

/// <summary>A moment of several weights in a byte per number: blocks of 256 numbers share a scale, their largest
/// magnitude (block-wise quantisation, arXiv 2110.02861, section 2.1).</summary>
/// <remarks>A weight begins with a block of its own; what is left of its last one holds zeros. A number takes 1 +
/// 4/256 bytes.</remarks>
internal sealed class BlockwiseMoment : IDisposable
{
    /// <summary>Numbers per scale.</summary>
    public const int Block = 256;

    private const float Tiny = 1.2e-38f; // keeps a block of zeros from dividing by zero
    private readonly Tensor codes;   // [padded], uint8
    private readonly Tensor scales;  // [padded / 256]
    private readonly Tensor values;  // [256]
    private readonly Tensor middles; // [255]

    /// <summary>Creates zeros for some weights, on their device.</summary>
    /// <param name="like">The weights.</param>
    /// <param name="map">The numbers that bytes stand for.</param>
    public BlockwiseMoment(IReadOnlyList<Tensor> like, DynamicMap map)
    {
        Map = map;
        Device device = like.Count == 0 ? CPU : like[0].device;
        long[] blocks = [.. like.Select(weight => (weight.numel() + Block - 1) / Block)];
        long total = blocks.Sum();
        codes = full([total * Block], Number(map.Zero), ScalarType.Byte, device).DetachFromDisposeScope();
        scales = zeros(total, ScalarType.Float32, device).DetachFromDisposeScope();
        values = tensor(map.Values).to(device).DetachFromDisposeScope();
        middles = tensor(map.Middles).to(device).DetachFromDisposeScope();
        var parts = new MomentPart[like.Count];
        long first = 0;
        for (int i = 0; i < parts.Length; first += blocks[i++])
            parts[i] = new MomentPart(first * Block, blocks[i] * Block,
                codes.narrow(0, first * Block, like[i].numel()).DetachFromDisposeScope(),
                scales.narrow(0, first, blocks[i]).DetachFromDisposeScope());
        Parts = parts;
    }

    /// <summary>The numbers that bytes stand for.</summary>
    public DynamicMap Map { get; }

    /// <summary>The part of each weight.</summary>
    public IReadOnlyList<MomentPart> Parts { get; }

    /// <summary>Bytes of all parts.</summary>
    public long Bytes => codes.numel() + scales.numel() * sizeof(float);

    /// <summary>Some numbers in float32.</summary>
    /// <param name="first">The first one, a multiple of <see cref="Block"/>.</param>
    /// <param name="count">Their number, likewise.</param>
    /// <returns>[count], in the caller's dispose scope.</returns>
    public Tensor Expand(long first, long count)
    {
        using var scope = NewDisposeScope();
        Tensor found = values.index_select(0, codes.narrow(0, first, count).to(ScalarType.Int32)).view(-1, Block);
        return found.mul_(scales.narrow(0, first / Block, count / Block).unsqueeze(1)).view(count)
            .MoveToOuterDisposeScope();
    }

    /// <summary>Stores numbers, each as the nearest one that its block's scale and a byte give.</summary>
    /// <param name="first">The first one, a multiple of <see cref="Block"/>.</param>
    /// <param name="numbers">[count], float32, a multiple of <see cref="Block"/>; only read.</param>
    /// <param name="condition">A boolean scalar on the device: false leaves what is stored. Null for true.</param>
    public void Store(long first, Tensor numbers, Tensor? condition = null)
    {
        using var scope = NewDisposeScope();
        long count = numbers.shape[0];
        Tensor rows = numbers.view(-1, Block), largest = rows.abs().amax([1]),
            unit = rows / largest.clamp_min(Number(Tiny)).unsqueeze(1),
            nearest = bucketize(unit, middles, outInt32: true);
        if (Map.IsSigned) nearest = nearest - ((nearest == Number(Map.Zero)) & (unit < Number(0))).to(ScalarType.Int32);
        Tensor bytes = nearest.view(count).to(ScalarType.Byte), oldBytes = codes.narrow(0, first, count),
            oldScales = scales.narrow(0, first / Block, count / Block);
        oldBytes.copy_(condition is null ? bytes : where(condition, bytes, oldBytes));
        oldScales.copy_(condition is null ? largest : where(condition, largest, oldScales));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (MomentPart part in Parts)
        {
            part.Codes.Dispose();
            part.Scales.Dispose();
        }
        foreach (Tensor tensor in (Tensor[])[codes, scales, values, middles]) tensor.Dispose();
    }
}

/// <summary>The part of a <see cref="BlockwiseMoment"/> that belongs to a weight.</summary>
/// <param name="First">Its first number.</param>
/// <param name="Padded">Its numbers, with the zeros that fill its last block.</param>
/// <param name="Codes">The bytes of its numbers, without those zeros, [numbers].</param>
/// <param name="Scales">The scale of each block, [blocks].</param>
internal sealed record MomentPart(long First, long Padded, Tensor Codes, Tensor Scales);
