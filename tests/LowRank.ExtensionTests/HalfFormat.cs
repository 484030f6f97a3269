using LowRank.Quantization;
using static TorchSharp.torch;

namespace LowRank.ExtensionTests;

/// <summary>A weight format of another program: IEEE half precision.</summary>
internal sealed class HalfFormat : IWeightFormat
{
    public string Name => "half";

    public double BytesPerWeight => 2;

    public bool IsWritable => false;

    public PackedWeight Pack(Tensor matrix, ExpansionBuffer buffer)
    {
        Half[] values = [.. matrix.to(float32).contiguous().data<float>().ToArray().Select(value => (Half)value)];
        return PackedWeight.Create(
            Name, matrix.shape[0], matrix.shape[1], 2L * values.Length, (first, target) =>
            {
                for (int i = 0; i < target.Length; i++) target[i] = (float)values[first + i];
            }, buffer);
    }
}
